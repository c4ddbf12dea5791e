"""Which clips can be read, found before a run begins; asked again, no file is opened twice."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from datamodules.locking import alone
from datamodules.video.clips import CaptionedClip
from datamodules.video.decode.faults import ClipError
from datamodules.video.decode.read import read_frames
from datamodules.video.options import FrameOptions

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

VERSION = 2
"""Of the findings: raised when the readers change, so that every file is looked at again."""

KEEP_SECONDS = 5.0
"""How often findings are kept while a check goes on."""

_PACKAGES = {"pyav": "av", "torchcodec": "torchcodec"}


@dataclass(frozen=True)
class Checked:
    """What a check found; reasons and warnings by the id of the clip.

    good:   clips that can be read, in their order
    bad:    why each of the others cannot
    warned: what is wrong with some of the good ones all the same, such as a file that ends early
    """

    good: tuple[CaptionedClip, ...]
    bad: dict[str, str]
    warned: dict[str, str]


class _Piece(NamedTuple):
    """What of which file is read."""

    path: str
    start: float | None
    stop: float | None


class FileState(NamedTuple):
    """By which a file is known to be the one that was read: bytes and time of change (ns)."""

    size: int
    changed: int


class _Finding(NamedTuple):
    """Why a piece cannot be read, or None; what is wrong with it all the same, or None."""

    reason: str | None
    warning: str | None


_Known = dict[_Piece, tuple[FileState, _Finding]]


def check_clips(
    clips: Sequence[CaptionedClip],
    frames: FrameOptions,
    folder: Path,
    progress: Progress | None = None,
    *,
    threads: int = 1,
) -> Checked:
    """Every clip told good or bad by reading the frames that a run would judge it by.

    folder:   keeps what was found, a file for each way of reading, published by rename: a second check opens
              only what is new or has changed, and one that was interrupted goes on
    progress: called with (files read, files to read);  threads: files that are read at once

    Of several processes that ask at once one reads and the others wait. Pieces of a clip may share its id:
    it is bad where one of them is, for the first one's reason. A clip without a file, or whose file the
    system does not hand over, is bad; that is not kept.
    """
    kept = folder / f"clips-{_digest(frames)}.json"
    pieces = list(dict.fromkeys(_piece(clip) for clip in clips if clip.file is not None))
    findings, new = _sorted_out(pieces, _load(kept))
    if new:
        with alone(kept.with_suffix(".lock"), "opens clips"):
            known = _load(kept)  # with what another process found while this one waited
            findings, new = _sorted_out(pieces, known)
            findings |= _read_and_keep(new, frames, kept, known, progress, threads)
    fileless = _Finding("it has no file", None)
    found = [(clip.id, fileless if clip.file is None else findings[_piece(clip)]) for clip in clips]
    bad: dict[str, str] = {}
    warned: dict[str, str] = {}
    for name, finding in found:
        if finding.reason is not None:
            bad.setdefault(name, finding.reason)
        if finding.warning is not None:
            warned.setdefault(name, finding.warning)
    return Checked(tuple(clip for clip in clips if clip.id not in bad), bad, warned)


def _sorted_out(
    pieces: Sequence[_Piece], known: _Known
) -> tuple[dict[_Piece, _Finding], dict[_Piece, FileState]]:
    """What is known of the pieces as they are now, or cannot be known; and those still to be read."""
    findings: dict[_Piece, _Finding] = {}
    new: dict[_Piece, FileState] = {}
    for piece in pieces:
        try:
            state = state_of(Path(piece.path))
        except OSError as error:
            findings[piece] = _Finding((error.strerror or str(error)).lower(), None)
            continue
        if piece in known and known[piece][0] == state:
            findings[piece] = known[piece][1]
        else:
            new[piece] = state
    return findings, new


def _read_and_keep(
    new: Mapping[_Piece, FileState],
    frames: FrameOptions,
    kept: Path,
    known: _Known,
    progress: Progress | None,
    threads: int,
) -> dict[_Piece, _Finding]:
    """What is found in each new piece; `known` and the file `kept` grow meanwhile, also when interrupted."""
    if not new:
        return {}
    log.info("opening %d clips that are new or have changed", len(new))
    findings: dict[_Piece, _Finding] = {}
    pool = ThreadPoolExecutor(max_workers=threads)
    saved = time.monotonic()
    try:
        for piece, (finding, lasting) in zip(new, pool.map(lambda one: _read(one, frames), new), strict=True):
            findings[piece] = finding
            if lasting:
                known[piece] = (new[piece], finding)
            if progress is not None:
                progress(len(findings), len(new))
            if time.monotonic() - saved > KEEP_SECONDS:
                _save(kept, known)
                saved = time.monotonic()
    finally:
        pool.shutdown(cancel_futures=True)
        _save(kept, known)
    return findings


def _read(piece: _Piece, frames: FrameOptions) -> tuple[_Finding, bool]:
    """What reading a piece says of it, and whether that is about the file itself."""
    try:
        found = read_frames(Path(piece.path), frames, start=piece.start, stop=piece.stop)
    except ClipError as error:
        return _Finding(error.reason, None), error.lasting
    return _Finding(None, found.warning), True


def _piece(clip: CaptionedClip) -> _Piece:
    """What of which file a clip is; the path is absolute."""
    assert clip.file is not None
    return _Piece(str(clip.file.absolute()), clip.start, clip.stop)


def state_of(path: Path) -> FileState:
    """Size and time of change of a file; of a folder of images those of its files together."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [file.stat() for file in files]
    return FileState(sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0))


def _digest(frames: FrameOptions) -> str:
    """Names a way of reading: the choice of frames, the reader and its version."""
    how = {
        "frames": frames.model_dump(exclude={"augment"}),
        "reader": metadata.version(_PACKAGES[frames.backend]),
        "version": VERSION,
    }
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()[:16]


def _load(kept: Path) -> _Known:
    """What earlier checks found; nothing, and a word in the log, when the file is damaged."""
    try:
        return {
            _Piece(path, start, stop): (FileState(size, changed), _Finding(reason, warning))
            for path, start, stop, size, changed, reason, warning in json.loads(kept.read_text("utf-8"))
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        log.warning("%s is damaged (%s): all clips are checked again", kept, error)
        return {}


def _save(kept: Path, known: _Known) -> None:
    """Writes all findings beside `kept` and renames the file: a reader sees all of it or nothing."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows = [[*piece, *state, *finding] for piece, (state, finding) in known.items()]
    beside = kept.with_name(f".{kept.name}.{os.getpid()}.part")
    try:
        beside.write_text(json.dumps(rows), encoding="utf-8")
        beside.replace(kept)
    finally:
        beside.unlink(missing_ok=True)
