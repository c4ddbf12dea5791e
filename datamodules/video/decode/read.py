"""The one way to read a clip: its chosen frames, upright, of one size; or the reason why there are none."""

from pathlib import Path

import numpy as np

from datamodules.video.decode.faults import ClipError
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
    start, stop: seconds within the clip, the first belongs to it, the last does not; None: the whole clip
    Errors: ClipError with the cause; InputError for a backend that is not installed.
    """
    path = Path(path)
    with open_film(path, options) as film:
        times, warning = film.times(), None
        state = None if rng is None else rng.bit_generator.state
        for _ in range(CHOICES):
            if not len(times):
                break
            first, last = _part(path, times, start, stop)
            chosen = first + choose(options, times[first:last], training=training, rng=rng)
            wanted = np.searchsorted(film.times(), times[chosen])
            shown = film.show(wanted.tolist())
            warning = warning or shown.warning
            if all(number in shown.pictures for number in wanted.tolist()):
                return Frames(
                    np.stack([shown.pictures[number] for number in wanted.tolist()]),
                    (times[chosen] - times[first]).astype(np.float32),
                    length(times[first:last]),
                    len(shown.times),
                    warning,
                )
            times = shown.times
            if rng is not None and state is not None:
                rng.bit_generator.state = state  # the same chance for what is left
        film.show([0])
    raise ClipError(path, "damaged: its frames do not decode twice alike")


def survey(path: Path) -> ClipFacts:
    """What is known of a clip without decoding it whole. Errors: ClipError with the cause."""
    with open_film(Path(path), FrameOptions()) as film:
        return film.facts()


def open_film(path: Path, options: FrameOptions) -> Film:
    """The clip, opened by the reader that fits it."""
    if path.is_dir() or path.suffix.lower() in IMAGE_ENDINGS:
        from datamodules.video.decode.images import ImageFilm

        return ImageFilm(path, options.size, options.fit)
    if options.backend == "torchcodec":
        from datamodules.video.decode.torchcodec import TorchcodecFilm

        return TorchcodecFilm(path, options.size, options.fit)
    from datamodules.video.decode.pyav import PyavFilm

    return PyavFilm(path, options.size, options.fit)


def _part(path: Path, times: np.ndarray, start: float | None, stop: float | None) -> tuple[int, int]:
    """Numbers of the first frame between `start` and `stop`, and of the one after the last."""
    since = times - times[0] + 1e-6
    first = 0 if start is None else int(np.searchsorted(since, start))
    last = len(times) if stop is None else int(np.searchsorted(since, stop))
    if first >= last:
        raise ClipError(path, f"no frames between {start or 0:g} s and {stop:g} s" if stop else "too short")
    return first, last
