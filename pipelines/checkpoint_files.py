"""Checkpoint files that survive: whole or absent, verified by digest, the one before kept beside the last."""

import errno
import hashlib
import logging
import os
import re
import shutil
import struct
import tempfile
import textwrap
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from datamodules.errors import InputError
from pipelines.checkpoint_manifest import (
    MANIFEST,
    digest_of,
    give_second_name,
    listed_digest,
    read_manifest,
    renaming,
    settle,
)
from pipelines.ranks import global_rank
from pipelines.rundir import RunDir
from pipelines.weights import UNREADABLE

log = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
STRAY = re.compile(rf"\.(.+\.ckpt|{MANIFEST})\.[a-z0-9_]+")
"""Names of files that were being written."""


class CheckpointError(OSError):
    """A checkpoint could not be written; the ones that were there are as they were."""


class CheckedFiles(CheckpointIO):
    """Checkpoints are written beside their place, hashed meanwhile, synced, renamed; only tensors are read.

    The digests stand in the folder's SHA256SUMS. A new last.ckpt leaves the one before as previous.ckpt.
    After a kill between any two system calls there is a file that verifies and is as new as the last save
    that ended. Lightning has the first rank write, and all read.
    """

    def __init__(self) -> None:
        self._written: dict[Path, str] = {}

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Publish `checkpoint` at `path`; nothing but the tensors themselves is held in memory.

        Errors: CheckpointError when the disk is full or cannot be written: the half file is removed.
        """
        path = Path(path).absolute()
        beside: Path | None = None
        sink = _Sink()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            beside = Path(name)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                sink.open(file.fileno())
                torch.save(checkpoint, sink)  # type: ignore[arg-type]
                digest = sink.close()
            beside.chmod(0o644)
            self._publish(beside, path, digest)
        except OSError as error:
            _remove(beside)
            raise _not_written(path, sink.size, error) from error
        finally:
            _remove(beside)
        self._written[path] = digest

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """What the checkpoint holds: tensors and plain values, whatever `weights_only` says.

        Errors: InputError when the file is absent or cut, or holds code, which never runs.
        """
        path = Path(path)
        try:
            found: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except (*UNREADABLE, struct.error, UnpicklingError) as error:
            raise InputError(
                f"{path}: cannot be read as a checkpoint ({_reason(error)}). Remove the file and give the "
                "same command again to go on from the one before, or begin again with run.restart=true"
            ) from error
        return found

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove the file and its line in the manifest; nothing happens where there is none."""
        path = Path(path).absolute()
        if path.exists():
            with renaming(path.parent, {path.name: None}):
                path.unlink()

    def _publish(self, beside: Path, path: Path, digest: str) -> None:
        """Put the synced file `beside` at `path`; what was last.ckpt becomes previous.ckpt if it is good."""
        after: dict[str, str | None] = {path.name: digest}
        if path.name == LAST and (before := self._digest_before(path)) is not None:
            after[PREVIOUS] = before
        with renaming(path.parent, after):
            if PREVIOUS in after:
                give_second_name(path, path.with_name(PREVIOUS))
            beside.replace(path)

    def _digest_before(self, path: Path) -> str | None:
        """The digest of the file that is there, None when it is absent or not good."""
        if not path.exists() or path in self._written:
            return self._written.get(path)
        if (reason := reason_unusable(path)) is not None:
            log.warning("%s is not kept as %s: %s", path, PREVIOUS, reason)
            return None
        return listed_digest(path)


class _Sink:
    """A file that is hashed while it is written; once writing fails, what is still to come is only counted.

    So `torch.save`, whose own messages hide the cause, always ends, and the size that was needed is known.
    """

    def __init__(self) -> None:
        self.size = 0
        self._descriptor = -1
        self._error: OSError | None = None
        self._digest = hashlib.sha256()

    def open(self, descriptor: int) -> None:
        """Write to `descriptor` from here on."""
        self._descriptor = descriptor

    def write(self, content: bytes | memoryview) -> int:
        """The length of `content`, in bytes."""
        left = memoryview(content).cast("B")
        length = len(left)
        self.size += length
        if self._error is None:
            self._digest.update(left)
        while left and self._error is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                self._error = error
        return length

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> str:
        """The digest, once the content is on the disk. OSError as soon as anything could not be written."""
        if self._error is not None:
            raise self._error
        os.fsync(self._descriptor)
        return self._digest.hexdigest()


def reason_unusable(path: Path) -> str | None:
    """Why a run cannot go on from a checkpoint, None when it can: it is as it was written, and plain tensors.

    A file that the manifest does not list counts when its own checksums are right and it can be read.
    """
    try:
        if not path.is_file():
            return "there is no such file"
        if path.stat().st_size == 0:
            return "it is empty"
        listed = read_manifest(path.parent).get(path.name)
        if listed is not None and (now := digest_of(path)) not in listed:
            said = " or ".join(digest[:12] for digest in listed)
            return f"it is cut or damaged (its SHA-256 begins with {now[:12]}, {MANIFEST} says {said})"
        if listed is None and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if (damaged := archive.testzip()) is not None:
                    return f"it is damaged (the checksum of its part {damaged} is wrong)"
        read_plain(path)
    except (*UNREADABLE, struct.error, UnpicklingError, zipfile.BadZipFile) as error:
        return f"it cannot be read ({_reason(error)})"
    return None


def read_plain(path: Path) -> dict[str, Any]:
    """What a checkpoint holds; tensors stay on the disk until they are used. Raises what PyTorch raises."""
    zipped = zipfile.is_zipfile(path)
    found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    if not isinstance(found, dict):
        raise TypeError(f"it holds a {type(found).__name__}")
    return found


def newest_good(run: RunDir) -> Path | None:
    """The checkpoint to go on from: last.ckpt, else previous.ckpt, else best.ckpt; None when there is none.

    Each one that is passed over is told with the reason, by the first rank.
    Errors: InputError when there are files and none can be used.
    """
    passed: list[str] = []
    found: Path | None = None
    candidates = (run.last, run.checkpoints / PREVIOUS, run.best)
    for path in candidates:
        if (reason := reason_unusable(path)) is None:
            found = path
            break
        if path.exists() or path == run.last:
            passed.append(f"{path}: {reason}")
    if found is None:
        if not any(path.exists() for path in candidates):
            return None
        raise InputError(
            "no checkpoint can be used:"
            + "".join(f"\n  {line}" for line in passed)
            + "\nPut a copy back, or begin again with run.restart=true (the earlier run is set aside, not "
            "deleted)"
        )
    for line in passed if global_rank() == 0 else []:
        log.warning("passed over, going on from %s instead: %s", found.name, line)
    return found


def clean_up(run: RunDir) -> None:
    """Remove what a killed writer left half, and settle what the manifest left open.

    Only the process that holds the run's lock may call it, before it writes.
    """
    if not run.checkpoints.is_dir():
        return
    for path in sorted(run.checkpoints.iterdir()):
        if STRAY.fullmatch(path.name):
            path.unlink(missing_ok=True)
    settle(run.checkpoints)


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    """Why a file cannot be read, in a few words; PyTorch's own advise to read it unsafely."""
    if isinstance(error, UnpicklingError):
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"it would run {code[1]}" if code else "it holds more than tensors and plain values"
    return textwrap.shorten(next(iter(str(error).splitlines()), type(error).__name__), 200)


def _not_written(path: Path, size: int, error: OSError) -> CheckpointError:
    """What could not be written and why, how much room there is, and the way out."""
    try:
        free = f"{shutil.disk_usage(path.parent).free:,} bytes are free"
    except OSError:
        free = "the free space is unknown"
    room = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        room = f": it needs {size:,} bytes, {free}"
    return CheckpointError(
        f"{path} could not be written ({error.strerror or error}){room}. The earlier checkpoints are "
        "as they were. Make room, or move the run's folder; the same command goes on from there"
    )
