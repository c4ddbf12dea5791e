"""What a feature store holds, on disk: the index of whole stores, and the journal of work under way.

`features.f16` (frame, cell, feature) and `times.f32` (frame,) hold the frames of all clips, one clip after
the other, little-endian and without headers. `index.json` says which frames are whose; readers read nothing
else. While clips are added, `journal` gets a line for each one whose frames are written, with check sums of
the line and of the frames: a process that dies at any point loses the clip it was writing, and no other.
"""

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.errors import InputError
from datamodules.video.feature_identity import FeatureIdentity

FORMAT = 1
FEATURES, TIMES, INDEX, JOURNAL = "features.f16", "times.f32", "index.json", "journal"
HALF, SECONDS = np.dtype("<f2"), np.dtype("<f4")
WAY_OUT = "delete the folder; features are computed again when they are needed"


class Span(NamedTuple):
    """The frames of one clip: `frames` of them from `first` on."""

    first: int
    frames: int


class Entry(NamedTuple):
    """A line of the journal: a clip whose frames are on disk, their shape and their check sum."""

    clip: str
    span: Span
    cells: int
    width: int
    sum: int


@dataclass
class Index:
    """Whose frames are where; `cells` and `width` are 0 until the first clip tells them."""

    identity: FeatureIdentity
    cells: int
    width: int
    clips: dict[str, Span]

    @property
    def frames(self) -> int:
        """Frames of all clips."""
        return sum(span.frames for span in self.clips.values())

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame in `features.f16`."""
        return self.cells * self.width * HALF.itemsize


def read_index(folder: Path) -> Index:
    """The index of a whole store. Errors: InputError when it is absent, damaged, or of another version."""
    file = folder / INDEX
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} is no feature store: {INDEX} is not there") from error
    except ValueError as error:
        raise InputError(f"{file} cannot be read ({error}); {WAY_OUT}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else None
        raise InputError(f"{file}: format {found}, this version reads format {FORMAT}; {WAY_OUT}")
    try:
        clips = {clip: Span(*map(int, span)) for clip, span in about["clips"].items()}
        identity = FeatureIdentity.from_json(about["identity"])
        index = Index(identity, int(about["cells"]), int(about["width"]), clips)
        _refuse_disorder(index, int(about["frames"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error!r}); {WAY_OUT}") from error
    return index


def write_index(index: Index, folder: Path) -> None:
    """Replaces the index in `folder` at one stroke: a reader sees the one before or this one."""
    about = {
        "format": FORMAT,
        "digest": index.identity.digest,
        "identity": index.identity.to_json(),
        "files": {FEATURES: "float16 (frame, cell, feature)", TIMES: "float32 (frame,), seconds"},
        "frames": index.frames,
        "cells": index.cells,
        "width": index.width,
        "clips": index.clips,
    }
    beside = folder / f"{INDEX}.part"
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(about, ensure_ascii=False))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / INDEX)


def journal_line(value: Any) -> bytes:
    """A line that tells whether it is whole: eight digits of its check sum, then the value as JSON."""
    text = json.dumps(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_journal(file: Path) -> Iterator[tuple[Any, int]]:
    """The values of whole lines, each with the byte where its line ends; nothing after a torn one."""
    stop = 0
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            value = line[9:-1]
            if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(value):
                return
            stop += len(line)
            yield json.loads(value), stop


def entry_of(value: Any) -> Entry:
    """The entry that a line of the journal holds."""
    clip, (first, frames), cells, width, total = value
    return Entry(clip, Span(first, frames), cells, width, total)


def _refuse_disorder(index: Index, frames: int) -> None:
    """Returns when the clips' frames follow one another without a gap, `frames` in all."""
    after = 0
    for span in sorted(index.clips.values()):
        if span.first != after or span.frames < 1:
            raise ValueError(f"frames {span.first} to {span.first + span.frames} do not follow frame {after}")
        after += span.frames
    if after != frames or min(index.cells, index.width) < 1:
        raise ValueError(f"{after} frames of {index.cells} x {index.width} values, promised are {frames}")
