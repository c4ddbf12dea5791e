"""Windows are whole, splits are apart."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.gridded.clock import DAY, parse_period
from datamodules.gridded.options import SplitOptions
from datamodules.gridded.windows import (
    Split,
    fold_of,
    require_windows,
    split_ranges,
    split_starts,
    valid_starts,
)

ticks = st.lists(st.sampled_from([1, 1, 1, 1, 2, 7]), max_size=60).map(
    lambda jumps: np.cumsum([0, *jumps]).astype(np.int64)
)
sizes = st.integers(1, 6)
Draw = Callable[[st.SearchStrategy], int]


@st.composite
def fractions(draw: Draw) -> SplitOptions:
    """Three fractions that sum to 1 at most."""
    shares = [draw(st.integers(1, 30)) for _ in range(3)]
    total = sum(shares) + draw(st.integers(0, 10))
    return SplitOptions(
        **dict(zip(("train", "validation", "test"), (s / total for s in shares), strict=True))
    )


@settings(deadline=None)
@given(ticks, sizes, sizes, st.integers(1, 4))
def test_starts_are_all_the_windows_without_a_gap_and_only_those(
    tick: np.ndarray, history: int, horizon: int, stride: int
) -> None:
    length = history + horizon
    brute = [
        s
        for s in range(len(tick) - length + 1)
        if all(later - earlier == 1 for earlier, later in pairwise(tick[s : s + length]))
    ]
    found = valid_starts(tick, history, horizon, stride)
    assert found.dtype == np.int64
    assert found.tolist() == brute[::stride]


@settings(deadline=None)
@given(ticks, sizes, sizes, fractions())
def test_windows_stay_inside_their_split(
    tick: np.ndarray, history: int, horizon: int, options: SplitOptions
) -> None:
    splits = split_ranges(tick * DAY, options, history + horizon, "standard")
    for split in splits.values():
        starts = split_starts(split, tick, history, horizon)
        assert all(split.first <= s and s + history + horizon <= split.stop for s in starts)
        assert set(starts) <= set(valid_starts(tick, history, horizon))


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(2, 30), fractions())
def test_fraction_splits_share_no_step_and_lie_a_window_apart(
    steps: int, window: int, options: SplitOptions
) -> None:
    splits = split_ranges(np.arange(steps) * DAY, options, window, "standard")
    assert list(splits) == ["train", "validation", "test"]
    assert splits["test"].stop == steps
    assert isinstance(options.test, float)
    assert splits["test"].first == round((1 - options.test) * steps)
    for earlier, later in pairwise(splits.values()):
        assert 0 <= earlier.first <= earlier.stop <= steps
        assert later.first - earlier.stop >= window or len(earlier) == 0


def test_the_last_15_percent_are_the_test_split() -> None:
    splits = split_ranges(np.arange(2920) * 21600, SplitOptions(), 16, "standard")
    assert (splits["test"].first, splits["test"].stop) == (2482, 2920)
    assert (splits["validation"].first, splits["validation"].stop) == (2044, 2482 - 16)
    assert (splits["train"].first, splits["train"].stop) == (0, 2044 - 16)


def days(first: str, last: str) -> np.ndarray:
    """Every day from `first` to `last`."""
    return np.arange(parse_period(first, "standard")[0], parse_period(last, "standard")[0] + 1, DAY)


def periods(train: tuple[str, str], validation: tuple[str, str], test: tuple[str, str]) -> SplitOptions:
    """Split by dates."""
    return SplitOptions(train=train, validation=validation, test=test)


def test_date_splits_include_the_whole_of_their_last_date() -> None:
    time = days("2001-01-01", "2004-12-31")
    options = periods(("2001", "2002-11"), ("2003", "2003-11-20"), ("2004", "2004"))
    splits = split_ranges(time, options, 10, "standard")
    assert [len(split) for split in splits.values()] == [365 + 334, 334 - 10, 366]


@pytest.mark.parametrize(
    ("train", "validation", "told"),
    [
        (("2001", "2002"), ("2002-12", "2003-06"), "overlap"),
        (("2001", "2002"), ("2003", "2003-06"), "have 0 steps between them"),
        (("2001", "2002-12-25"), ("2003", "2003-06"), "have 6 steps between them"),
    ],
)
def test_date_splits_closer_than_a_window_are_refused_with_a_way_out(
    train: tuple[str, str], validation: tuple[str, str], told: str
) -> None:
    time = days("2001-01-01", "2004-12-31")
    with pytest.raises(InputError) as refused:
        split_ranges(time, periods(train, validation, ("2004", "2004")), 10, "standard")
    message = str(refused.value)
    assert told in message
    assert f"data.split.train = [{train[0]}, {train[1]}]" in message
    assert "data.split.validation" in message
    assert "10 steps" in message
    remedy = message.split("end data.split.train at ")[1].split(" or before")[0]
    split_ranges(time, periods((train[0], remedy), validation, ("2004", "2004")), 10, "standard")
    remedy = message.split("start data.split.validation at ")[1].split(" or after")[0]
    split_ranges(time, periods(train, (remedy, validation[1]), ("2004", "2004")), 10, "standard")


def test_the_test_split_may_come_first_but_not_too_close() -> None:
    time = days("2001-01-01", "2004-12-31")
    assert split_ranges(
        time, periods(("2002-02", "2003"), ("2004-02", "2004"), ("2001", "2001")), 10, "standard"
    )
    with pytest.raises(InputError, match=r"data\.split\.test .* and data\.split\.train "):
        split_ranges(time, periods(("2002", "2003"), ("2004-02", "2004"), ("2001", "2001")), 10, "standard")


def test_steps_that_the_data_lack_keep_periods_apart_when_ticks_are_given() -> None:
    winter = np.concatenate([(year * 365 + np.arange(60)) * DAY for year in range(31, 34)])
    tick = (winter - winter[0]) // DAY
    options = periods(("2001", "2001"), ("2002", "2002"), ("2003", "2003"))
    assert all(len(split) for split in split_ranges(winter, options, 10, "noleap", tick).values())
    with pytest.raises(InputError):
        split_ranges(winter, options, 10, "noleap")


def test_a_split_without_a_window_is_refused_only_where_windows_are_required() -> None:
    tick = np.array([0, 1, 2, 5, 6, 7, 10, 11])
    splits = {"train": Split("train", 0, 8), "test": Split("test", 6, 8)}
    assert require_windows(splits, tick, 2, 1, names=["train"]) == {"train": 2}
    with pytest.raises(InputError, match=r"data\.split\.test holds 2 steps, at most 2 .* 2 \+ 1 = 3 steps"):
        require_windows(splits, tick, 2, 1, names=["train", "test"])


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 9))
def test_folds_are_even_blocks_in_time(windows: int, folds: int) -> None:
    fold = fold_of(np.arange(windows), folds)
    assert fold.dtype == np.int64
    assert np.all(np.diff(fold) >= 0)
    sizes = np.bincount(fold, minlength=folds)
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1
