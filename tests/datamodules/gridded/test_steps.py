"""The step of a time axis and its ticks follow the calendar, also across gaps."""

import numpy as np
import pytest

from datamodules.gridded.calendars import days_from_date
from datamodules.gridded.clock import DAY
from datamodules.gridded.describe import Step
from datamodules.gridded.steps import count_ticks, find_step, irregular_fraction

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"]


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
