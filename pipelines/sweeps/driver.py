"""The trials of a sweep, run one after the other or some at once, until all are done or a signal comes."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from datamodules.errors import InputError
from pipelines import interrupts
from pipelines.compose import compose
from pipelines.console import PLAIN_SECONDS
from pipelines.mistakes import CallError
from pipelines.ranks import processors
from pipelines.rundir import RunDir
from pipelines.sweeps.choosers import Chooser, chooser_of
from pipelines.sweeps.course import Course
from pipelines.sweeps.ledger import DONE, Ledger, State, Trial
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.progress import status_line
from pipelines.sweeps.trial_process import STOPPED, TrialProcess, share_of
from pipelines.tracking.journal import Journal
from pipelines.tracking.system import gpu_names

log = logging.getLogger(__name__)

PAUSE = 0.2
"""Seconds between looks at the trials."""
TRIAL_TAG = "skyreel.trial"
"""The MLflow tag of a trial that was pruned: `pruned`."""

OnEnd = Callable[[Trial], None]


class TrialsFailedError(Exception):
    """A trial failed and no other is to be tried, or all have failed."""


@dataclass
class Active:
    """A trial that runs: its process, its place among those at once, and why it is being stopped, if so."""

    process: TrialProcess
    slot: int
    pruned: str | None = None
    judged: int = 0


@dataclass
class Driver:
    """Brings a ledger to its end. `on_end` is called for each trial that is done for good."""

    plan: Plan
    ledger: Ledger
    on_end: OnEnd
    _active: dict[int, Active] = field(default_factory=dict)
    _failure: str | None = None
    _told: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._courses: dict[int, Course] = {}
        self._again = self._left_over()
        self._next = len(self.ledger.trials)
        self._chooser: Chooser = chooser_of(self.plan, self.ledger, self._courses)
        self._gpus = _gpus()

    def _left_over(self) -> list[int]:
        """Trials of earlier launches that are not done: stopped ones go on, failed ones are tried again."""
        again: list[int] = []
        for number in sorted(self.ledger.trials):
            trial = self.ledger.trials[number]
            self._courses[number] = Course(self.ledger.run(trial), self.plan.ranking)
            self._courses[number].update()
            if trial.state in DONE:
                continue
            lock = RunDir(self.ledger.run(trial)).lock()
            if lock.path.parent.is_dir():
                if not lock.acquire(wait=30.0):
                    raise InputError(f"{lock.path.parent}: {lock.holder()} is at work on it; stop it first")
                lock.release()
            if trial.state == "failed":
                log.info("%s failed (%s); it is tried again", trial.name, trial.reason)
            self.ledger.put(replace(trial, state="stopped"))
            again.append(number)
        return again

    def run(self) -> None:
        """Return when no trial is left that could run. Every process is gone however this ends.

        Errors: Stopped when a signal came; TrialsFailedError as the settings and the trials give cause.
        """
        interrupts.defer()
        try:
            self._fill()
            while self._active:
                self._raise()
                time.sleep(PAUSE)
                for number in list(self._active):
                    self._look(number)
                self._fill()
                self._tell()
            self._raise()
        finally:
            self._stop()
            interrupts.resume()

    def _raise(self) -> None:
        """Raise where a signal has come, or a failure that ends the sweep."""
        if (signum := interrupts.received()) is not None:
            raise interrupts.Stopped(signum)
        if self._failure is not None:
            raise TrialsFailedError(self._failure)

    def _fill(self) -> None:
        """Start trials while there are places and trials left."""
        while len(self._active) < self.plan.options.parallel:
            self._raise()
            if self._again:
                self._start(self.ledger.trials[self._again.pop(0)])
            elif self._next < self.plan.total:
                number, self._next = self._next, self._next + 1
                trial = Trial(number, self.plan.trial_name(number), self._chooser.propose(number))
                self._courses[number] = Course(self.ledger.run(trial), self.plan.ranking)
                self._start(trial)
            else:
                return

    def _start(self, trial: Trial) -> None:
        """Begin a trial or go on with it; one that ended while nobody looked is only noted."""
        trial = replace(trial, state="running", launches=trial.launches + 1, reason=None)
        if trial.launches > 1 and RunDir(self.ledger.run(trial)).metrics.exists():
            self._end(trial, "finished")
            return
        words = self.plan.words(trial.number, trial.values)
        if self.plan.listed is None:
            try:
                compose(words)
            except CallError as error:
                self._end(trial, "failed", " ".join(str(error.mistakes[0]).split()))
                return
        slot = min(set(range(self.plan.options.parallel)) - {one.slot for one in self._active.values()})
        options = self.plan.first.settings.trainer
        share = share_of(slot, self.plan.options.parallel, options, self._gpus, processors())
        self.ledger.put(trial)
        self._active[trial.number] = Active(TrialProcess(words, self.ledger.output(trial), share), slot)
        begins = "begins" if trial.launches == 1 else "goes on"
        log.info("%s %s: %s", trial.name, begins, ", ".join(f"{k}={v}" for k, v in trial.values.items()))

    def _look(self, number: int) -> None:
        """Read what a trial has found, stop it if it is hopeless, note its end."""
        active, course = self._active[number], self._courses[number]
        status = active.process.ended()
        for epoch in course.update():
            if active.pruned is None and status is None and not self._is_last(epoch):
                self._judge(number, epoch)
        if status is None:
            return
        del self._active[number]
        trial = self.ledger.trials[number]
        trial = replace(trial, seconds=trial.seconds + active.process.seconds)
        if status == 0:
            self._end(trial, "finished")
        elif active.pruned is not None:
            self._end(trial, "pruned", active.pruned, active.judged)
        elif status in STOPPED:
            self._end(trial, "stopped", "stopped by a signal")
        else:
            words = active.process.last_words()
            self._end(trial, "failed", f"{_ending(status)}: {words}" if words else _ending(status))

    def _is_last(self, epoch: int) -> bool:
        """Whether training ends with this epoch anyway."""
        epochs = self.plan.first.settings.trainer.max_epochs
        return epochs is not None and epoch + 1 >= epochs

    def _judge(self, number: int, epoch: int) -> None:
        """Stop a trial that is hopeless. Its own sender takes the tag to MLflow before it ends as KILLED."""
        reason = self._chooser.hopeless(number, epoch, self._courses)
        if reason is None:
            return
        active, trial = self._active[number], self.ledger.trials[number]
        active.pruned, active.judged = reason, epoch
        self._tag(trial, "pruned")
        active.process.stop()
        log.info("%s is hopeless and is stopped: %s", trial.name, reason)

    def _tag(self, trial: Trial, value: str) -> None:
        journal = Journal(self.ledger.run(trial))
        journal.append("tag", name=TRIAL_TAG, value=value)
        journal.close()

    def _end(self, trial: Trial, state: State, reason: str | None = None, until: int | None = None) -> None:
        """Note what became of a trial."""
        course = self._courses[trial.number]
        course.update()
        best = course.best(until)
        if state == "finished" and not course.points:
            state = "failed"
            reason = f"its journal holds no {self.plan.ranking.figure}; which there are, its log.txt tells"
        trial = replace(
            trial,
            state=state,
            reason=reason,
            figure=None if best is None else best.figure,
            epoch=None if best is None else best.epoch,
            epochs=sum(1 for epoch in course.points if until is None or epoch <= until),
        )
        self.ledger.put(trial)
        self._chooser.ended(trial)
        if state in DONE:
            self.on_end(trial)
        figure = "" if trial.figure is None else f", {self.plan.ranking.figure} {trial.figure:.5g}"
        level = logging.WARNING if state == "failed" else logging.INFO
        log.log(level, "%s %s%s%s", trial.name, state, figure, f" ({reason})" if reason else "")
        if state == "failed" and self.plan.options.fail == "stop":
            self._failure = self._failure or f"{trial.name} failed (sweep.fail=stop): {reason}"

    def _tell(self) -> None:
        """A line about the whole now and then."""
        if time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            seconds = {number: one.process.seconds for number, one in self._active.items()}
            log.info("%s", status_line(self.plan, self.ledger, self._courses, seconds))

    def _stop(self) -> None:
        """End every trial: in order as long as that takes, at once on a second Ctrl-C or an error."""
        try:
            for active in self._active.values():
                active.process.stop()
            if self._active:
                log.info("stopping %d trial(s) at a checkpoint", len(self._active))
            while self._active:
                for number in list(self._active):
                    self._look(number)
                time.sleep(PAUSE / 2)
        finally:
            for active in self._active.values():
                active.process.kill()


def _gpus() -> list[str]:
    """The ids of the GPUs that this process may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [one.strip() for one in chosen.split(",") if one.strip()]
    return [str(number) for number in range(len(gpu_names()))]


def _ending(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"killed by signal {-status}"
