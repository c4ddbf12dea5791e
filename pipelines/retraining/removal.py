"""Folders taken away whole: renamed first, so that a crash leaves no half of one under its name."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipelines.locking import Lock

log = logging.getLogger(__name__)

GONE = ".gone-"
"""What a folder is called, before its name, while it is taken away."""


class InUseError(Exception):
    """Raised for a folder that a process is at work on."""


def is_free(lock: Lock) -> bool:
    """Whether nobody holds the lock; it is not made where it is absent."""
    if not lock.path.exists():
        return True
    free = lock.acquire()
    lock.release()
    return free


def remove(folder: Path, lock: Lock | None = None) -> None:
    """Take a folder away; a second call finds nothing to do.

    lock: of whoever works in it. Errors: InUseError where somebody does; OSError.
    """
    if not folder.exists():
        return
    if lock is not None and not lock.acquire():
        raise InUseError(f"{lock.holder()} is at work on it")
    try:
        leaving = folder.with_name(f"{GONE}{folder.name}")
        if leaving.exists():
            shutil.rmtree(leaving)
        folder.rename(leaving)
    finally:
        if lock is not None:
            lock.release()
    shutil.rmtree(leaving)


def sweep(folders: Iterable[Path]) -> None:
    """Take away what calls that were killed have left in these folders."""
    for folder in folders:
        for path in folder.glob(f"{GONE}*") if folder.is_dir() else ():
            shutil.rmtree(path, ignore_errors=True)
