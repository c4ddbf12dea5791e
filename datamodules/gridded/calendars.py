"""Dates of the CF calendars as day numbers, for whole arrays at once.

Day 0 is 1970-01-01 of the calendar at hand; years are astronomical (year 0 exists). Gregorian dates are
numpy's; "standard" is Julian before 1582-10-15 (CF-1.11, 4.4.2). The other calendars repeat themselves after
one year or four, so numpy's dates of a few model years serve for all of theirs.
"""

from typing import NamedTuple

import numpy as np

from datamodules.errors import InputError

Whole = np.ndarray | np.integer | int
"""Whole numbers, one or an array of them."""

ALIASES = {
    "standard": "standard",
    "gregorian": "standard",
    "proleptic_gregorian": "proleptic_gregorian",
    "noleap": "noleap",
    "365_day": "noleap",
    "all_leap": "all_leap",
    "366_day": "all_leap",
    "360_day": "360_day",
    "360": "360_day",
    "julian": "julian",
}
"""Calendar names that files use -> the name used here."""

GREGORIAN_FROM = -141427
"""1582-10-15, counted from 1970-01-01: the first day of the standard calendar that is Gregorian."""

_JULIAN_LATE = 13  # days from 1970-01-01 Gregorian to 1970-01-01 Julian


class _Cycle(NamedTuple):
    """Years after which a calendar repeats, and the Gregorian years that look like the first of them."""

    years: int
    days: int
    model_year: int  # the first of the Gregorian years
    model_day: int  # its first day, counted from 1970-01-01 Gregorian
    ahead: int  # by how much the calendar's own count of that day is higher


_CYCLES = {
    "noleap": _Cycle(years=1, days=365, model_year=1970, model_day=0, ahead=0),
    "all_leap": _Cycle(years=1, days=366, model_year=1972, model_day=730, ahead=2),
    "julian": _Cycle(years=4, days=1461, model_year=1972, model_day=730, ahead=0),
}


def calendar_name(name: str | None, where: str) -> str:
    """The calendar's CF name ("standard" when the file says nothing); InputError names `where` for others."""
    known = ALIASES.get((name or "standard").strip().lower())
    if known is None:
        raise InputError(
            f"{where}: calendar {name!r} is not one of CF's. Allowed: {', '.join(sorted(ALIASES))}."
        )
    return known


def days_from_date(year: Whole, month: Whole, day: Whole, calendar: str) -> np.ndarray:
    """Day numbers since 1970-01-01 of `calendar`, int64, for integer years, months 1-12 and days from 1.

    Dates that do not exist give the number of some other day; see `date_exists`.
    """
    calendar = ALIASES[calendar]
    year = np.asarray(year, dtype=np.int64)
    month = np.asarray(month, dtype=np.int64)
    day = np.asarray(day, dtype=np.int64)
    if calendar == "360_day":
        return (year - 1970) * 360 + (month - 1) * 30 + day - 1
    if calendar in _CYCLES:
        cycle = _CYCLES[calendar]
        passed = (year - cycle.model_year) // cycle.years
        model = _gregorian_days(year - passed * cycle.years, month, day)
        return model + cycle.ahead + passed * cycle.days
    gregorian = _gregorian_days(year, month, day)
    modern = year * 10000 + month * 100 + day >= 15821015
    if calendar == "proleptic_gregorian" or modern.all():
        return gregorian
    return np.where(modern, gregorian, days_from_date(year, month, day, "julian") + _JULIAN_LATE)


def date_from_days(days: Whole, calendar: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Year, month (1-12) and day (from 1) of day numbers since 1970-01-01 of `calendar`, each int64."""
    calendar = ALIASES[calendar]
    days = np.asarray(days, dtype=np.int64)
    if calendar == "360_day":
        return days // 360 + 1970, days % 360 // 30 + 1, days % 30 + 1
    if calendar in _CYCLES:
        cycle = _CYCLES[calendar]
        model = days - cycle.ahead
        passed = (model - cycle.model_day) // cycle.days
        year, month, day = _gregorian_date(model - passed * cycle.days)
        return year + passed * cycle.years, month, day
    gregorian = _gregorian_date(days)
    modern = days >= GREGORIAN_FROM
    if calendar == "proleptic_gregorian" or modern.all():
        return gregorian
    julian = date_from_days(days - _JULIAN_LATE, "julian")
    year, month, day = (np.where(modern, new, old) for new, old in zip(gregorian, julian, strict=True))
    return year, month, day


def date_exists(year: Whole, month: Whole, day: Whole, calendar: str) -> np.ndarray:
    """True where `calendar` has the date: 29 February, for one, is not in noleap."""
    back = date_from_days(days_from_date(year, month, day, calendar), calendar)
    same = [np.asarray(given) == found for given, found in zip((year, month, day), back, strict=True)]
    return np.asarray(np.logical_and.reduce(same))


def month_number(days: Whole, calendar: str) -> np.ndarray:
    """Months since January of year 0 in which the days lie, int64: equal months are equal numbers."""
    year, month, _ = date_from_days(days, calendar)
    return year * 12 + month - 1


def first_of_month(months: Whole, calendar: str) -> np.ndarray:
    """Day numbers of the first day of the months that `month_number` counts, int64."""
    months = np.asarray(months, dtype=np.int64)
    return days_from_date(months // 12, months % 12 + 1, np.ones_like(months), calendar)


def months_later(days: Whole, months: Whole, calendar: str) -> np.ndarray:
    """Day numbers of the same day so many calendar months later (or earlier, where negative), int64.

    A day that the month lacks becomes its last: 31 January and a month is 28 February. `days` and `months`
    broadcast against each other.
    """
    year, month, day = date_from_days(days, calendar)
    number = year * 12 + month - 1 + np.asarray(months, dtype=np.int64)
    return np.minimum(first_of_month(number, calendar) + day - 1, first_of_month(number + 1, calendar) - 1)


def _gregorian_days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1


def _gregorian_date(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    number = months.astype(np.int64)
    first = months.astype("datetime64[D]").astype(np.int64)
    return number // 12 + 1970, number % 12 + 1, days - first + 1
