"""The loop of `skyreel schedule`: it waits for due times, and starts shots in processes of their own."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipelines.scheduling.clock import Clock
from pipelines.scheduling.durations import shown
from pipelines.scheduling.firing import WATCH, Firing, Launch
from pipelines.scheduling.notes import LEFT, SKIPPED, STARTED, WATCHED, Notes
from pipelines.scheduling.policies import choose, starts
from pipelines.scheduling.scheduled_jobs import JobFolder, ScheduledJob
from pipelines.scheduling.times import shown_time

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Firings that are told when the scheduler ends; the ledger has all."""
PAUSE = 0.1
"""Seconds between looks at shots that a stopping scheduler waits for."""


@dataclass
class State:
    """Where a job stands: due times up to `after` are dealt with, or wait in `queue`, or are `at_work`.

    coming: the next due time and when its shot starts, None where none comes any more.
    """

    job: ScheduledJob
    after: datetime
    coming: tuple[datetime, datetime] | None = None
    queue: deque[datetime] = field(default_factory=deque)
    at_work: Firing | None = None

    def pass_to(self, after: datetime) -> None:
        """Due times up to `after` are settled."""
        self.after = after
        self.coming = next(starts(self.job.name, self.job.schedule, after), None)


@dataclass
class Scheduler:
    """Starts what is due, never two shots of a job at once, at most `parallel` jobs at once.

    What comes due while a job is at work is missed, and its policy decides. `stopped` is asked between looks.
    patience: how long a stop waits for shots at work.
    """

    folder: JobFolder
    notes: Notes
    launch: Launch
    clock: Clock
    stopped: Callable[[], bool]
    parallel: int = 1
    patience: timedelta = timedelta(minutes=1)
    ended: list[Firing] = field(default_factory=list)
    _states: dict[str, State] = field(default_factory=dict)

    def run(self) -> list[Firing]:
        """Work until `stopped`; the firings that are still at work then, which go on by themselves."""
        while not self.stopped():
            self.step()
            self.clock.wait(self._wake(), busy=bool(self._at_work()))
        return self._leave()

    def step(self) -> None:
        """Note what has ended, see what is due, start what there is room for."""
        now = self.clock.now()
        if self.folder.refresh() or not self._states:
            self._take_over(now)
        for state in self._at_work():
            self._go_on(state)
        for state in self._states.values():
            if self._is_free(state) and state.coming is not None and state.coming[1] <= now:
                self._decide(state, now)
        waiting = [state for state in self._states.values() if state.queue and state.at_work is None]
        for state in sorted(waiting, key=lambda state: (state.queue[0], state.job.name)):
            if len(self._at_work()) < self.parallel and state.job.name in self.folder.jobs:
                self._start(state)

    def _take_over(self, now: datetime) -> None:
        """Let the jobs as they are now in the folder take the places of those that were there."""
        for name, job in self.folder.jobs.items():
            state = self._states.get(name)
            if state is None:
                last = self.notes.last(name)
                if last is None:
                    self.notes.write(name, now, WATCHED)
                state = self._states[name] = State(job, now if last is None else min(last, now))
                state.pass_to(state.after)
                _tell_next(state)
            elif state.job != job:
                edited = state.job.schedule != job.schedule
                state.job = job
                if edited:
                    state.pass_to(max(now, state.after))
                    _tell_next(state)
        for name in [*self._states]:
            gone = name not in self.folder.jobs and name not in self.folder.broken
            if gone and self._states[name].at_work is None:
                del self._states[name]

    def _is_free(self, state: State) -> bool:
        """Whether the job can be used, and nothing of it is at work or waits for a place."""
        return state.at_work is None and not state.queue and state.job.name in self.folder.jobs

    def _decide(self, state: State, now: datetime) -> None:
        """Queue those due times that get a shot; note and tell the others."""
        name, zone = state.job.name, state.job.schedule.zone
        chosen = choose(name, state.job.schedule, state.after, now)
        for due in chosen.skipped[-1:]:
            self.notes.write(name, due, SKIPPED)
            log.warning(
                "%s: %d due times were missed and are skipped (missed: %s), %s the last",
                *(name, len(chosen.skipped), state.job.schedule.missed, shown_time(due, zone)),
            )
        state.queue.extend(chosen.run)
        state.pass_to(max([*chosen.run, *chosen.skipped]))

    def _start(self, state: State) -> None:
        """Begin with the first of the queue."""
        due = state.queue.popleft()
        state.at_work = Firing(state.job, due, self.launch)
        log.info("%s: due %s", state.job.name, shown_time(due, state.job.schedule.zone))
        self._go_on(state)

    def _go_on(self, state: State, stopping: bool = False) -> None:
        """Bring a job's firing a step further; note and tell its end."""
        firing = state.at_work
        if firing is None:
            return
        had_shot, process = firing.has_shot, firing.process
        going = firing.go_on(stopping)
        if going and firing.process != process:
            log.info("%s: %s", state.job.name, _what(firing))
            if not had_shot and firing.has_shot:
                self.notes.write(state.job.name, firing.due, STARTED)
        if not going:
            state.at_work = None
            self._end(state, firing, stopping)

    def _end(self, state: State, firing: Firing, stopping: bool) -> None:
        """Note and tell how a firing ended."""
        if not firing.has_ended:
            log.info("%s: stopped before the shot; its due time counts as missed", state.job.name)
            return
        self.ended.append(firing)
        del self.ended[:-REMEMBERED]
        self.notes.write(state.job.name, firing.due, firing.outcome)
        tell_end(firing)
        if not state.queue and not stopping:
            _tell_next(state)

    def _at_work(self) -> list[State]:
        return [state for state in self._states.values() if state.at_work is not None]

    def _wake(self) -> datetime | None:
        """When the next shot starts, of the jobs that could start one."""
        coming = [state.coming[1] for state in self._states.values() if state.coming and self._is_free(state)]
        return min(coming, default=None)

    def _leave(self) -> list[Firing]:
        """Wait for the shots at work, but not for ever; those that are left go on by themselves."""
        if names := [state.job.name for state in self._at_work()]:
            log.info("stopping; waiting up to %s for: %s", shown(self.patience), ", ".join(names))
        until = time.monotonic() + self.patience.total_seconds()
        while self._at_work():
            for state in self._at_work():
                self._go_on(state, stopping=True)
            if time.monotonic() >= until:
                break
            time.sleep(PAUSE)
        left = [state.at_work for state in self._at_work() if state.at_work is not None]
        for firing in left:
            if firing.has_shot:
                self.notes.write(firing.job.name, firing.due, LEFT)
            log.warning("%s: left running as process %s; it ends by itself", firing.job.name, firing.process)
        return left


def tell_end(firing: Firing) -> None:
    """Tell how a firing ended, with its last words where somebody has to look."""
    name, seconds = firing.job.name, firing.seconds
    if firing.ended_ill:
        log.error(
            "%s: %s (exit status %s) after %.0f s: %s; all of it is in %s",
            *(name, firing.outcome, firing.status, seconds, firing.last_words(), firing.launch.log(name)),
        )
    elif firing.outcome == "busy":
        log.warning("%s: another shot of this job is at work; this due time is left to it", name)
    else:
        log.info("%s: %s (exit status %s) after %.0f s", name, firing.outcome, firing.status, seconds)


def _what(firing: Firing) -> str:
    """What a firing has just started, and as which process."""
    before = "" if firing.watched is None else f"{WATCH} ended with exit status {firing.watched}; "
    what = "a shot" if firing.has_shot else WATCH
    return f"{before}{what} is at work as process {firing.process}"


def _tell_next(state: State) -> None:
    """Tell when a job comes due next."""
    if state.coming is None:
        log.info("%s: never due again", state.job.name)
    else:
        log.info("%s: due next %s", state.job.name, shown_time(state.coming[0], state.job.schedule.zone))
