"""How much of an anomaly lasts, against the plain formula."""

import numpy as np
import pytest

from datamodules.gridded import damping
from datamodules.gridded.climatology import climatology_basis, fit_climatology
from datamodules.gridded.damping import fit_damping
from datamodules.gridded.windows import valid_starts
from tests.datamodules.gridded.twin import weather

STEPS, HISTORY, HORIZON = 600, 3, 4
BASIS = climatology_basis("mean", np.arange(STEPS), "standard")


def by_hand(anomaly: np.ndarray, tick: np.ndarray) -> np.ndarray:
    """Window by window."""
    products, squares = np.zeros((2, HORIZON, *anomaly.shape[1:]))
    for start in valid_starts(tick, HISTORY, HORIZON):
        last = anomaly[start + HISTORY - 1]
        for lead in range(HORIZON):
            ahead = anomaly[start + HISTORY + lead]
            both = np.isfinite(last) & np.isfinite(ahead)
            products[lead] += np.where(both, last * ahead, 0)
            squares[lead] += np.where(both, last * last, 0)
    return np.clip(np.divide(products, squares, out=np.zeros_like(products), where=squares > 0), 0, 1)


@pytest.mark.parametrize("missing", ["nothing", "land", "here and there"])
def test_factors_are_the_regression_over_whole_windows(missing: str) -> None:
    values = weather(STEPS)
    if missing == "land":
        values[:, :, 1, 2] = np.nan
    elif missing == "here and there":
        values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    tick = np.arange(STEPS) + 5 * (np.arange(STEPS) >= 100) + 3 * (np.arange(STEPS) >= 404)
    coefficients = fit_climatology(values, BASIS, "mean")
    found = fit_damping(values, BASIS, coefficients, tick, HISTORY, HORIZON, block=50, shared=0)
    assert found.shape == (HORIZON, *values.shape[1:])
    expected = by_hand(values.astype(np.float64) - coefficients[0], tick)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_factors_fall_with_lead_time_as_the_noise_forgets() -> None:
    noise = np.random.default_rng(0).normal(size=(6000, 1, 2, 2))
    for now in range(1, len(noise)):
        noise[now] = 0.8 * noise[now - 1] + 0.6 * noise[now]
    basis = np.ones((len(noise), 1))
    found = fit_damping(noise, basis, np.zeros((1, 1, 2, 2)), np.arange(len(noise)), 1, 3)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), [0.8, 0.64, 0.512], atol=0.03)


def test_without_a_window_nothing_is_left_of_an_anomaly() -> None:
    values = weather(STEPS)
    found = fit_damping(values, BASIS, fit_climatology(values, BASIS, "mean"), np.arange(STEPS) * 2, 3, 4)
    assert not found.any()


def test_large_maps_share_a_factor_along_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    values = weather(STEPS)
    values[:, :, 2, 0] = np.nan
    coefficients = fit_climatology(values, BASIS, "mean")
    monkeypatch.setattr(damping, "POOL_BYTES", 100)
    found = fit_damping(values, BASIS, coefficients, np.arange(STEPS), HISTORY, HORIZON, block=64, shared=0)
    assert found.shape == (HORIZON, 2, 4, 1)
    anomaly = values.astype(np.float64) - coefficients[0]
    last, ahead = anomaly[HISTORY - 1 : STEPS - HORIZON], anomaly[HISTORY : STEPS - HORIZON + 1]
    expected = np.nansum(last * ahead, axis=(0, 3)) / np.nansum(last**2, axis=(0, 3))
    np.testing.assert_allclose(found[0, :, :, 0], expected, rtol=1e-5)


def test_a_short_record_draws_the_cells_to_their_channels_common_factor() -> None:
    values = weather(STEPS)
    coefficients = fit_climatology(values, BASIS, "mean")
    own, drawn, common = (
        fit_damping(values, BASIS, coefficients, np.arange(STEPS), HISTORY, HORIZON, shared=shared)
        for shared in (0.0, STEPS, 1e9)
    )
    assert np.ptp(common, axis=(2, 3)).max() < 1e-5
    between = (drawn - own) / np.where(common == own, 1, common - own)
    windows = STEPS - HISTORY - HORIZON + 1
    np.testing.assert_allclose(between, STEPS / (windows + STEPS), atol=0.01)
