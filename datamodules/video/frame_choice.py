"""Which frames of a clip are read, from the times at which they are shown. Numpy only.

Evenly means evenly in time, not in number: a clip of variable rate (a screen recording, a phone in the dark)
is seen as a viewer sees it, and a frame that is shown for long may be chosen more than once.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datamodules.video.options import FrameOptions


def choose(
    options: FrameOptions, times: ArrayLike, *, training: bool, rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """Positions of the chosen frames, int64 (chosen,), never decreasing.

    times: (frame,) seconds, never decreasing: when each frame begins to be shown

    uniform: the frames shown in the middle of `count` equal parts of the clip; segment: when training, the
    frame shown at a random moment of each part, else as uniform; fps: those shown at the beginning and every
    1 / fps seconds after it, each once; all: every frame. More than `most` (fps, all) are thinned evenly.
    A clip of fewer frames than `count` repeats them.

    Errors: ValueError without any frame, when the times decrease, and when chance is wanted without `rng`.
    """
    shown = np.asarray(times, dtype=np.float64)
    if shown.ndim != 1 or not len(shown):
        raise ValueError(f"times are those of one frame at least, in one dimension, not {shown.shape}")
    if not (np.isfinite(shown).all() and (np.diff(shown) >= 0).all()):
        raise ValueError("times are finite and never decrease")
    if options.choice == "all":
        return _thinned(len(shown), options.most)
    if options.choice == "fps":
        steps = max(int(np.ceil(length(shown) * options.fps - 1e-6)), 1)
        return np.unique(_shown_at(shown, shown[0] + _thinned(steps, options.most) / options.fps))
    if options.choice == "segment" and training:
        if rng is None:
            raise ValueError("choice=segment draws its frames when training: give a generator as rng")
        place = rng.random(options.count)
    else:
        place = np.full(options.count, 0.5)
    return _shown_at(shown, shown[0] + length(shown) * (np.arange(options.count) + place) / options.count)


def length(times: NDArray[np.float64]) -> float:
    """Seconds from the first frame to the end of the last, which lasts as long as most do; 0 of one frame.

    times: (frame,) seconds, never decreasing, one at least
    """
    if len(times) == 1:
        return 0.0
    return float(times[-1] - times[0] + np.median(np.diff(times)))


def _shown_at(times: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions of the frames that are on the screen at some moments.

    A moment within a microsecond of a frame's beginning is that frame's: rounding is not to decide.
    """
    last = np.searchsorted(times, moments + 1e-6, side="right").astype(np.int64) - 1
    return np.clip(last, 0, len(times) - 1)


def _thinned(count: int, most: int) -> NDArray[np.int64]:
    """0 to `count` - 1, or `most` of them spread evenly."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return (2 * np.arange(most, dtype=np.int64) + 1) * count // (2 * most)
