"""Writes feature stores: clip by clip, gone on with after a crash, published whole."""

import logging
import os
import zlib
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from datamodules.errors import InputError
from datamodules.video.feature_identity import FeatureIdentity, refuse_other_identity
from datamodules.video.feature_index import (
    FEATURES,
    HALF,
    INDEX,
    JOURNAL,
    SECONDS,
    TIMES,
    Entry,
    Index,
    Span,
    entry_of,
    journal_line,
    read_index,
    read_journal,
    write_index,
)

log = logging.getLogger(__name__)


class FeatureWriter:
    """Adds clips to the store in folder `path`: a new one, one that was interrupted, or a whole one.

    A new store grows in `.<name>.part` beside `path` and appears there, whole, with `complete`; a whole one
    grows in place, and its readers see none of it until then. Each clip counts as soon as `add` returns, and
    outlives the process, however it ends. One writer at a time: whoever opens it holds a lock.
    Errors: InputError when what is there was made otherwise, or `path` is a folder of something else.
    """

    def __init__(self, path: Path | str, identity: FeatureIdentity) -> None:
        """Open the files, and find out which clips are done."""
        self.path = Path(path).resolve()
        whole = (self.path / INDEX).exists()
        if not whole and self.path.exists():
            raise InputError(f"{self.path} exists and is no feature store: it lacks {INDEX}; move it away")
        self._folder = self.path if whole else self.path.with_name(f".{self.path.name}.part")
        self._folder.mkdir(parents=True, exist_ok=True)
        known = (self._folder / INDEX).exists()
        self._index = read_index(self._folder) if known else Index(identity, 0, 0, {})
        refuse_other_identity(self._folder, self._index.identity, identity)
        self._frames = self._index.frames
        self._unpublished = 0
        self._journal_end = 0
        with ExitStack() as opened:
            self._features = opened.enter_context(_open_for_change(self._folder / FEATURES))
            self._times = opened.enter_context(_open_for_change(self._folder / TIMES))
            self._journal = opened.enter_context(_open_for_change(self._folder / JOURNAL))
            self._resume()
            self._opened = opened.pop_all()

    @property
    def clips(self) -> Collection[str]:
        """Ids of the clips that are done."""
        return self._index.clips.keys()

    def __contains__(self, clip: object) -> bool:
        """True for the id of a clip that is done."""
        return clip in self._index.clips

    def add(self, clip: str, features: np.ndarray, times: np.ndarray) -> None:
        """Writes a clip: features (frame, cell, feature), in half precision, and times (frame,) in seconds.

        Errors: InputError, naming the clip, for a value that is not finite or too large for half precision;
        ValueError for a clip that is there already, or whose shape is not that of the others.
        """
        half = self._as_half(clip, features, times).tobytes()
        seconds = times.astype(SECONDS).tobytes()
        span = Span(self._frames, len(features))
        _write_at(self._features, span.first * self._index.frame_bytes, half)
        _write_at(self._times, span.first * SECONDS.itemsize, seconds)
        entry = Entry(clip, span, self._index.cells, self._index.width, zlib.crc32(seconds, zlib.crc32(half)))
        _write_at(self._journal, self._journal_end, journal_line(entry))
        self._journal_end = self._journal.tell()
        self._count(entry)

    def complete(self) -> Path:
        """Publishes all clips at one stroke and closes the writer; the folder of the store.

        Errors: InputError when there is no clip at all.
        """
        if not self._index.clips:
            raise InputError(
                f"no clip has features, {self.path} would be empty: see data.path and the bad clips"
            )
        for file in (self._features, self._times):
            os.fsync(file.fileno())
        if self._unpublished:
            write_index(self._index, self._folder)
        self.close()
        (self._folder / JOURNAL).unlink()
        if self._folder != self.path:
            self._folder.rename(self.path)
        return self.path

    def close(self) -> None:
        """Closes the files; what is not complete can be gone on with."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _as_half(self, clip: str, features: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The features in half precision, all of them finite; the first clip fixes cells and width."""
        if clip in self._index.clips:
            raise ValueError(f"clip {clip!r} is in {self.path} already")
        if features.ndim != 3 or 0 in features.shape or times.shape != features.shape[:1]:
            raise ValueError(
                f"clip {clip!r}: features {features.shape} and times {times.shape} are not (frame, cell, "
                "feature) and (frame,), one frame or more"
            )
        known = (self._index.cells, self._index.width)
        if self._index.clips and features.shape[1:] != known:
            raise ValueError(
                f"clip {clip!r} has (cell, feature) {features.shape[1:]}, those before it have {known}"
            )
        with np.errstate(over="ignore"):
            half = features.astype(HALF)
        if not np.isfinite(half).all():
            largest = np.abs(features).max()
            raise InputError(
                f"clip {clip!r}: its features reach {largest:g}, half precision holds finite values up to "
                f"{np.finfo(HALF).max:g}: use data.features=pixels with this encoder, or other weights"
            )
        self._index.cells, self._index.width = half.shape[1:]
        return half

    def _resume(self) -> None:
        """Takes over the clips of an interrupted writer up to the first damage; what follows is dropped."""
        for line, (value, stop) in enumerate(read_journal(self._folder / JOURNAL)):
            if line == 0:
                written = FeatureIdentity.from_json(value)
                refuse_other_identity(self._folder, written, self._index.identity)
            elif (entry := entry_of(value)).clip not in self._index.clips:  # else a whole store knows it
                if not self._is_written(entry):
                    break
                self._index.cells, self._index.width = entry.cells, entry.width
                self._count(entry)
            self._journal_end = stop
        if self._journal_end == 0:
            _write_at(self._journal, 0, journal_line(self._index.identity.to_json()))
            self._journal_end = self._journal.tell()
        self._journal.truncate(self._journal_end)
        self._features.truncate(self._frames * self._index.frame_bytes)
        self._times.truncate(self._frames * SECONDS.itemsize)
        if self._unpublished:
            log.info("%d clips of an interrupted run are taken over from %s", self._unpublished, self._folder)

    def _is_written(self, entry: Entry) -> bool:
        """Whether the frames of `entry` follow those before them and are on disk as they were written."""
        if entry.span.first != self._frames:
            return False
        total = 0
        for file, size in ((self._features, entry.cells * entry.width * HALF.itemsize), (self._times, 4)):
            file.seek(entry.span.first * size)
            total = zlib.crc32(file.read(entry.span.frames * size), total)
        return total == entry.sum

    def _count(self, entry: Entry) -> None:
        self._index.clips[entry.clip] = entry.span
        self._frames += entry.span.frames
        self._unpublished += 1


def _open_for_change(file: Path) -> BinaryIO:
    """The file, made when absent, to be read and written anywhere."""
    file.touch()
    return file.open("r+b")


def _write_at(file: BinaryIO, position: int, content: bytes) -> None:
    """Hands `content` to the operating system, which keeps it when this process dies."""
    file.seek(position)
    file.write(content)
    file.flush()
