"""Due times of a span of the past, one after the other without waiting, as if each were now."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.scheduling.due_times import due_between
from pipelines.scheduling.firing import Firing, Launch
from pipelines.scheduling.notes import LEFT, STARTED, Notes
from pipelines.scheduling.scheduled_jobs import JobFolder, ScheduledJob
from pipelines.scheduling.scheduler import PAUSE, tell_end
from pipelines.scheduling.times import shown_time

log = logging.getLogger(__name__)


def replayed(folder: JobFolder, since: datetime, until: datetime) -> list[tuple[datetime, ScheduledJob]]:
    """Every due time from `since` up to, but not at, `until`, of all jobs, in order of time, then name."""
    found = [
        (due, job)
        for job in folder.jobs.values()
        for due in due_between(job.schedule.cron, job.schedule.zone, since, until)
    ]
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


@dataclass
class Replay:
    """Shots for due times of the past, each told that its due time is now: no policy, no jitter, no waiting.

    `stopped` is asked between looks; a shot that is at work then has `patience` to end.
    """

    notes: Notes
    launch: Launch
    stopped: Callable[[], bool]
    patience: timedelta = timedelta(minutes=1)

    def run(self, dues: list[tuple[datetime, ScheduledJob]]) -> tuple[list[Firing], list[Firing]]:
        """The firings that ended, and those that are left at work when it was stopped."""
        ended: list[Firing] = []
        for number, (due, job) in enumerate(dues, 1):
            if self.stopped():
                log.warning("stopped; %d due times are left", len(dues) - number + 1)
                break
            log.info(
                "%d of %d: %s, due %s",
                *(number, len(dues), job.name, shown_time(due, job.schedule.zone)),
            )
            firing = Firing(job, due, self.launch, now=due)
            if not self._finish(firing):
                return ended, [firing]
            if firing.has_ended:
                ended.append(firing)
        return ended, []

    def _finish(self, firing: Firing) -> bool:
        """True once it is over; False where it is left at work."""
        until: float | None = None
        had_shot = False
        while firing.go_on(stopping=until is not None):
            if firing.has_shot and not had_shot:
                had_shot = True
                self.notes.write(firing.job.name, firing.due, STARTED)
            if until is None and self.stopped():
                until = time.monotonic() + self.patience.total_seconds()
                log.info("stopping; waiting for %s, process %s", firing.job.name, firing.process)
            if until is not None and time.monotonic() >= until:
                self.notes.write(firing.job.name, firing.due, LEFT)
                log.warning("%s: left running as process %s", firing.job.name, firing.process)
                return False
            time.sleep(PAUSE)
        if firing.has_ended:
            self.notes.write(firing.job.name, firing.due, firing.outcome)
            tell_end(firing)
        return True
