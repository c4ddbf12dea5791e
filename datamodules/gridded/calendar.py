"""Seconds since 1970-01-01 in any CF calendar, and back: dates, text, the clock of a map.

A store's time is int64 seconds since 1970-01-01 00:00 UTC counted in the calendar of its files. Real
calendars go through numpy, the others (noleap, all_leap, 360_day, julian) through cftime (CF-1.11, 4.4.2).
"""

import re
from collections.abc import Iterable
from typing import Any

import cftime
import numpy as np

from datamodules.errors import InputError

EPOCH = "seconds since 1970-01-01 00:00:00"
DAY = 86400
FIRST_GREGORIAN = -12_219_292_800
"""1582-10-15 in seconds since 1970: before it the calendar "standard" is Julian, unknown to numpy."""
DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2})"
    r"(?:[T ](?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?Z?)?)?)?"
)
PARTS = ("year", "month", "day", "hour", "minute", "second")


def _numpy_knows(calendar: str, earliest: int) -> bool:
    """True when numpy's proleptic Gregorian dates are this calendar's, from `earliest` on."""
    if calendar == "proleptic_gregorian":
        return True
    return calendar in ("standard", "gregorian") and earliest >= FIRST_GREGORIAN


def to_datetimes(time: np.ndarray, calendar: str) -> np.ndarray:
    """The dates of `time` (int64 seconds since 1970 in `calendar`), in the same shape.

    datetime64[s] in real calendars, cftime objects (dtype object) in the others.
    """
    time = np.asarray(time, dtype=np.int64)
    if time.size == 0 or _numpy_knows(calendar, int(time.min())):
        return time.astype("datetime64[s]")
    return np.asarray(cftime.num2date(time, EPOCH, calendar=calendar), dtype=object)


def to_seconds(dates: Iterable[Any] | np.ndarray, calendar: str) -> np.ndarray:
    """Seconds since 1970 in `calendar` (int64) of datetime64 or cftime dates: undoes `to_datetimes`."""
    dates = np.asarray(dates)
    if dates.dtype.kind == "M":
        return dates.astype("datetime64[s]").astype(np.int64)
    return np.asarray(cftime.date2num(dates, EPOCH, calendar=calendar)).round().astype(np.int64)


def _seconds_of(parts: tuple[int, ...], calendar: str) -> int:
    """Seconds since 1970 of (year, month, day, hour, minute, second) in `calendar`."""
    date = cftime.datetime(*parts, calendar=calendar)
    return round(float(cftime.date2num(date, EPOCH, calendar=calendar)))


def months_of(time: np.ndarray, calendar: str) -> np.ndarray:
    """The calendar month of each time, 1 to 12, int64 (time,)."""
    dates = to_datetimes(time, calendar)
    if dates.dtype.kind == "M":
        return dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return np.array([date.month for date in dates], dtype=np.int64)


def _year_fraction(time: np.ndarray, calendar: str) -> np.ndarray:
    """How much of its year each time has behind it, in [0, 1), float64 (time,)."""
    dates = to_datetimes(time, calendar)
    if dates.dtype.kind == "M":
        years = dates.astype("datetime64[Y]")
        first = years.astype("datetime64[s]").astype(np.int64)
        following = (years + 1).astype("datetime64[s]").astype(np.int64)
    else:
        found, where = np.unique([date.year for date in dates], return_inverse=True)
        first = np.array([_seconds_of((int(y), 1, 1, 0, 0, 0), calendar) for y in found])[where]
        following = np.array([_seconds_of((int(y) + 1, 1, 1, 0, 0, 0), calendar) for y in found])[where]
    return (time - first) / (following - first)


def clock_features(time: np.ndarray, calendar: str) -> np.ndarray:
    """Where each time stands on the clock: float32 (time, 2), both in [0, 1).

    Column 0 is the fraction of the UTC day, column 1 the fraction of the year, leap years being longer.
    `time` is int64 seconds since 1970 in `calendar`.
    """
    time = np.asarray(time, dtype=np.int64)
    clock = np.stack([np.mod(time, DAY) / DAY, _year_fraction(time, calendar)], axis=-1)
    return np.minimum(clock.astype(np.float32), np.nextafter(np.float32(1), np.float32(0)))


def iso_string(time: int, calendar: str) -> str:
    """The ISO 8601 date of one time: "2013-01-01T06:00:00"."""
    date = to_datetimes(np.array([time]), calendar)[0]
    return str(date) if isinstance(date, np.datetime64) else date.isoformat()


def parse_period(text: str, calendar: str, key: str = "date") -> tuple[int, int]:
    """First second of what an ISO date names, and the first second after it: "2001-06" is all of June.

    A year, month, day, hour, minute or second may be named; UTC. Times count since 1970 in `calendar`.
    Errors: InputError naming `key` for text that is no date, or no date of this calendar.
    """
    found = DATE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{key}: '{text}' is no date; write 2001, 2001-06, 2001-06-30 or 2001-06-30T12:00")
    named = [int(found[part]) for part in PARTS if found[part] is not None]
    parts = (*named, *(1, 1, 1, 0, 0, 0)[len(named) :])
    try:
        first = _seconds_of(parts, calendar)
    except ValueError as error:
        raise InputError(
            f"{key}: '{text}' is no date of the calendar '{calendar}' of the data ({error}); take another day"
        ) from error
    if len(named) >= 3:
        return first, first + (DAY, 3600, 60, 1)[len(named) - 3]
    year, month = (parts[0], parts[1] + 1) if len(named) == 2 else (parts[0] + 1, 1)
    following = (year + (month - 1) // 12, (month - 1) % 12 + 1, 1, 0, 0, 0)
    return first, _seconds_of(following, calendar)


def parse_date(text: str, calendar: str, key: str = "date") -> int:
    """First second of what an ISO date names, since 1970 in `calendar`; see `parse_period` for errors."""
    return parse_period(text, calendar, key)[0]
