"""Work that is done once for all processes that want it: one does it, the others wait and then read it."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.errors import InputError

log = logging.getLogger(__name__)


@contextmanager
def alone(lock: Path, doing: str, key: str = "paths.stores") -> Iterator[None]:
    """Hold the lock file `lock`, waiting while another process holds it; whoever dies lets go of it at once.

    Look inside whether the work is still to be done: another may have done it meanwhile. The file stays, only
    the lock on it counts. A child that is forked inside holds the lock too, as long as it lives: fork none.

    doing: what is waited for, such as "packs /a/b"; key: the setting that says where the lock lies.
    InputError when the folder cannot be written, or its file system has no locks.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a")
    except OSError as error:
        raise InputError(f"{key}: {lock.parent} cannot be written ({error}); choose another") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process %s; waiting for it", doing)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            raise InputError(
                f"{key}: the file system of {lock.parent} has no locks ({error.strerror}), so processes "
                "would do the same work over each other; choose a folder on another"
            ) from error
        yield
