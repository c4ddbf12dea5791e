"""Intervals cover as they say, blocks are as long as errors hang together, and all of it is repeatable."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retraining.bootstrap import (
    Interval,
    block_length,
    intervals,
    resampled_sums,
    student_quantile,
)


def autoregressive(cases: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """A series of variance 1 whose neighbours have the given correlation."""
    found = np.empty(cases)
    found[0] = rng.standard_normal()
    for case in range(1, cases):
        fresh = math.sqrt(1 - correlation**2) * rng.standard_normal()
        found[case] = correlation * found[case - 1] + fresh
    return found


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [
        (0.975, 1, 12.7062),
        (0.975, 7, 2.36462),
        (0.99, 11, 2.71808),
        (0.975, 1000, 1.96234),
        (0.95, 2.5, 2.5582),
    ],
)
def test_the_quantiles_are_those_of_students_tables(
    probability: float, freedom: float, expected: float
) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-4)


def test_blocks_of_the_circle_draw_every_case_equally_often_and_keep_neighbours_together() -> None:
    cases, block, resamples = 30, 6, 3000
    one_each = np.eye(cases)
    counts = resampled_sums(one_each, block, resamples, np.random.default_rng(0))
    assert (counts.sum(axis=1) == cases).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(cases), abs=0.1)
    together = (np.minimum(counts, np.roll(counts, -1, axis=1)) > 0).sum() / (counts > 0).sum()
    apart = resampled_sums(one_each, 1, resamples, np.random.default_rng(0))
    by_chance = (np.minimum(apart, np.roll(apart, -1, axis=1)) > 0).sum() / (apart > 0).sum()
    assert together > 0.85
    assert by_chance < 0.7


def test_sums_do_not_depend_on_how_many_resamples_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=(50, 3))
    whole = resampled_sums(values, 5, 400, np.random.default_rng(7))
    monkeypatch.setattr("pipelines.retraining.bootstrap.COUNT_BYTES", 8 * 50 * 37)
    assert np.allclose(whole, resampled_sums(values, 5, 400, np.random.default_rng(7)))


def test_independent_cases_get_the_shortest_block_and_long_memory_a_long_one() -> None:
    rng = np.random.default_rng(3)
    alone = np.median([block_length(rng.standard_normal(400)) for _ in range(30)])
    slow = np.median([block_length(autoregressive(400, 0.9, rng)) for _ in range(30)])
    assert math.ceil(400 ** (1 / 3)) <= alone <= 12
    assert slow > 2 * alone


def test_a_block_is_never_shorter_than_what_cases_share_nor_than_the_rule() -> None:
    white = np.random.default_rng(0).standard_normal(1000)
    assert block_length(white, 40) == 40
    assert block_length(white) >= 10
    assert block_length(np.zeros(64)) == 4
    assert block_length(np.array([1.0, 2.0]), 3) == 3
    holed = np.where(np.arange(1000) % 7 == 0, np.nan, white)
    assert block_length(holed) >= 10
    assert block_length(np.full(100, np.nan), 2) == 2


@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=60), st.integers(1, 9)
)
def test_any_series_gets_a_block_between_the_least_and_its_own_length(
    values: list[float], least: int
) -> None:
    assert least <= block_length(np.array(values), least) <= max(least, len(values))


@pytest.mark.parametrize(("correlation", "cases"), [(0.0, 40), (0.6, 120), (0.8, 240)])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(correlation: float, cases: int) -> None:
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(400):
        series = autoregressive(cases, correlation, rng)[:, None]
        block = block_length(series[:, 0])
        drawn = resampled_sums(series, block, 500, rng) / cases
        found = intervals(series.mean(axis=0), drawn, cases / block, 0.9)[0]
        held += found.low <= 0 <= found.high
    assert 0.83 <= held / 400 <= 0.97


def test_an_interval_of_nothing_is_not_defined_and_plain_values_know_no_nan() -> None:
    found = intervals(np.array([np.nan, 1.0]), np.array([[np.nan, 0.5], [np.nan, 1.5]]), 10)
    assert found[0].as_plain() == {"value": None, "low": None, "high": None}
    assert found[1].low < 1 < found[1].high
    assert Interval(1.0, 0.0, 2.0).as_plain() == {"value": 1.0, "low": 0.0, "high": 2.0}


def test_two_thousand_resamples_of_two_hundred_cases_and_fifty_cells_take_far_less_than_a_second() -> None:
    values = np.random.default_rng(0).normal(size=(200, 150))
    took = []
    for seed in range(3):
        began = time.process_time()
        resampled_sums(values, 8, 2000, np.random.default_rng(seed))
        took.append(time.process_time() - began)
    assert min(took) < 0.5
