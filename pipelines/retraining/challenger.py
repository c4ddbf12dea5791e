"""The challenger's training: `skyreel train` in a process of its own, with a time limit and retries."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines import interrupts
from pipelines.console import PLAIN_SECONDS
from pipelines.locking import Lock
from pipelines.retraining.limits import LimitsOptions
from pipelines.rundir import RunDir
from pipelines.sweeps.trial_process import TrialProcess

log = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds between looks at the training."""
LEFT_OVER = 60.0
"""Seconds that the training of a shot that was killed has to end by itself: it watches its parent."""
MISTAKE = 2
"""The exit status of a call that would fail again in the same way."""
GIGABYTE = 1e9

How = Literal["finished", "out of time", "failed"]


@dataclass(frozen=True)
class Training:
    """How the training of a challenger ended.

    how: finished; out of time (the next shot goes on from its checkpoint); failed.
    reason: in words, of an end that is not `finished`.     retries: launches after the first.
    """

    how: How
    reason: str = ""
    retries: int = 0


@dataclass
class ChallengerTraining:
    """One challenger's training within one shot.

    words: of `skyreel train`.     run: the directory it has.     output: gets what the process writes.
    on_retry: called with the number of the retry, before its wait.
    """

    words: Sequence[str]
    run: RunDir
    output: Path
    limits: LimitsOptions
    on_retry: Callable[[int, str], None] = lambda number, reason: None

    def __post_init__(self) -> None:
        minutes = self.limits.minutes
        self._until = None if minutes is None else time.monotonic() + 60 * minutes

    def finish(self) -> Training:
        """How it ended; no process of it is left then, however this ends.

        A run that is unfinished goes on from its last checkpoint. A passing fault (any end but a mistake,
        exit status 2) is tried again `limits.retries` times. Errors: Stopped when a signal came; the training
        has written its checkpoint by then, or `limits.grace_seconds` have passed.
        """
        interrupts.defer()
        try:
            if not self._is_free():
                return Training("failed", f"another process still trains in {self.run.path}")
            return self._finish()
        finally:
            interrupts.resume()

    def _finish(self) -> Training:
        for retry in range(self.limits.retries + 1):
            status, words = self._launch()
            if status == 0 and self.run.metrics.exists():
                return Training("finished", retries=retry)
            if self._is_late():
                late = f"training takes longer than limits.minutes, {self.limits.minutes:g}"
                return Training("out of time", f"{late}; the next shot goes on", retry)
            reason = f"training ended with {ending(status)}" + (f": {words}" if words else "")
            if status == MISTAKE or retry == self.limits.retries:
                return Training("failed", reason, retry)
            log.warning("%s", reason)
            self.on_retry(retry + 1, reason)
            self._wait(self.limits.backoff(retry + 1))
        raise AssertionError("a launch always decides")

    def _is_free(self) -> bool:
        """Whether nobody trains in the directory any more; what a killed shot has left ends by itself."""
        if not self.run.path.is_dir():
            return True
        lock: Lock = self.run.lock()
        if not lock.acquire():
            log.info("waiting for %s, which trains in %s", lock.holder(), self.run.path)
            until = time.monotonic() + LEFT_OVER
            while not lock.acquire() and time.monotonic() < until:
                self._raise()
                time.sleep(PAUSE)
            if not lock.acquire():
                return False
        lock.release()
        return True

    def _launch(self) -> tuple[int, str]:
        """The exit status of one launch, and its last words."""
        process = TrialProcess(self.words, self.output, {}, self.limits.grace_seconds)
        told, asked = time.monotonic(), 0.0
        try:
            while (status := process.ended()) is None:
                if not asked and (interrupts.received() is not None or self._is_late()):
                    log.info("stopping the challenger at a checkpoint")
                    process.stop()
                    asked = time.monotonic()
                if asked and time.monotonic() - asked > self.limits.grace_seconds:
                    log.warning("the challenger did not stop within limits.grace_seconds: it is killed")
                    process.kill()
                if not asked and time.monotonic() - told >= PLAIN_SECONDS:
                    told = time.monotonic()
                    log.info("the challenger, %.0f s: %s", process.seconds, process.last_message())
                time.sleep(PAUSE)
        finally:
            process.kill()
        self._raise()
        return status, "" if status == 0 else process.last_words()

    def _is_late(self) -> bool:
        return self._until is not None and time.monotonic() > self._until

    def _wait(self, seconds: float) -> None:
        log.info("training is tried again in %.0f s", seconds)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._raise()
            time.sleep(PAUSE)

    def _raise(self) -> None:
        """Raise where a signal has come."""
        if (signum := interrupts.received()) is not None:
            raise interrupts.Stopped(signum)


def ending(status: int) -> str:
    """An exit status in words."""
    return f"exit status {status}" if status >= 0 else f"signal {-status}"


def lacking_space(folder: Path, limits: LimitsOptions) -> str | None:
    """Why there is too little space on the disk where `folder` is or will be; None where there is enough."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free / GIGABYTE
    if free >= limits.disk_gb:
        return None
    return (
        f"{folder}: {free:.1f} GB are free, fewer than limits.disk_gb, {limits.disk_gb:g}; make room, or "
        "lower keep.* or limits.disk_gb in the job"
    )
