"""SIGTERM, SIGUSR1 and Ctrl-C end a call in order: at once, or where training says that it may stop."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What ends a call: a person, a supervisor, and a cluster that is about to take the machine away."""
INSISTING_SECONDS = 1.0
"""A second Ctrl-C that comes later than this ends a call at once; sooner, it is the same one told twice."""
AGAIN_SECONDS = 0.05
"""How soon a signal is told again whose `Stopped` was raised where Python lets nothing out."""
ON_ITS_WAY_SECONDS = 0.3
"""How much later this process may hear of a signal than the processes that read for it."""


class Stopped(SystemExit):
    """Raised where a signal ends the program; the exit status is 128 and the signal's number."""

    def __init__(self, signum: signal.Signals) -> None:
        super().__init__(128 + signum)
        self.signum = signum


class _Listener:
    """What has come, and whether it is raised where it comes."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.deferred = False
        self._since = 0.0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        first = self.received is None
        insisted = signum == signal.SIGINT and time.monotonic() - self._since > INSISTING_SECONDS
        if first:
            self.received, self._since = signal.Signals(signum), time.monotonic()
        if not self.deferred or (not first and insisted):
            raise Stopped(signal.Signals(signum))


_listener = _Listener()


def install() -> None:
    """From here on the signals of `STOPPING` raise `Stopped` in the main thread."""
    _listener.received, _listener.deferred = None, False
    for number in STOPPING:
        signal.signal(number, _listener)
    sys.unraisablehook = _tell_again


def defer() -> None:
    """From here on a signal is only noted (see `received`), until `resume`; a second Ctrl-C raises."""
    _listener.deferred = True


def received() -> signal.Signals | None:
    """The first signal that has come, None as long as none has."""
    return _listener.received


def resume() -> None:
    """Raise where signals come again; nothing happens where they were not deferred."""
    _listener.deferred = False


def _tell_again(caught: "sys.UnraisableHookArgs", process: int = os.getpid()) -> None:
    """Have a signal raise once more that came during a finaliser or a fork, where Python drops exceptions."""
    if not isinstance(caught.exc_value, Stopped) or os.getpid() != process:
        sys.__unraisablehook__(caught)
        return
    again = threading.Timer(AGAIN_SECONDS, os.kill, (process, caught.exc_value.signum))
    again.daemon = True
    again.start()


@contextmanager
def in_order() -> Iterator[None]:
    """Raises `Stopped` where a signal to all processes of a run has killed a reader that had just begun.

    Readers outlast signals from their first lines on (`datamodules.sampler`); before that they die of them,
    and the loader raises a RuntimeError, which is no failure of the run.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        time.sleep(ON_ITS_WAY_SECONDS)  # Stopped may be raised here
        if _listener.received is not None:
            raise Stopped(_listener.received) from error
        raise
