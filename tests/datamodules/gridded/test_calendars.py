"""Day numbers are the dates that cftime says, in every calendar, for one day and for arrays."""

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.gridded.calendars import (
    ALIASES,
    calendar_name,
    date_exists,
    date_from_days,
    days_from_date,
    first_of_month,
    month_number,
    months_later,
)

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"]


@given(st.sampled_from(CALENDARS), st.integers(-700000, 400000))
def test_days_are_the_dates_that_cftime_says(calendar: str, number: int) -> None:
    year, month, day = (int(part) for part in date_from_days(number, calendar))
    assert int(days_from_date(year, month, day, calendar)) == number
    if year > 0:
        date = cftime.num2date(number, "days since 1970-01-01", calendar)
        assert (date.year, date.month, date.day) == (year, month, day)


@given(st.sampled_from(CALENDARS), st.integers(-130000, 100000), st.integers(-1500, 1500))
def test_months_later_keep_the_day_or_take_the_last_of_the_month(
    calendar: str, day: int, months: int
) -> None:
    date = cftime.num2date(day, "days since 1970-01-01", calendar)
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    first = date.replace(year=year, month=month + 1, day=1)
    expected = first.replace(day=min(date.day, first.daysinmonth))
    later = int(months_later(day, months, calendar))
    assert later == round(float(cftime.date2num(expected, "days since 1970-01-01", calendar=calendar)))
    assert month_number(later, calendar) == month_number(day, calendar) + months
    assert first_of_month(month_number(day, calendar), calendar) == day - date.day + 1


def test_a_calendar_has_its_own_dates_and_no_others() -> None:
    leap = {name: bool(date_exists(2001, 2, 29, name)) for name in CALENDARS}
    assert leap == {name: name in ("all_leap", "360_day") for name in CALENDARS}
    assert [name for name in CALENDARS if date_exists(1900, 2, 29, name)] == ["all_leap", "360_day", "julian"]
    assert [name for name in CALENDARS if date_exists(2000, 12, 31, name)] == [
        name for name in CALENDARS if name != "360_day"
    ]
    months, days = np.array([0, 1, 2, 13, 12]), np.array([1, 0, 30, 1, 1])
    assert date_exists(np.full(5, 2000), months, days, "standard").tolist() == [False] * 4 + [True]


def test_the_standard_calendar_has_no_days_between_4_and_15_october_1582() -> None:
    last, first = (int(days_from_date(1582, 10, day, "standard")) for day in (4, 15))
    assert first - last == 1
    assert not date_exists(1582, 10, np.arange(5, 15), "standard").any()


def test_unknown_calendars_are_refused_and_aliases_united() -> None:
    assert calendar_name("365_day", "f") == calendar_name("noleap", "f") == "noleap"
    with pytest.raises(InputError, match="'lunar'"):
        calendar_name("lunar", "f")


def test_an_alias_counts_as_the_calendar_it_stands_for_and_others_are_no_calendars() -> None:
    days = np.array([-1000, 0, 1000])
    for alias, name in ALIASES.items():
        np.testing.assert_array_equal(date_from_days(days, alias), date_from_days(days, name))
    with pytest.raises(KeyError, match="lunar"):
        date_from_days(days, "lunar")
