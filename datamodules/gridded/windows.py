"""Which windows may be cut from a store: whole ones, never across a gap, never across a split.

Pure functions of the ticks, times and settings; nothing here reads a map. A window is `history` observed
steps followed by `horizon` steps to forecast, and its id is the store index of its first step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.clock import dates, parse_period
from datamodules.gridded.options import SplitOptions

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """A range of store indices: steps `first` to `stop` - 1. Empty when the two are equal."""

    name: str
    first: int
    stop: int

    def __len__(self) -> int:
        """How many steps the split holds."""
        return self.stop - self.first


def valid_starts(tick: np.ndarray, history: int, horizon: int, stride: int = 1) -> np.ndarray:
    """Indices of the first steps of all whole windows, int64 (window,), in order of time.

    tick: (time,) int64, strictly increasing; neighbours that differ by one have no gap between them.
    stride: keep every so many windows, counted from the first.
    """
    if history < 1 or horizon < 1 or stride < 1:
        raise ValueError(f"history, horizon and stride are at least 1, not {history}, {horizon}, {stride}")
    last = history + horizon - 1
    tick = np.asarray(tick, dtype=np.int64)
    if len(tick) <= last:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(tick[last:] - tick[: len(tick) - last] == last).astype(np.int64)[::stride]


def split_starts(split: Split, tick: np.ndarray, history: int, horizon: int, stride: int = 1) -> np.ndarray:
    """Store indices of the first steps of all windows that lie wholly inside `split`, int64 (window,)."""
    return valid_starts(tick[split.first : split.stop], history, horizon, stride) + split.first


def fold_of(starts: np.ndarray, folds: int) -> np.ndarray:
    """The cross-fitting block of each training window, int64 (window,), 0 to folds - 1.

    Blocks are contiguous in time and differ by at most one window. Windows next to a block's border share
    steps with the neighbour block: who fits across blocks leaves those out.
    """
    if folds < 1:
        raise ValueError(f"folds is at least 1, not {folds}")
    return np.arange(len(starts), dtype=np.int64) * folds // max(len(starts), 1)


def split_ranges(
    time: np.ndarray, options: SplitOptions, window: int, calendar: str, tick: np.ndarray | None = None
) -> dict[str, Split]:
    """The ranges of "train", "validation" and "test": no step shared, a window or more between them.

    time:   (time,) int64 seconds since 1970 in `calendar`, increasing
    window: history + horizon, steps
    tick:   (time,) int64; when given, steps that the data lack count as distance between periods of dates

    Fractions run in order of time and end with the last step: the test split starts at
    round((1 - test) * steps), and each earlier split loses a window at its end. Periods of dates are taken as
    they are, ends inclusive. Errors: InputError when two periods overlap or are closer than a window.
    """
    parts = (options.train, options.validation, options.test)
    if any(isinstance(part, float) for part in parts):
        return _by_fraction(len(time), [float(part) for part in parts if isinstance(part, float)], window)
    periods = {name: part for name, part in zip(SPLITS, parts, strict=True) if not isinstance(part, float)}
    ranges = {name: _by_dates(name, period, time, calendar) for name, period in periods.items()}
    steps = np.arange(len(time)) if tick is None else np.asarray(tick)
    for earlier, later in pairwise(sorted((s for s in ranges.values() if len(s)), key=lambda s: s.first)):
        free = 0 if later.first < earlier.stop else int(steps[later.first] - steps[earlier.stop - 1]) - 1
        if free < window:
            raise InputError(_too_close(earlier, later, periods, free, window, time, steps, calendar))
    return ranges


def _by_fraction(count: int, shares: list[float], window: int) -> dict[str, Split]:
    """Splits at the fractions of `count` steps, from the last one back."""
    ranges: dict[str, Split] = {}
    stop, behind = count, 0.0
    for name, share in reversed(list(zip(SPLITS, shares, strict=True))):
        behind += share
        first = min(max(round((1 - behind) * count), 0), count)
        ranges[name] = Split(name, first, max(first, stop))
        stop = first - window
    return {name: ranges[name] for name in SPLITS}


def _by_dates(name: str, period: tuple[str, str], time: np.ndarray, calendar: str) -> Split:
    """The steps from the start of the first date to the end of the second."""
    key = f"data.split.{name}"
    start, _ = parse_period(period[0], calendar, key)
    _, end = parse_period(period[1], calendar, key)
    first, stop = np.searchsorted(time, [start, end], side="left")
    return Split(name, int(first), max(int(first), int(stop)))


def _too_close(
    earlier: Split,
    later: Split,
    periods: Mapping[str, tuple[str, str]],
    free: int,
    window: int,
    time: np.ndarray,
    steps: np.ndarray,
    calendar: str,
) -> str:
    """What to tell about two periods that are closer than a window, with the date that would do."""
    told = " and ".join(f"data.split.{s.name} = [{', '.join(periods[s.name])}]" for s in (earlier, later))
    overlap = later.first < earlier.stop
    how = "overlap" if overlap else f"have {free} steps between them"
    room = int(np.searchsorted(steps, steps[later.first] - window, side="left")) - 1
    ways = []
    if room >= earlier.first:
        ways.append(f"end data.split.{earlier.name} at {dates(time[room], calendar)[0]} or before")
    after = int(np.searchsorted(steps, steps[earlier.stop - 1] + window, side="right"))
    if after < later.stop:
        ways.append(f"start data.split.{later.name} at {dates(time[after], calendar)[0]} or after")
    way_out = " or ".join(ways) or "shorten history or horizon, or choose other periods"
    return (
        f"{told} {how}; a window is {window} steps (history + horizon), and that many must lie between two "
        f"splits so that neither sees the other: {way_out}"
    )


def require_windows(
    splits: Mapping[str, Split],
    tick: np.ndarray,
    history: int,
    horizon: int,
    names: Iterable[str] = SPLITS,
) -> dict[str, int]:
    """How many windows each of the splits `names` holds; refuses one that holds none.

    Errors: InputError with the split's steps, the longest stretch without a gap, and what would help.
    """
    counts = {}
    for name in names:
        split = splits[name]
        counts[name] = len(split_starts(split, tick, history, horizon))
        if counts[name] == 0:
            raise InputError(
                f"data.split.{name} holds {len(split)} steps, at most {_longest_run(tick, split)} of them "
                f"without a gap, but a window is {history} + {horizon} = {history + horizon} steps (history "
                f"+ horizon): give data.split.{name} a longer time, or shorten history or horizon"
            )
    return counts


def _longest_run(tick: np.ndarray, split: Split) -> int:
    """Steps of the longest stretch of a split without a gap."""
    inside = np.asarray(tick[split.first : split.stop])
    if len(inside) == 0:
        return 0
    breaks = np.flatnonzero(np.diff(inside) != 1) + 1
    return int(np.diff(np.concatenate([[0], breaks, [len(inside)]])).max())
