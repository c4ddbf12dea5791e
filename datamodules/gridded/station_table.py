"""What a file of series holds on its own clock: `Table`, and the choice of its columns."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import date_exists, days_from_date
from datamodules.gridded.clock import DAY


@dataclass(frozen=True, eq=False)
class Table:
    """Series as read, times sorted and unique.

    time:       int64 (time,), seconds since 1970-01-01 00:00 in the calendar that the reader was asked for
    values:     float64 (time, series), NaN = missing
    lat, lon:   float64 (series,), degrees, NaN where the file gives none
    dates_only: the file writes dates without a time of day
    """

    time: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]
    lat: np.ndarray
    lon: np.ndarray
    dates_only: bool = False
    warnings: list[str] = field(default_factory=list)


def civil_seconds(
    date: tuple[np.ndarray, np.ndarray, np.ndarray], second_of_day: np.ndarray, calendar: str
) -> tuple[np.ndarray, np.ndarray]:
    """(seconds since 1970-01-01 00:00 in `calendar`, int64; mask of the dates that the calendar has).

    date: year, month (1-12) and day (1-31), each int64 (time,). 29 February, for one, is not in noleap.
    """
    return days_from_date(*date, calendar) * DAY + second_of_day, date_exists(*date, calendar)


def lost_days(path: str, exists: np.ndarray, calendar: str) -> list[str]:
    """A warning that some rows fall on days that the calendar lacks, when there are any."""
    lost = int((~exists).sum())
    told = f"{path}: {lost} rows fall on days that the maps' calendar ({calendar}) lacks; left out"
    return [told] if lost else []


def absent(path: str, key: str, name: str, present: Iterable[str]) -> InputError:
    """The error for a column that the file lacks: it names the nearest that is there."""
    names = list(present)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return InputError(f"{path}: {key} '{name}' is not there; {hint}The file has: {listed or 'none'}")


def sort_times(time: np.ndarray, values: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(time, values, warnings) in order of time, each time once; of equal times the first that has a value.

    time: int64 (time,); values: float64 (time, series).
    """
    order = np.argsort(time, kind="stable")
    time, values = time[order], values[order]
    unique, first, counts = np.unique(time, return_index=True, return_counts=True)
    if len(unique) == len(time):
        return time, values, []
    merged = values[first].copy()
    disagree = np.zeros(len(unique), dtype=bool)
    for slot in np.flatnonzero(counts > 1):
        for row in values[first[slot] + 1 : first[slot] + counts[slot]]:
            both = ~np.isnan(merged[slot]) & ~np.isnan(row)
            disagree[slot] |= bool((merged[slot][both] != row[both]).any())
            merged[slot] = np.where(np.isnan(merged[slot]), row, merged[slot])
    warning = f"{path}: {len(time) - len(unique)} rows repeat a time; the first value was kept"
    if disagree.any():
        warning += f", although {int(disagree.sum())} of the times have values that differ"
    return unique, merged, [warning]


def chosen(path: str, names: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    """The names to keep, in the order of `columns`; all of them when it is None."""
    if columns is None:
        return list(names)
    for column in columns:
        if column not in names:
            raise absent(path, "data.series.columns", column, names)
    return list(columns)
