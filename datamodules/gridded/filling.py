"""Maps streamed from a source into `values.npy`, block by block, so that a kill costs one block at most.

Beside the values stand `kept.bin` (one byte a source frame: 1 where it is in the store) and `journal.json`,
which is replaced only after everything that it counts is on the disk.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.report import Tally

SPARE = 16 * 2**20
"""Bytes that stay free on the disk beside what packing needs."""

FULL = (errno.ENOSPC, errno.EDQUOT)


class Frames(Protocol):
    """What filling needs of a source."""

    @property
    def block(self) -> int:
        """Steps to read at once."""

    def read(self, first: int, stop: int) -> np.ndarray:
        """Maps float32 (time, channel, lat, lon) of the steps `first` to `stop` - 1, NaN = missing."""


@dataclass
class Journal:
    """How far filling has come: `done` source frames read, `written` frames in the store."""

    digest: str
    block: int
    done: int
    written: int
    tally: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Replace the journal on the disk, whole."""
        unfinished = folder / "journal.json.part"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / "journal.json")


def fill(
    folder: Path,
    source: Frames,
    digest: str,
    shape: tuple[int, int, int, int],
    cell_area: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, Tally]:
    """(mask of the source frames that are in `values.npy`, bool (time,); figures over those frames).

    Goes on from the last finished block when an earlier call was killed. Frames without any value are left
    out; infinite values count as missing. `shape` is that of all the source: (time, channel, lat, lon).

    Errors: InputError when the disk has no room.
    """
    frame_bytes = int(np.prod(shape[1:])) * 4
    journal = _resume(folder, digest, frame_bytes, shape) or _begin(folder, digest, source.block, shape)
    require_space(folder, (shape[0] - journal.done) * frame_bytes)
    tally = Tally(**journal.tally)
    with (folder / "values.npy").open("r+b") as values, (folder / "kept.bin").open("r+b") as kept:
        _cut(values, len(_header(shape, 0)) + journal.written * frame_bytes)
        _cut(kept, journal.done)
        while journal.done < shape[0]:
            stop = min(journal.done + journal.block, shape[0])
            maps = np.ascontiguousarray(source.read(journal.done, stop), dtype=np.float32)
            if maps.shape != (stop - journal.done, *shape[1:]):
                raise ValueError(
                    f"the source gave {maps.shape} for frames {journal.done} to {stop} of {shape}"
                )
            present = _append(maps, values, kept, tally, cell_area)
            journal = Journal(
                digest, journal.block, stop, journal.written + int(present.sum()), tally.to_dict()
            )
            journal.write(folder)
            if progress is not None:
                progress(stop, shape[0])
        values.seek(0)
        values.write(_header(shape, journal.written))
        os.fsync(_flushed(values))
    return np.fromfile(folder / "kept.bin", dtype=np.uint8).astype(bool), tally


def require_space(folder: Path, needed: int) -> None:
    """Return when the disk of `folder` has room for `needed` bytes; InputError otherwise."""
    free = shutil.disk_usage(folder).free
    if needed + SPARE > free:
        raise _no_room(folder, f"needs {needed / 2**20:,.0f} MiB more, and {free / 2**20:,.0f} MiB are free")


def _append(
    maps: np.ndarray, values: BinaryIO, kept: BinaryIO, tally: Tally, cell_area: np.ndarray
) -> np.ndarray:
    """Write a block to the disk and count it in; mask (time,) of the frames that hold a value."""
    infinite = np.isinf(maps)
    if infinite.any():
        tally.infinite += int(infinite.sum())
        maps = np.where(infinite, np.float32(np.nan), maps)
    present = ~np.isnan(maps).all(axis=(1, 2, 3))
    if not present.all():
        maps = maps[present]
    tally.add(maps, cell_area)
    try:
        values.write(maps.data)
        kept.write(present.astype(np.uint8).data)
        for file in (values, kept):
            os.fsync(_flushed(file))
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_room(Path(values.name).parent, "found no room for the next block") from error
    return present


def _header(shape: tuple[int, int, int, int], written: int) -> bytes:
    """The first bytes of an npy file of `written` frames; equally long for every number of frames."""
    about = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(written, *shape[1:])}, }}"
    magic = b"\x93NUMPY\x01\x00"
    return magic + (246).to_bytes(2, "little") + about.ljust(245).encode("latin1") + b"\n"


def _begin(folder: Path, digest: str, block: int, shape: tuple[int, int, int, int]) -> Journal:
    """Empty files and a journal at the start."""
    (folder / "values.npy").write_bytes(_header(shape, 0))
    (folder / "kept.bin").write_bytes(b"")
    journal = Journal(digest, max(1, block), 0, 0, Tally.empty(shape[1]).to_dict())
    journal.write(folder)
    return journal


def _resume(folder: Path, digest: str, frame_bytes: int, shape: tuple[int, int, int, int]) -> Journal | None:
    """The journal of a call that was killed, when its files hold what it says."""
    try:
        journal = Journal(**json.loads((folder / "journal.json").read_text(encoding="utf-8")))
        held = (folder / "values.npy").stat().st_size, (folder / "kept.bin").stat().st_size
    except (FileNotFoundError, ValueError, TypeError):
        return None
    promised = len(_header(shape, 0)) + journal.written * frame_bytes
    whole = held[0] >= promised and held[1] >= journal.done and journal.done <= shape[0]
    return journal if whole and journal.digest == digest else None


def _cut(file: BinaryIO, position: int) -> None:
    """Go to `position`, and drop what stands behind it: the half-written block of a killed call."""
    file.seek(position)
    file.truncate()


def _flushed(file: BinaryIO) -> int:
    """The descriptor of a file whose buffer is empty."""
    file.flush()
    return file.fileno()


def _no_room(folder: Path, found: str) -> InputError:
    """The error for a full disk."""
    return InputError(
        f"{folder}: packing {found}; free some space, set paths.stores to a larger disk, or pack less "
        "(data.variables, data.region, data.start, data.coarsen)"
    )
