"""What is done with time: a file's axis decoded, periods read, dates written, the clock of a map.

Time is int64 seconds since 1970-01-01 00:00 UTC, counted in the calendar of the data at hand.
"""

import re
from collections.abc import Iterable
from typing import Any

import cftime
import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import (
    ALIASES,
    GREGORIAN_FROM,
    date_exists,
    date_from_days,
    days_from_date,
    first_of_month,
    months_later,
)

EPOCH = "seconds since 1970-01-01 00:00:00"
DAY = 86400
_UNIT_SECONDS = {
    1e-6: ("microsecond", "microsec", "us"),
    1e-3: ("millisecond", "millisec", "msec", "ms"),
    1.0: ("second", "sec", "s"),
    60.0: ("minute", "min"),
    3600.0: ("hour", "hr", "h"),
    float(DAY): ("day", "d"),
    7.0 * DAY: ("week",),
}
_UNIT_MONTHS = {1: ("month", "mon"), 12: ("year", "yr")}
_ABBREVIATIONS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = (
    r"(?:[T:\s]+(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}(?:\.\d*)?))?)?"
    r"\s*(Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?\s*$"
)
_SINCE = re.compile(r"^\s*([a-z_]+)\s+since\s+(.+)$", re.IGNORECASE)
_DATE = re.compile(r"^\s*(-?\d{1,5})(?:-(\d{1,2})(?:-(\d{1,2}))?)?" + _CLOCK, re.IGNORECASE)
_ORIGIN = re.compile(r"^\s*(\d{1,2})-([a-z]{3})-(\d{1,4})" + _CLOCK, re.IGNORECASE)
_PERIOD = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[T ](\d{1,2})(?::(\d{2})(?::(\d{2}))?)?Z?)?)?)?"
)


def decode_time(values: np.ndarray, units: str, calendar: str, where: str) -> np.ndarray:
    """Seconds since 1970-01-01 00:00 of `calendar`, int64, of a CF time axis.

    values: numbers as stored, without missing ones; units: "hours since 1900-01-01", also months and years
    (which are counted in the calendar, a fraction of a month in that month's days), and "day as %Y%m%d.%f".
    A narrow type's rounding is undone where all moments then fall on whole minutes, quarters or hours.
    """
    if units.strip().lower().startswith("day as %y%m%d"):
        return _absolute_days(values, calendar)
    match = _SINCE.match(units)
    if not match:
        raise InputError(
            f"{where}: units {units!r} do not say since when. Set them to, e.g., 'days since 1950-01-01'."
        )
    name, origin = match.group(1).lower(), parse_moment(match.group(2), calendar, where)
    months = next((n for n, names in _UNIT_MONTHS.items() if _is_unit(name, names)), None)
    if months is not None:
        return _calendar_months(np.asarray(values, dtype=np.float64) * months, origin, calendar)
    seconds = next((n for n, names in _UNIT_SECONDS.items() if _is_unit(name, names)), None)
    if seconds is None:
        raise InputError(
            f"{where}: {name!r} in units {units!r} is no unit of time. Use days, hours, minutes or seconds."
        )
    if values.dtype.kind in "iu" and seconds >= 1:
        return values.astype(np.int64) * int(seconds) + round(origin)
    moments = np.asarray(values, dtype=np.float64) * seconds + origin
    resolution = (
        float(np.spacing(np.abs(values).max())) * seconds if values.size and values.dtype.kind == "f" else 0.0
    )
    return _snap(moments, resolution)


def parse_moment(text: str, calendar: str, where: str) -> float:
    """Seconds since 1970-01-01 of a date as files write it: 2010-05-01T06:00, 1-1-1, 01-JAN-2010 06:00:00.

    A zone such as +01:00 is counted to UTC. Errors: InputError naming `where` for what is no date.
    """
    match = _DATE.match(text)
    if match:
        year, month, day = (int(part or 1) for part in match.group(1, 2, 3))
    else:
        match = _ORIGIN.match(text)
        if not match or match.group(2).lower() not in _ABBREVIATIONS:
            raise InputError(
                f"{where}: {text!r} is not a date. Write it as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS."
            )
        day, month, year = (
            int(match.group(1)),
            1 + _ABBREVIATIONS.index(match.group(2).lower()),
            int(match.group(3)),
        )
    if not date_exists(year, month, day, calendar):
        raise InputError(
            f"{where}: {text!r} is no date of the {calendar} calendar. Give a day that exists in it."
        )
    hour, minute, second = (float(part or 0) for part in match.group(4, 5, 6))
    days = int(days_from_date(year, month, day, calendar))
    return days * DAY + hour * 3600 + minute * 60 + second - _zone_seconds(match.group(7))


def parse_period(text: str, calendar: str, key: str = "date") -> tuple[int, int]:
    """First second of what an ISO date names, and the first second after it: "2001-06" is all of June.

    A year, month, day, hour, minute or second may be named; UTC. Times count since 1970 in `calendar`.
    Errors: InputError naming `key` for text that is no date, or no date of this calendar.
    """
    found = _PERIOD.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{key}: '{text}' is no date; write 2001, 2001-06, 2001-06-30 or 2001-06-30T12:00")
    named = [int(part) for part in found.groups() if part is not None]
    year, month, day, hour, minute, second = (*named, *(1, 1, 1, 0, 0, 0)[len(named) :])
    if not date_exists(year, month, day, calendar) or hour > 23 or minute > 59 or second > 59:
        raise InputError(
            f"{key}: '{text}' is no date of the calendar '{calendar}' of the data; take a day and a time of "
            "day that exist"
        )
    first = int(days_from_date(year, month, day, calendar)) * DAY + hour * 3600 + minute * 60 + second
    if len(named) >= 3:
        return first, first + (DAY, 3600, 60, 1)[len(named) - 3]
    following = year * 12 + (month if len(named) == 2 else 12)
    return first, int(first_of_month(following, calendar)) * DAY


def dates(time: np.ndarray, calendar: str) -> list[str]:
    """ISO texts "YYYY-MM-DDTHH:MM:SS" of seconds since 1970 in `calendar`, for messages and tables."""
    time = np.atleast_1d(np.asarray(time, dtype=np.int64))
    parts = zip(*date_from_days(time // DAY, calendar), time % DAY, strict=True)
    return [
        f"{int(year):04d}-{int(month):02d}-{int(day):02d}"
        f"T{int(s) // 3600:02d}:{int(s) % 3600 // 60:02d}:{int(s) % 60:02d}"
        for year, month, day, s in parts
    ]


def months_of(time: np.ndarray, calendar: str) -> np.ndarray:
    """The calendar month of each time, 1 to 12, int64 (time,)."""
    return date_from_days(np.asarray(time, dtype=np.int64) // DAY, calendar)[1]


def clock_features(time: np.ndarray, calendar: str) -> np.ndarray:
    """Where each time stands on the clock: float32 (time, 2), both in [0, 1).

    Column 0 is the fraction of the UTC day, column 1 the fraction of the year, leap years being longer.
    `time` is int64 seconds since 1970 in `calendar`.
    """
    time = np.asarray(time, dtype=np.int64)
    year = date_from_days(time // DAY, calendar)[0]
    first, following = (days_from_date(one, 1, 1, calendar) * DAY for one in (year, year + 1))
    clock = np.stack([np.mod(time, DAY) / DAY, (time - first) / (following - first)], axis=-1)
    return np.minimum(clock.astype(np.float32), np.nextafter(np.float32(1), np.float32(0)))


def to_datetimes(time: np.ndarray, calendar: str) -> np.ndarray:
    """The dates of `time` (int64 seconds since 1970 in `calendar`), in the same shape.

    datetime64[s] where numpy's Gregorian dates are the calendar's, else cftime objects (dtype object).
    """
    time = np.asarray(time, dtype=np.int64)
    name = ALIASES[calendar]
    modern = name == "standard" and (time >= GREGORIAN_FROM * DAY).all()
    if name == "proleptic_gregorian" or modern or time.size == 0:
        return time.astype("datetime64[s]")
    return np.asarray(cftime.num2date(time, EPOCH, calendar=name), dtype=object)


def to_seconds(dates: Iterable[Any] | np.ndarray, calendar: str) -> np.ndarray:
    """Seconds since 1970 in `calendar` (int64) of datetime64 or cftime dates: undoes `to_datetimes`."""
    dates = np.asarray(dates)
    if dates.dtype.kind == "M":
        return dates.astype("datetime64[s]").astype(np.int64)
    return np.asarray(cftime.date2num(dates, EPOCH, calendar=ALIASES[calendar])).round().astype(np.int64)


def _is_unit(name: str, names: tuple[str, ...]) -> bool:
    return name in names or (name.endswith("s") and name[:-1] in names)


def _zone_seconds(zone: str | None) -> float:
    """Seconds by which a clock such as +01:00 is ahead of UTC."""
    if not zone or zone.upper() in ("Z", "UTC", "GMT"):
        return 0.0
    digits = zone[1:].replace(":", "")
    hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    return (-1 if zone[0] == "-" else 1) * (hours * 3600.0 + minutes * 60.0)


def _calendar_months(months: np.ndarray, origin: float, calendar: str) -> np.ndarray:
    """Moments so many calendar months after the origin; a day that a month lacks becomes its last."""
    months = np.round(months, 6)
    whole = np.floor(months).astype(np.int64)
    day = int(origin // DAY)
    starts, nexts = (months_later(day, number, calendar) for number in (whole, whole + 1))
    seconds = starts * DAY + (months - whole) * (nexts - starts) * DAY + origin % DAY
    return np.rint(seconds).astype(np.int64)


def _absolute_days(values: np.ndarray, calendar: str) -> np.ndarray:
    """Moments written as the number YYYYMMDD.fraction (climate data operators)."""
    number = np.asarray(values, dtype=np.float64)
    whole = np.floor(number + 1e-7).astype(np.int64)
    days = days_from_date(whole // 10000, whole // 100 % 100, whole % 100, calendar)
    return _snap(days * float(DAY) + (number - whole) * DAY, 5.0)


def _snap(moments: np.ndarray, resolution: float) -> np.ndarray:
    """Whole seconds; whole minutes to hours where the stored number cannot tell them from its neighbours."""
    if resolution > 0.1:
        for unit in (60, 300, 900, 1800, 3600, 10800, 21600, 43200, DAY):
            snapped = np.rint(moments / unit) * unit
            if unit >= 2 * resolution and np.abs(snapped - moments).max() <= resolution:
                return snapped.astype(np.int64)
    return np.rint(moments).astype(np.int64)
