"""Why a clip cannot be read, told by its cause."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_ISO_TYPES = frozenset((b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"))
"""What an MP4 or QuickTime file may begin with."""

_MEDIA_BEGINNINGS = (b"\x1aE\xdf\xa3", b"FLV", b"RIFF", b"OggS", b"GIF8", b"\x00\x00\x01\xba", b"0&\xb2u")
"""Of Matroska and WebM, Flash, AVI, Ogg, GIF, MPEG and ASF files."""


class ClipError(ValueError):
    """A clip that cannot be read.

    path:    the file or folder
    reason:  the cause, as a phrase: "empty: 0 bytes", "no video stream: audio only", "encrypted", ...
    lasting: False when the system withheld the file (no permission, gone): nothing is said of what it holds
    """

    def __init__(self, path: Path, reason: str, lasting: bool = True) -> None:
        """Takes what is told; survives pickling, as between the processes of a loader."""
        super().__init__(path, reason, lasting)
        self.path, self.reason, self.lasting = path, reason, lasting

    def __str__(self) -> str:
        """The file and the cause."""
        return f"{self.path}: {self.reason}"


_INDEX_BYTES = 1 << 24
"""Of an index, in which it says how the pictures are encrypted."""


class _Box(NamedTuple):
    """A box of the ISO base media format (ISO/IEC 14496-12, 4.2): its type, and where it ends."""

    kind: bytes
    end: int


def require_file(path: Path) -> None:
    """Makes sure that `path` is a regular file with something in it that may be read.

    Errors: ClipError with the cause; a pipe or device, which could be waited for without end, is refused.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ClipError(path, "not a regular file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise withheld(path, error) from error
    if facts.st_size == 0:
        raise ClipError(path, "empty: 0 bytes")


def withheld(path: Path, error: OSError) -> ClipError:
    """The fault of a file that the system does not hand over."""
    reason = (error.strerror or str(error)).lower()
    return ClipError(path, f"the system does not hand it over: {reason}", lasting=False)


def unopened(path: Path, said: str) -> ClipError:
    """The fault of a file whose header the reader does not understand, from a look at its bytes.

    said: the reader's own words, told where the bytes say nothing better
    """
    with path.open("rb") as file:
        beginning = file.read(12)
        if beginning[4:8] in _ISO_TYPES:
            size = os.fstat(file.fileno()).st_size
            boxes = list(_boxes(file, size))
            if boxes[-1].end > size:
                missing = boxes[-1].end - size
                return ClipError(path, f"cut short: {missing} bytes are missing at its end")
            if all(box.kind != b"moov" for box in boxes):
                return ClipError(path, "cut short: its index (the 'moov' box) is missing")
            return ClipError(path, f"damaged: its index (the 'moov' box) is wrong ({said})")
    if beginning.startswith(_MEDIA_BEGINNINGS):
        return ClipError(path, f"cut short or damaged: its header cannot be read ({said})")
    return ClipError(path, f"not a media file, or its beginning is damaged ({said})")


def _boxes(file: BinaryIO, size: int) -> Iterator[_Box]:
    """The top-level boxes in order; the last may claim to end behind the file."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        elif length == 0:
            length = size - place
        yield _Box(kind, place + max(length, 8))
        place += max(length, 8)


def encrypted(path: Path) -> ClipError | None:
    """The fault of a clip that needs a key, by its boxes (Common Encryption, ISO/IEC 23001-7); else None."""
    with path.open("rb") as file:
        beginning = file.read(12)
        if beginning[4:8] not in _ISO_TYPES:
            return None
        place = 0
        for box in _boxes(file, os.fstat(file.fileno()).st_size):
            if box.kind == b"moov":
                file.seek(place)
                index = file.read(min(box.end - place, _INDEX_BYTES))
                if b"sinf" in index and b"schm" in index:
                    return ClipError(path, "encrypted: its pictures need a key")
            place = box.end
    return None
