"""Times since 1970 in any calendar, and back."""

import cftime
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.calendar import (
    DAY,
    clock_features,
    iso_string,
    months_of,
    parse_date,
    parse_period,
    to_datetimes,
    to_seconds,
)

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_dates_come_back_as_the_seconds_they_were(calendar: str) -> None:
    time = np.array([-(10**9), 0, 951_782_400, 2 * 10**9 + 21600])
    assert np.array_equal(to_seconds(to_datetimes(time, calendar), calendar), time)
    assert [parse_date(iso_string(int(t), calendar), calendar) for t in time] == time.tolist()


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
    assert iso_string(int(to_seconds([date], "standard")[0]), "standard").startswith("1500-02-29")


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
    assert iso_string(first, "standard").startswith(text)


def test_30_february_is_a_day_of_the_360_day_calendar_only() -> None:
    assert parse_date("2001-02-30", "360_day") == (31 * 360 + 59) * DAY
    with pytest.raises(InputError, match=r"data\.start: '2001-02-30' is no date of the calendar 'noleap'"):
        parse_date("2001-02-30", "noleap", "data.start")


@pytest.mark.parametrize("text", ["", "yesterday", "2001-13", "01-02-2001", "2001-01-01 25:00"])
def test_text_that_is_no_date_is_refused_with_the_key(text: str) -> None:
    with pytest.raises(InputError, match=r"data\.split\.test"):
        parse_date(text, "standard", "data.split.test")
