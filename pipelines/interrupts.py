"""SIGTERM, SIGUSR1 and Ctrl-C end a call in order: at once, or where training says that it may stop."""

import signal
import time
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What ends a call: a person, a supervisor, and a cluster that is about to take the machine away."""
INSISTING_SECONDS = 1.0
"""A second Ctrl-C that comes later than this ends a call at once; sooner, it is the same one told twice."""


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


def defer() -> None:
    """From here on a signal is only noted (see `received`), until `resume`; a second Ctrl-C raises."""
    _listener.deferred = True


def received() -> signal.Signals | None:
    """The first signal that has come, None as long as none has."""
    return _listener.received


def resume() -> None:
    """Raise where signals come again; nothing happens where they were not deferred."""
    _listener.deferred = False
