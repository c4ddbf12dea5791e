"""The ranks that the first rank starts on its machine: watched, and never left behind."""

import atexit
import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.plugins.environments import ClusterEnvironment
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from pipelines import interrupts
from pipelines.interrupts import STOPPING
from pipelines.ranks import ENDS_WITH_PARENT, end_hard

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
TO_LEAVE, TO_JOIN = 3.0, 1.0
"""Seconds that the others have between SIGTERM and SIGKILL; that the first waits for one that never came."""
TO_FAIL, TO_RAISE, TO_UNWIND = 5.0, 4.0, 10.0
"""Seconds that the first rank has to fail by itself, then to raise `LostRankError`, then to end."""
TO_LEAVE_TOLD = 25.0
"""Seconds that the first rank has to send how it ended, where a signal has stopped all of them."""
TO_SEND = 5.0
"""Seconds for the tracking to send the last records where the process ends hard."""
CONNECTION = re.compile(r"gloo|onnection|NCCL|TCPStore|ocket|imed out")
"""What is in the message of an error that a lost rank causes in the others."""
WAY_ON = "the same command goes on from the last checkpoint"
STOPPED = {status: number for number in STOPPING for status in (-number, 128 + number)}
"""How a process ends that a signal has stopped, and the signal."""


class LostRankError(RuntimeError):
    """Raised in the first rank where another has ended before its time."""


class _Ranks(threading.Thread):
    """Watches the processes of the other ranks; when one fails, all of them end, and so does this one."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        super().__init__(daemon=True, name="ranks")
        self.processes = list(processes)
        self.leaving = False  # the main thread is on its way out
        self.message = ""  # which rank was lost, and how
        self._can_raise = threading.current_thread() is threading.main_thread()
        if self._can_raise:
            signal.signal(signal.SIGUSR2, self._raise_in_main)

    def lost(self) -> str | None:
        """The first rank that has failed, in words; None while none has."""
        for number, process in enumerate(self.processes, start=1):
            if process.poll():
                return f"rank {number} (process {process.pid}) {_ended(process.returncode)}"
        return None

    def stopped_by(self) -> signal.Signals | None:
        """The signal that has stopped one of them, if any has: it was for the run, and none has failed."""
        found = (STOPPED.get(process.returncode or 0) for process in self.processes)
        return next((number for number in found if number is not None), None)

    def lost_soon(self) -> str | None:
        """As `lost`; a connection ends a moment before the process at its other end is seen to have ended."""
        until = time.monotonic() + TO_JOIN
        while (found := self.lost()) is None and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def end(self, seconds: float = 0.0) -> None:
        """Return when all have ended: by themselves within `seconds`, else by SIGTERM, else by SIGKILL."""
        _wait(lambda: not self._running(), seconds)
        for process in self._running():
            process.terminate()
        _wait(lambda: not self._running(), TO_LEAVE)
        for process in self._running():
            process.kill()
        _wait(lambda: not self._running(), TO_LEAVE)

    def end_meanwhile(self) -> None:
        """Begin to end all."""
        threading.Thread(target=self.end, daemon=True, name="end of ranks").start()

    def run(self) -> None:
        """Watch until all ranks have ended well, or this one is leaving, or one has failed."""
        while (lost := self.lost()) is None and not self.leaving:
            if not self._running():
                return
            time.sleep(POLL_SECONDS)
        if self.stopped_by() is not None:
            # by a signal to all ranks, this one included, which may still tell how it ended
            _wait(lambda: self.leaving, TO_LEAVE_TOLD if interrupts.received() else TO_FAIL)
        if lost is not None and not self.leaving:
            self.message = f"{lost}; {WAY_ON}"
            log.error("%s", self.message)
        if self.message:
            self.end_meanwhile()
            self._have_main_fail()

    def _have_main_fail(self) -> None:
        """Give the main thread time for its own error, then raise in it, then end the process hard."""
        _wait(lambda: self.leaving, TO_FAIL if dist.is_initialized() else TO_JOIN)
        if self._can_raise and not self.leaving:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
            _wait(lambda: self.leaving, TO_RAISE)
        if self.leaving:
            time.sleep(TO_UNWIND)  # as a rule the process, and this thread with it, ends meanwhile
        stop = self.stopped_by()
        _say_last_words(self.message, stop, 0.0 if self.leaving else TO_SEND)
        end_hard(1 if stop is None else 128 + stop)

    def _raise_in_main(self, signum: int, frame: FrameType | None) -> None:
        """Raise in the main thread, which another thread can only have done by a signal."""
        if self.message and not self.leaving:
            self.leaving = True
            if (stop := self.stopped_by()) is not None:
                raise interrupts.Stopped(stop)
            raise LostRankError(self.message)

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in self.processes if process.poll() is None]


class Launcher(_SubprocessScriptLauncher):
    """Starts the other ranks of this machine with the same command, in the same process group.

    They end with this process (pipelines.ranks), and this process with them: within about 15 s after one has
    failed all are gone. Lightning's own watch kills the first rank too, which then can tell nobody.
    """

    def launch(
        self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any
    ) -> Any:
        """What `function` returns, once the ranks are started. Errors: LostRankError."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        ranks = None
        if not self.cluster_environment.creates_processes_externally:
            ranks = self._start()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if ranks is None:
                raise
            lost = ranks.lost_soon() if _by_connection(error) else None
            if lost is not None:
                ranks.message = ranks.message or f"{lost}; {WAY_ON}"
            ranks.leaving = True
            if lost is not None and isinstance(error, Exception) and not isinstance(error, LostRankError):
                stop = ranks.stopped_by()
                raise (interrupts.Stopped(stop) if stop else LostRankError(ranks.message)) from error
            if isinstance(error, Exception):  # a signal has reached the other ranks too: they save together
                ranks.end_meanwhile()
            raise

    def _start(self) -> _Ranks:
        """The other ranks, started and watched."""
        os.environ[ENDS_WITH_PARENT] = str(os.getpid())
        try:
            self._call_children_scripts()
        finally:
            del os.environ[ENDS_WITH_PARENT]
            ranks = _Ranks(self.procs)
            _started.append(ranks)
            ranks.start()
        return ranks


def launcher_of(environment: ClusterEnvironment, processes: int, nodes: int) -> Launcher:
    """What starts the other ranks of this machine, where nobody else has."""
    return Launcher(environment, processes, nodes)


_started: list[_Ranks] = []


@atexit.register
def end_ranks() -> None:
    """Return when all ranks that this process has started have ended.

    They have a moment for it: where all is well they are as far as this process.
    """
    for ranks in _started:
        ranks.leaving = True
        ranks.end(TO_FAIL)


LastWords = Callable[[str, signal.Signals | None], Any]
_last_words: LastWords | None = None


def on_lost_rank(tell: LastWords | None) -> None:
    """Have `tell` called, from another thread, should this process have to end hard after a rank was lost.

    It is told which and how, and the signal, where one has stopped that rank. Where this process can still
    raise (as a rule), it is not called.
    """
    global _last_words
    _last_words = tell


def _say_last_words(message: str, stop: signal.Signals | None, seconds: float) -> None:
    try:
        if _last_words is not None:
            _last_words(message, stop)
            time.sleep(seconds)
    except Exception:
        log.exception("what was left to tell could not be told")


def _by_connection(error: BaseException) -> bool:
    """Whether `error` is of the kind that a rank which is gone causes in another."""
    return isinstance(error, RuntimeError) and CONNECTION.search(str(error)) is not None


def _ended(status: int) -> str:
    """How a process ended, in words."""
    if status > 0:
        return f"ended with status {status}"
    out_of_memory = " (perhaps for want of memory)" if status == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-status).name}{out_of_memory}"


def _wait(until: Callable[[], bool], seconds: float) -> None:
    """Return once `until` holds, or `seconds` have passed."""
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.05)
