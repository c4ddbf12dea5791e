"""SIGTERM and Ctrl-C end a call in order, also when they come while Lightning trains."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """Raised where SIGTERM found the program."""


class _Sigterm:
    """What has come, and whether to raise where it comes."""

    def __init__(self) -> None:
        self.received = False
        self.deferred = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.received = True
        if not self.deferred:
            raise Terminated


_sigterm = _Sigterm()


def install() -> None:
    """From here on SIGTERM raises `Terminated` in the main thread."""
    signal.signal(signal.SIGTERM, _sigterm)


@contextmanager
def graceful_fit() -> Iterator[None]:
    """Inside, Lightning stops at the end of a step, with a checkpoint; afterwards all is as ever.

    Lightning calls our handler beside its own, ends by SystemExit in both cases, and leaves Ctrl-C ignored.
    On leaving, SIGTERM raises `Terminated` and Ctrl-C raises `KeyboardInterrupt`.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    _sigterm.deferred = True
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        if not _sigterm.received:
            raise
    finally:
        _sigterm.deferred = False
        signal.signal(signal.SIGINT, on_interrupt)
    if _sigterm.received:
        raise Terminated
