"""The step of a time axis and the tick of every frame: which neighbours are exactly one step apart."""

import numpy as np

from datamodules.gridded.calendars import date_from_days, month_number
from datamodules.gridded.clock import DAY
from datamodules.gridded.describe import Step

_SHORTEST_MONTH, _LONGEST_MONTH = (
    20.0,
    41.0,
)  # days between frames of neighbouring months, wherever in the month


def find_step(time: np.ndarray, calendar: str) -> Step:
    """The most common distance of neighbouring frames, in seconds, or in calendar months for monthly data.

    time: int64 (time,), at least two, strictly increasing, seconds since 1970 in `calendar`. Frames are
    monthly when no two share a month, they lie about a month apart for each month passed, and their
    distances either vary as months do or keep the day of the month. Of equally common distances the shortest
    is taken.
    """
    seconds = np.diff(time)
    months = np.diff(month_number(time // DAY, calendar))
    if months.min() >= 1:
        days_per_month = seconds / DAY / months
        month_long = days_per_month.min() >= _SHORTEST_MONTH and days_per_month.max() <= _LONGEST_MONTH
        steady = bool((seconds == seconds[0]).all()) and calendar != "360_day"
        if month_long and (not steady or _same_day(time, calendar)):
            return Step(months=_most_common(months))
    return Step(seconds=_most_common(seconds))


def count_ticks(time: np.ndarray, step: Step, calendar: str) -> np.ndarray:
    """Ticks, int64 (time,), from 0: two neighbours differ by 1 exactly if they are one step apart.

    A gap of n whole steps adds n. A distance that is no whole number of steps adds at least 2, so that no
    window can reach across it; the frames after it count on from there.
    """
    clock = time if step.months is None else month_number(time // DAY, calendar)
    length = step.seconds or step.months or 1
    whole, rest = np.divmod(np.diff(clock), length)
    jumps = np.where((rest == 0) & (whole > 0), whole, whole + 2)
    return np.concatenate([[0], np.cumsum(jumps)]).astype(np.int64)


def irregular_fraction(time: np.ndarray, step: Step, calendar: str) -> float:
    """The share of neighbouring frames that are not exactly one step apart."""
    return float((np.diff(count_ticks(time, step, calendar)) != 1).mean()) if time.size > 1 else 0.0


def _same_day(time: np.ndarray, calendar: str) -> bool:
    """True where all frames lie on the same day of their months, give or take a month's end."""
    _, _, day = date_from_days(time // DAY, calendar)
    return int(day.max() - day.min()) <= 3


def _most_common(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])
