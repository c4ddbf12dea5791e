"""A file's time axis decoded: from CF numbers and units to seconds since 1970 in the file's calendar."""

import re

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import ALIASES, date_from_days, days_from_date, first_of_month

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


def calendar_name(name: str | None, where: str) -> str:
    """The calendar's CF name ("standard" when the file says nothing); InputError names `where` for others."""
    known = ALIASES.get((name or "standard").strip().lower())
    if known is None:
        raise InputError(
            f"{where}: calendar {name!r} is not one of CF's. Allowed: {', '.join(sorted(ALIASES))}."
        )
    return known


def parse_moment(text: str, calendar: str, where: str) -> float:
    """Seconds since 1970-01-01 of a date such as 2010, 2010-05-01, 2010-05-01T06:00 or 01-JAN-2010
    06:00:00."""
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
    number = int(days_from_date(np.int64(year), np.int64(min(max(month, 1), 12)), np.int64(day), calendar))
    back = tuple(int(part) for part in date_from_days(np.int64(number), calendar))
    if back != (year, month, day):
        raise InputError(
            f"{where}: {text!r} is no date of the {calendar} calendar. Give a day that exists in it."
        )
    hour, minute, second = (float(part or 0) for part in match.group(4, 5, 6))
    return number * DAY + hour * 3600 + minute * 60 + second - _zone_seconds(match.group(7))


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


def dates(time: np.ndarray, calendar: str) -> list[str]:
    """ISO texts "YYYY-MM-DDTHH:MM:SS" of seconds since 1970 in `calendar`, for messages and tables."""
    time = np.atleast_1d(np.asarray(time, dtype=np.int64))
    parts = zip(*date_from_days(time // DAY, calendar), time % DAY, strict=True)
    return [
        f"{int(year):04d}-{int(month):02d}-{int(day):02d}"
        f"T{int(s) // 3600:02d}:{int(s) % 3600 // 60:02d}:{int(s) % 60:02d}"
        for year, month, day, s in parts
    ]


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
    year, month, day = (int(part) for part in date_from_days(np.int64(origin // DAY), calendar))
    whole = np.floor(months).astype(np.int64)
    starts, nexts = (
        np.minimum(first_of_month(number, calendar) + day - 1, first_of_month(number + 1, calendar) - 1)
        for number in (year * 12 + month - 1 + whole, year * 12 + month + whole)
    )
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
