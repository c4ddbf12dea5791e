"""A file lock that one process holds at a time and that ends with the process, however it ends."""

import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_held_here: set[Path] = set()


class Lock:
    """Held by at most one holder on all machines that share the file system.

    A POSIX record lock: forked children do not inherit it (data workers that outlive a killed parent hold
    nothing) and the kernel drops it when the process dies. It does not tell threads of one process apart, so
    a list of what this process holds does. The file stays; only the lock on it counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.parent.resolve() / path.name
        self._descriptor: int | None = None

    def acquire(self, wait: float = 0.0) -> bool:
        """True when this object holds the lock now; False when another held it for all of `wait` seconds."""
        until = time.monotonic() + wait
        while not self._try():
            if time.monotonic() >= until:
                return False
            time.sleep(min(0.1, wait))
        return True

    def _try(self) -> bool:
        if self._descriptor is not None:
            return True
        if self.path in _held_here:
            return False
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        _held_here.add(self.path)
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _held_here.discard(self.path)

    def holder(self) -> str:
        """Who holds the lock, in words; right only just after `acquire` said False."""
        if self.path in _held_here:
            return "this process"
        try:
            found = json.loads(self.path.read_text())
            return f"process {found['pid']} on {found['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
