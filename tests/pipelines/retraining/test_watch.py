"""When a champion is looked at again after its promotion, and how sure each look has to be."""

import pytest

from pipelines.retraining.limits import WatchOptions
from pipelines.retraining.under_way import EarlyEndError
from pipelines.retraining.watch import _stage

WATCH = WatchOptions(after_steps=120)


def looks(weekly: int, weeks: int) -> list[tuple[int, int]]:
    """The week and the stage of each look at a champion, shots coming once a week."""
    found, judged = [], 0
    for week in range(1, weeks + 1):
        try:
            stage = _stage(WATCH, week * weekly, judged)
        except EarlyEndError:
            continue
        found.append((week, stage))
        judged = week * weekly
    return found


def test_a_champion_is_looked_at_each_time_that_what_came_has_doubled() -> None:
    assert looks(28, 52) == [(5, 0), (9, 1), (18, 2), (35, 3)]


def test_a_long_pause_costs_no_look_twice() -> None:
    assert looks(1000, 3) == [(1, 3), (2, 4)]
    with pytest.raises(EarlyEndError, match="130 steps came since the promotion; it is judged after 240"):
        _stage(WATCH, 130, 125)
