"""When a cron expression comes due on the clock of a time zone. Pure functions on aware datetimes.

What happens where the clock is changed (the rules of Debian's cron, which cronsim follows):

- An expression whose minute or hour field begins with `*` repeats: it comes due whenever the clock shows a
  time that matches. An hour that the clock skips has none; an hour that it shows twice has all of them twice.
- Any other one names times of day, and each comes due once: a time that the clock skips, as soon as the clock
  has skipped it (several of them together are one); a time that it shows twice, the first time.

cronsim walks through the calendar; changes of the clock are dealt with here. cronsim could do both, but what
it finds then depends on where one begins (within a repeated hour it gives times that are over), and it loses
times in zones that change by half an hour.
"""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

MINUTE = timedelta(minutes=1)
LONGEST_REPEAT = timedelta(hours=3)
"""No clock has been put back by more since 1970; by three hours, that of Antarctica/Casey."""


def due_after(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The due times later than `after` (aware), in order and each once, in UTC; it may go on for ever.

    cron: five fields, as ScheduleOptions has checked them.
    """
    walls = CronSim(cron, after.astimezone(zone).replace(tzinfo=None) - LONGEST_REPEAT)
    repeats = any(field.startswith("*") for field in cron.split()[:2])
    last = after.astimezone(UTC)
    for due in _in_order(walls, zone, repeats):
        if due > last:
            yield due
            last = due


def due_between(cron: str, zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """The due times from `since` up to, but not at, `until`: neighbouring spans share none and lose none."""
    found = due_after(cron, zone, since.astimezone(UTC) - timedelta(microseconds=1))
    end = until.astimezone(UTC)
    return list(takewhile(lambda due: due < end, found))


def _in_order(walls: Iterator[datetime], zone: ZoneInfo, repeats: bool) -> Iterator[datetime]:
    """The instants of clock times that come in order; one may be told several times in a row.

    No later clock time has an instant before the first one of this, so what is up to there is settled.
    """
    waiting: list[datetime] = []
    for wall in walls:
        found = instants(wall, zone) if repeats else [once(wall, zone)]
        for one in found:
            heapq.heappush(waiting, one)
        while found and waiting[0] <= found[0]:
            yield heapq.heappop(waiting)
            if not waiting:
                break
    yield from sorted(waiting)


def instants(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """When, in UTC, the clock of `zone` shows `wall` (naive): never, once or twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return [first]
    return [first, second] if first < second else []


def once(wall: datetime, zone: ZoneInfo) -> datetime:
    """When, in UTC, the clock of `zone` first shows `wall` (naive), or else has skipped it."""
    while not (found := instants(wall, zone)):
        wall += MINUTE
    return found[0]
