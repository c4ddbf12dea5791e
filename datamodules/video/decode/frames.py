"""What reading a clip gives, and the small interface behind which the readers stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frames:
    """Chosen frames of a clip, or of a piece of it.

    pixels:        (frame, height, width, 3) uint8 RGB, upright
    times:         (frame,) float32, seconds since the first frame of the clip, or of the piece
    duration:      seconds that it lasts
    source_frames: how many frames it has: as many as its packets show, not what its header claims, and where
        some of them fail, as many as decode
    warning:       what is wrong with a clip that is read all the same; None when nothing is
    """

    pixels: NDArray[np.uint8]
    times: NDArray[np.float32]
    duration: float
    source_frames: int
    warning: str | None = None


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip without decoding it.

    frames:        as many as there are packets; some may not decode
    duration:      seconds
    width, height: as it is shown: turned upright, with square pixels
    codec:         its name, such as h264; for pictures the format, such as jpeg
    rotation:      degrees by which the stored picture is turned clockwise to stand upright
    """

    frames: int
    duration: float
    width: int
    height: int
    codec: str
    rotation: int


class Shown(NamedTuple):
    """The pictures that were asked for among all that a film shows.

    pictures: by their number, (size, size, 3) uint8
    warning:  what went wrong on the way, or None
    """

    pictures: dict[int, NDArray[np.uint8]]
    warning: str | None


class Film(Protocol):
    """A clip, or a piece of one, that is open. Frames are numbered in the order in which they are shown."""

    def times(self) -> NDArray[np.float64]:
        """(frame,) seconds within the file at which frames begin, never decreasing.

        They are what the file promises, until `show` has found that fewer decode.
        """

    def show(self, wanted: Iterable[int]) -> Shown:
        """The frames of these numbers; when some are missing, `times` says afterwards which are there.

        The same call gives the same. Errors: ClipError with the cause.
        """

    def facts(self) -> ClipFacts:
        """What is known of it without decoding it whole. Errors: ClipError with the cause."""

    def __enter__(self) -> Self:
        """The film, which is closed at the end."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives back what the reader holds."""
