"""Means and deviations, against numpy in one piece."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.gridded.climatology import time_blocks
from datamodules.gridded.statistics import usable_scale, weighted_moments


def blocks_of(values: np.ndarray, block: int) -> list[np.ndarray]:
    """`values` cut along time."""
    return [values[part] for part in time_blocks(len(values), 1, block)]


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000))
def test_blocks_of_any_length_give_the_weighted_moments_of_the_whole(block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal([[[250.0]], [[1e5]]], [[[3.0]], [[700.0]]], (37, 2, 4, 5)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    area = rng.random((4, 5))
    mean, std = weighted_moments(blocks_of(values, block), area)
    for channel in range(2):
        column = values[:, channel].astype(np.float64)
        weights = np.broadcast_to(area, column.shape)[np.isfinite(column)]
        column = column[np.isfinite(column)]
        middle = np.average(column, weights=weights)
        assert mean[channel] == pytest.approx(middle, rel=1e-12)
        spread = np.sqrt(np.average((column - middle) ** 2, weights=weights))
        assert std[channel] == pytest.approx(spread, rel=1e-10)


def test_a_small_spread_on_a_large_mean_is_not_lost() -> None:
    values = 1e8 + np.random.default_rng(0).normal(size=(500, 1, 3, 3))
    _, std = weighted_moments(blocks_of(values, 50), np.ones((3, 3)))
    assert std[0] == pytest.approx(values.std(), rel=1e-7)


def test_a_channel_without_a_value_has_nan_and_leaves_the_others_alone() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2, 3, 3))
    values[:, 1] = np.nan
    values[:20, 0] = np.nan
    mean, std = weighted_moments(blocks_of(values, 10), np.ones((3, 3)))
    assert mean[0] == pytest.approx(values[20:, 0].mean())
    assert np.isnan([mean[1], std[1]]).all()


def test_series_are_channels_without_cells_and_may_be_none_at_all() -> None:
    series = np.random.default_rng(0).normal(size=(50, 3))
    mean, std = weighted_moments(blocks_of(series, 8), np.ones(()))
    assert mean == pytest.approx(series.mean(axis=0))
    assert std == pytest.approx(series.std(axis=0))
    assert [len(part) for part in weighted_moments([series[:, :0]], np.ones(()))] == [0, 0]


def test_a_channel_that_does_not_vary_is_divided_by_one() -> None:
    mean, std = weighted_moments([np.full((9, 1, 4, 5), 280.1, dtype=np.float32)], np.random.rand(4, 5))
    assert usable_scale(std, mean).tolist() == [1.0]
    assert usable_scale(np.array([0.5, 1e-12]), np.array([300.0, 0.0])).tolist() == [0.5, 1e-12]
