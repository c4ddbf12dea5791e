"""Which due times get a shot, and when it starts. Pure functions on aware datetimes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from pipelines.scheduling.due_times import due_after
from pipelines.scheduling.options import ScheduleOptions

GRACE = timedelta(seconds=60)
"""A shot that can start so soon after its time is on time; later, its due time was missed."""
NOTHING = timedelta(0)


@dataclass(frozen=True)
class Chosen:
    """Due times that get a shot, and those that get none, both in order."""

    run: tuple[datetime, ...] = ()
    skipped: tuple[datetime, ...] = ()


def start_time(job: str, due: datetime, next_due: datetime | None, jitter: timedelta) -> datetime:
    """When the shot for `due` starts: at most `jitter` later, and before `next_due`; in whole seconds.

    The same job and due time always give the same delay, so that a scheduler that is started again does the
    same; different jobs spread out evenly.
    """
    room = jitter if next_due is None else min(jitter, next_due - due - timedelta(seconds=1))
    digest = hashlib.sha256(f"{job}\n{due.timestamp():.0f}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return due + timedelta(seconds=int(share * (max(room, NOTHING).total_seconds() + 1)))


def starts(job: str, schedule: ScheduleOptions, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each due time later than `after` and when its shot starts, in order; it may go on for ever."""
    times = due_after(schedule.cron, schedule.zone, after)
    due = next(times, None)
    while due is not None:
        following = next(times, None)
        yield due, start_time(job, due, following, schedule.jitter)
        due = following


def choose(job: str, schedule: ScheduleOptions, after: datetime, now: datetime) -> Chosen:
    """Which of the due times later than `after`, whose shots could have started by `now`, get one.

    The newest is on time where its shot starts within GRACE; what is not is missed, and the policy decides.
    """
    come = list(takewhile(lambda pair: pair[1] <= now, starts(job, schedule, after)))
    dues = [due for due, _ in come]
    on_time = dues[-1:] if come and now - come[-1][1] <= GRACE else []
    missed = dues[: len(dues) - len(on_time)]
    if schedule.max_age is not None:
        oldest = now - schedule.max_age
        missed = [due for due in missed if due >= oldest]
    match schedule.missed:
        case "skip":
            missed = []
        case "latest":
            missed = [] if on_time else missed[-1:]
    run = [*missed, *on_time]
    chosen = set(run)
    return Chosen(tuple(run), tuple(due for due in dues if due not in chosen))
