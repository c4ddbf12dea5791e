"""Dates of the CF calendars as day numbers, for whole arrays at once.

Day 0 is 1970-01-01 of the calendar at hand; years are astronomical (year 0 exists). The Gregorian part is
Howard Hinnant's `days_from_civil`; "standard" is Julian before 1582-10-15, as CF 4.4.1 defines it.
"""

import numpy as np

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

_BEFORE_MONTH = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], dtype=np.int64)
_BEFORE_MONTH_LEAP = _BEFORE_MONTH + (np.arange(12) > 1)
_JULIAN_EPOCH = 13  # days from 1970-01-01 Gregorian to 1970-01-01 Julian


def days_from_date(year: Whole, month: Whole, day: Whole, calendar: str) -> np.ndarray:
    """Day numbers since 1970-01-01 of `calendar`, int64, for integer years, months 1-12 and days from 1."""
    year = np.asarray(year, dtype=np.int64)
    month = np.asarray(month, dtype=np.int64)
    day = np.asarray(day, dtype=np.int64)
    if calendar == "360_day":
        return (year - 1970) * 360 + (month - 1) * 30 + day - 1
    if calendar == "noleap":
        return (year - 1970) * 365 + _BEFORE_MONTH[month - 1] + day - 1
    if calendar == "all_leap":
        return (year - 1970) * 366 + _BEFORE_MONTH_LEAP[month - 1] + day - 1
    march_year = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    julian = 1461 * march_year // 4 + day_of_year - 719470
    if calendar == "julian":
        return julian - _JULIAN_EPOCH
    century = march_year // 100
    gregorian = 1461 * march_year // 4 - century + century // 4 + day_of_year - 719468
    if calendar == "proleptic_gregorian":
        return gregorian
    modern = year * 10000 + month * 100 + day >= 15821015
    return np.where(modern, gregorian, julian)


def date_from_days(days: Whole, calendar: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Year, month (1-12) and day (from 1) of day numbers since 1970-01-01 of `calendar`, each int64."""
    days = np.asarray(days, dtype=np.int64)
    if calendar == "360_day":
        return days // 360 + 1970, days % 360 // 30 + 1, days % 30 + 1
    if calendar in ("noleap", "all_leap"):
        length, before = (365, _BEFORE_MONTH) if calendar == "noleap" else (366, _BEFORE_MONTH_LEAP)
        day_of_year = days % length
        month = np.searchsorted(before, day_of_year, side="right")
        return days // length + 1970, month.astype(np.int64), day_of_year - before[month - 1] + 1
    if calendar == "julian":
        return _julian_date(days + _JULIAN_EPOCH)
    gregorian = _gregorian_date(days)
    if calendar == "proleptic_gregorian":
        return gregorian
    julian = _julian_date(days)
    modern = days >= GREGORIAN_FROM
    year, month, day = (np.where(modern, new, old) for new, old in zip(gregorian, julian, strict=True))
    return year, month, day


def month_number(days: Whole, calendar: str) -> np.ndarray:
    """Months since January of year 0 in which the days lie, int64: equal months are equal numbers."""
    year, month, _ = date_from_days(days, calendar)
    return year * 12 + month - 1


def first_of_month(months: Whole, calendar: str) -> np.ndarray:
    """Day numbers of the first day of the months that `month_number` counts, int64."""
    months = np.asarray(months, dtype=np.int64)
    return days_from_date(months // 12, months % 12 + 1, np.ones_like(months), calendar)


def _gregorian_date(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shifted = days + 719468
    era = shifted // 146097
    of_era = shifted - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    day_of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    return _from_march(year_of_era + era * 400, day_of_year)


def _julian_date(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shifted = days + 719470
    march_year = (4 * shifted + 3) // 1461
    return _from_march(march_year, shifted - 1461 * march_year // 4)


def _from_march(march_year: np.ndarray, day_of_year: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Year, month and day from years that begin on the first of March."""
    from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * from_march + 2) // 5 + 1
    month = (from_march + 2) % 12 + 1
    return march_year + (month <= 2), month, day
