"""The one way to read a clip: its chosen frames, upright, of one size; or the reason why there are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.video.decode.faults import ClipError, withheld
from datamodules.video.decode.frames import ClipFacts, Film, Frames
from datamodules.video.frame_choice import choose, length
from datamodules.video.media import IMAGE_ENDINGS
from datamodules.video.options import FrameOptions

__all__ = ["ClipError", "read_frames", "survey"]

CHOICES = 3
"""How often frames are chosen anew, when those that were chosen do not decode."""


def read_frames(
    path: Path,
    options: FrameOptions,
    *,
    training: bool = False,
    rng: np.random.Generator | None = None,
    start: float | None = None,
    stop: float | None = None,
) -> Frames:
    """Frames of the clip as `options` choose them, (size, size) pixels, from what really decodes.

    training, rng: frames by chance (choice=segment).
    start, stop: seconds since the clip's first frame: a piece is made of the frames that begin from `start`
        to before `stop`, or else of the one on the screen; only what is about it is read. None: all of it
    Errors: ClipError with the cause; InputError for a backend that is not installed.
    """
    path = Path(path)
    with _opened(path, options, start, stop) as film:
        state = None if rng is None else rng.bit_generator.state
        for _ in range(CHOICES):
            times, chosen = film.times(), np.zeros(1, np.int64)
            if len(times):
                chosen = choose(options, times, training=training, rng=rng)
            pictures, warning = film.show(chosen.tolist())
            if np.array_equal(film.times(), times) and all(one in pictures for one in chosen.tolist()):
                return Frames(
                    _stacked(pictures, chosen, options.size),
                    (times[chosen] - times[0]).astype(np.float32),
                    length(times),
                    len(times),
                    warning,
                )
            if rng is not None and state is not None:
                rng.bit_generator.state = state  # the same chance for what is left
    raise ClipError(path, "damaged: its frames do not decode twice alike")


def survey(path: Path) -> ClipFacts:
    """What is known of a clip without decoding it whole. Errors: ClipError with the cause."""
    with _opened(Path(path), FrameOptions(), None, None) as film:
        return film.facts()


@contextmanager
def _opened(path: Path, options: FrameOptions, start: float | None, stop: float | None) -> Iterator[Film]:
    """The clip, or a piece of it, opened by the reader that fits it; what the system withholds is told."""
    if stop is not None and stop <= (start or 0.0):
        raise ClipError(path, f"no frames in this piece: it ends at {stop:g} s, where it begins or before")
    try:
        with _film(path, options, start, stop) as film:
            yield film
    except OSError as error:
        raise withheld(path, error) from error


def _film(path: Path, options: FrameOptions, start: float | None, stop: float | None) -> Film:
    if path.suffix.lower() in IMAGE_ENDINGS or path.is_dir():
        from datamodules.video.decode.images import ImageFilm

        return ImageFilm(path, options.size, options.fit, start, stop)
    if options.backend == "torchcodec":
        from datamodules.video.decode.torchcodec import TorchcodecFilm

        return TorchcodecFilm(path, options.size, options.fit, start, stop)
    from datamodules.video.decode.pyav import PyavFilm

    return PyavFilm(path, options.size, options.fit, start, stop)


def _stacked(
    pictures: dict[int, NDArray[np.uint8]], chosen: NDArray[np.int64], size: int
) -> NDArray[np.uint8]:
    """(frame, size, size, 3) uint8; each picture is let go when it has been copied."""
    stacked = np.empty((len(chosen), size, size, 3), np.uint8)
    for number in list(pictures):
        stacked[chosen == number] = pictures.pop(number)
    return stacked
