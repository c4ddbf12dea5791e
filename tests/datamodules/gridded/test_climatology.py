"""The climatology of each cell, against plain least squares."""

import numpy as np
import pytest

from datamodules.gridded.climatology import (
    anomalies,
    choose_climatology,
    climatology_basis,
    fit_climatology,
)
from datamodules.gridded.clock import DAY, months_of
from datamodules.gridded.describe import Step
from tests.datamodules.gridded.twin import weather

STEPS = 1600
TIME = np.arange(STEPS) * 21600


@pytest.mark.parametrize(("kind", "terms"), [("mean", 1), ("daily", 5), ("annual", 5), ("harmonic", 13)])
def test_whole_cells_get_what_least_squares_gives(kind: str, terms: int) -> None:
    values = weather(STEPS)
    basis = climatology_basis(kind, TIME, "standard")
    assert basis.shape == (STEPS, terms)
    found = fit_climatology(values, basis, kind, block=77)
    expected = np.linalg.lstsq(basis, values.reshape(STEPS, -1).astype(np.float64))[0]
    assert found.dtype == np.float32
    fitted, wanted = basis @ found.reshape(terms, -1), basis @ expected
    assert np.abs(fitted - wanted).max() < 5e-4


def test_cells_with_holes_get_what_least_squares_gives_on_the_steps_they_have() -> None:
    values = weather(STEPS)
    holes = np.random.default_rng(1).random(values.shape) < 0.3
    values[holes] = np.nan
    values[100:140] = np.nan
    basis = climatology_basis("harmonic", TIME, "standard")
    found = fit_climatology(values, basis, "harmonic", block=100).reshape(13, -1)
    for cell, column in enumerate(values.reshape(STEPS, -1).T):
        seen = np.isfinite(column)
        expected = np.linalg.lstsq(basis[seen], column[seen].astype(np.float64))[0]
        assert np.abs(basis[seen] @ (found[:, cell] - expected)).max() < 1e-3


def test_frames_that_are_missing_for_all_leave_the_rest_as_without_them() -> None:
    values = weather(STEPS)
    basis = climatology_basis("harmonic", TIME, "standard")
    kept = np.r_[0:200, 260:STEPS]
    with_hole = values.copy()
    with_hole[200:260] = np.nan
    assert np.array_equal(
        fit_climatology(with_hole, basis, "harmonic"),
        fit_climatology(values[kept], basis[kept], "harmonic"),
    )


def test_few_values_give_the_mean_and_none_give_nan() -> None:
    values = weather(STEPS)[:, :1]
    values[20:, 0, 0, 0] = np.nan
    values[:, 0, 1, 1] = np.nan
    basis = climatology_basis("harmonic", TIME, "standard")
    found = fit_climatology(values, basis, "harmonic")
    assert found[0, 0, 0, 0] == pytest.approx(values[:20, 0, 0, 0].mean())
    assert np.all(found[1:, 0, 0, 0] == 0)
    assert np.isnan(found[:, 0, 1, 1]).all()
    assert np.isfinite(found).all(axis=0).sum() == 23


@pytest.mark.parametrize("hours", [6, 12])
def test_cycles_that_the_step_cannot_tell_apart_do_not_spoil_the_fit(hours: int) -> None:
    time = np.arange(1500) * hours * 3600
    basis = climatology_basis("harmonic", time, "standard")
    values = (300 + 5 * basis[:, 1] + 2 * basis[:, 5]).astype(np.float32)[:, None]
    fitted = basis @ fit_climatology(values, basis, "harmonic").astype(np.float64)
    assert np.abs(fitted - values).max() < 1e-3


def test_monthly_means_fall_back_to_the_mean_of_the_cell_for_months_never_seen() -> None:
    time = (
        np.array([np.datetime64("2001-01", "M") + m for m in range(30)]).astype("datetime64[s]").astype(int)
    )
    values = np.random.default_rng(0).normal(15, 5, (30, 1, 2, 2)).astype(np.float32)
    month = months_of(time, "standard")
    values[month == 3, 0, 0, 0] = np.nan
    values[:, 0, 1, 1] = np.nan
    basis = climatology_basis("monthly", time, "standard")
    found = fit_climatology(values, basis, "monthly", block=7)
    for m in range(1, 13):
        assert found[m - 1, 0, 0, 1] == pytest.approx(values[month == m, 0, 0, 1].mean(), rel=1e-6)
    assert found[2, 0, 0, 0] == pytest.approx(np.nanmean(values[:, 0, 0, 0]), rel=1e-6)
    assert np.isnan(found[:, 0, 1, 1]).all()


def test_the_kind_follows_the_step_and_the_days_of_the_year_covered() -> None:
    def chosen(step: Step, time: np.ndarray) -> str:
        return choose_climatology(step, time, "noleap", 0, len(time))

    daily, six = Step(seconds=DAY), Step(seconds=21600)
    year = np.arange(365) * DAY
    winters = np.concatenate([y * 365 * DAY + np.arange(90) * DAY for y in range(20)])
    assert chosen(Step(months=1), year) == "monthly"
    assert chosen(daily, year) == "annual"
    assert chosen(daily, year[:300]) == "mean"
    assert chosen(daily, winters) == "mean"
    assert chosen(six, np.arange(4 * 365) * 21600) == "harmonic"
    assert chosen(six, np.arange(400) * 21600) == "daily"
    assert chosen(Step(seconds=8 * DAY), np.arange(46) * 8 * DAY) == "annual"
    assert choose_climatology(daily, np.arange(800) * DAY, "noleap", 0, 100) == "mean"


def test_the_climatology_of_the_training_steps_ignores_all_later_ones() -> None:
    values = weather(STEPS)
    basis = climatology_basis("daily", TIME, "standard")
    before = fit_climatology(values[:900], basis[:900], "daily")
    values[900:] += 1000
    assert np.array_equal(before, fit_climatology(values[:900], basis[:900], "daily"))


def test_anomalies_are_what_the_climatology_leaves() -> None:
    values = weather(STEPS)
    basis = climatology_basis("harmonic", TIME, "standard")
    left = anomalies(values, basis, fit_climatology(values, basis, "harmonic"))
    assert np.abs(left.mean(axis=0)).max() < 1e-3
    assert left.std() < 1.1 < 7 < values[:, 0].std()


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no climatology 'weekly'"):
        climatology_basis("weekly", TIME, "standard")  # type: ignore[arg-type]
