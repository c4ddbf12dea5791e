"""Moments are decoded, read and written exactly in every calendar."""

import cftime
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.clock import (
    DAY,
    clock_features,
    dates,
    decode_time,
    months_of,
    parse_period,
    to_datetimes,
    to_seconds,
)

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"]


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


@pytest.mark.parametrize("calendar", CALENDARS)
def test_dates_come_back_as_the_seconds_they_were(calendar: str) -> None:
    time = np.array([-(10**9), 0, 951_782_400, 2 * 10**9 + 21600])
    assert np.array_equal(to_seconds(to_datetimes(time, calendar), calendar), time)
    assert [parse_period(text, calendar)[0] for text in dates(time, calendar)] == time.tolist()


@pytest.mark.parametrize("calendar", CALENDARS)
def test_the_fraction_of_the_year_runs_from_its_first_second_to_its_last(calendar: str) -> None:
    first, after = parse_period("2003", calendar)
    clock = clock_features(np.array([first, (first + after) // 2, after - 1, after]), calendar)
    assert clock.dtype == np.float32
    assert clock[0].tolist() == [0.0, 0.0]
    assert clock[1, 1] == pytest.approx(0.5)
    assert 0.999 < clock[2, 1] < 1
    assert clock[3, 1] == 0.0


def test_the_fraction_of_the_day_is_that_of_utc_before_1970_too() -> None:
    time = np.array([-DAY // 4, 0, DAY // 4, DAY - 1])
    assert clock_features(time, "standard")[:, 0] == pytest.approx([0.75, 0, 0.25, 1 - 1 / DAY])


def test_months_follow_the_calendar() -> None:
    time = np.arange(0, 360) * DAY
    assert np.array_equal(months_of(time, "360_day"), np.repeat(np.arange(1, 13), 30))
    assert months_of(np.array([58, 59]) * DAY, "noleap").tolist() == [2, 3]
    assert months_of(np.array([-1, 0]), "standard").tolist() == [12, 1]


def test_an_early_date_of_the_standard_calendar_is_julian() -> None:
    date = cftime.datetime(1500, 2, 29, calendar="standard")
    assert dates(to_seconds([date], "standard"), "standard")[0].startswith("1500-02-29")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2001", 365),
        ("2000", 366),
        ("2000-02", 29),
        ("2000-12", 31),
        ("2000-02-29", 1),
        ("2001-06-30T12", 1 / 24),
    ],
)
def test_a_short_date_names_all_that_it_covers(text: str, days: float) -> None:
    first, after = parse_period(text, "standard")
    assert after - first == days * DAY
    assert dates(np.array(first), "standard")[0].startswith(text)


def test_30_february_is_a_day_of_the_360_day_calendar_only() -> None:
    assert parse_period("2001-02-30", "360_day")[0] == (31 * 360 + 59) * DAY
    with pytest.raises(InputError, match=r"data\.start: '2001-02-30' is no date of the calendar 'noleap'"):
        parse_period("2001-02-30", "noleap", "data.start")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2001-13", "01-02-2001", "2001-01-01 25:00", "2001-01-01 12:60"]
)
def test_text_that_is_no_date_is_refused_with_the_key(text: str) -> None:
    with pytest.raises(InputError, match=r"data\.split\.test"):
        parse_period(text, "standard", "data.split.test")
