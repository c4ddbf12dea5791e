"""Moments are decoded exactly in every calendar, and steps and ticks follow from them."""

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.gridded.calendars import date_from_days, days_from_date
from datamodules.gridded.clock import DAY, calendar_name, dates, decode_time
from datamodules.gridded.describe import Step
from datamodules.gridded.steps import count_ticks, find_step, irregular_fraction

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"]


@given(st.sampled_from(CALENDARS), st.integers(-700000, 400000))
def test_days_are_the_dates_that_cftime_says(calendar: str, number: int) -> None:
    year, month, day = (int(part) for part in date_from_days(number, calendar))
    assert int(days_from_date(year, month, day, calendar)) == number
    if year > 0:
        date = cftime.num2date(number, "days since 1970-01-01", calendar)
        assert (date.year, date.month, date.day) == (year, month, day)


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize(
    "units", ["hours since 1900-01-01 00:00:0.0", "days since 1850-1-1", "minutes since 1500-03-01T06:30"]
)
def test_time_axes_are_decoded_as_cftime_does(calendar: str, units: str) -> None:
    values = np.array([0.0, 0.25, 31.0, 40000.5])
    expected = cftime.date2num(cftime.num2date(values, units, calendar), "seconds since 1970-01-01", calendar)
    np.testing.assert_array_equal(decode_time(values, units, calendar, "f"), np.rint(expected))


def test_months_and_years_are_calendar_months_also_half_ones() -> None:
    time = decode_time(np.array([0, 1, 13, 1.5]), "months since 1958-1-1", "standard", "f")
    assert dates(time, "standard") == [
        "1958-01-01T00:00:00", "1958-02-01T00:00:00", "1959-02-01T00:00:00", "1958-02-15T00:00:00",
    ]  # fmt: skip
    years = decode_time(np.array([0, 1]), "years since 2000-02-29", "standard", "f")
    assert dates(years, "standard")[1] == "2001-02-28T00:00:00"


def test_zones_old_origins_and_absolute_days_are_understood() -> None:
    assert decode_time(np.array([0]), "hours since 1970-01-01 01:00 +01:00", "standard", "f")[0] == 0
    assert decode_time(np.array([1]), "days since 01-JAN-1970:00:00:00", "standard", "f")[0] == DAY
    assert decode_time(np.array([19700102.25]), "day as %Y%m%d.%f", "standard", "f")[0] == 1.25 * DAY


def test_narrow_floats_do_not_break_an_even_axis() -> None:
    hours = (np.arange(1000) / 24 + 40000).astype(np.float32)
    time = decode_time(hours, "days since 1900-01-01", "standard", "f")
    assert set(np.diff(time).tolist()) == {3600}


@pytest.mark.parametrize(
    "units", ["days", "fortnights since 1900-01-01", "days since 1900-02-30", "days since then"]
)
def test_units_without_a_date_are_refused(units: str) -> None:
    with pytest.raises(InputError, match="f"):
        decode_time(np.array([0.0]), units, "standard", "f")


def test_unknown_calendars_are_refused_and_aliases_united() -> None:
    assert calendar_name("365_day", "f") == calendar_name("noleap", "f") == "noleap"
    with pytest.raises(InputError, match="'lunar'"):
        calendar_name("lunar", "f")


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("day", [1, 15, 28])
def test_monthly_maps_are_known_whatever_their_day(calendar: str, day: int) -> None:
    months = np.arange(40)
    time = days_from_date(2000 + months // 12, months % 12 + 1, np.full(40, day), calendar) * DAY
    assert find_step(time, calendar) == Step(months=1)
    assert count_ticks(time, Step(months=1), calendar).tolist() == months.tolist()


def test_gaps_count_whole_steps_and_odd_distances_are_never_neighbours() -> None:
    time = np.array([0, 6, 12, 24, 25, 31, 37]) * 3600
    step = find_step(time, "standard")
    ticks = count_ticks(time, step, "standard")
    assert step == Step(seconds=6 * 3600)
    assert ((np.diff(ticks) == 1) == (np.diff(time) == 6 * 3600)).all()
    assert ticks[:4].tolist() == [0, 1, 2, 4]
    assert irregular_fraction(time, step, "standard") == pytest.approx(2 / 6)


def test_thirty_days_are_not_a_month() -> None:
    assert find_step(np.arange(20) * 30 * DAY, "standard") == Step(seconds=30 * DAY)
