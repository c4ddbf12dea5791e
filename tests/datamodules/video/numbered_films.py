"""Films whose pictures say their own number, in blocks that survive lossy codecs, turns and scaling."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

BITS = 9
"""Numbers below 512 are told apart."""


def numbered(number: int, width: int = 96, height: int = 96) -> NDArray[np.uint8]:
    """(height, width, 3) a picture of 3 x 3 blocks: white where a bit of `number` is set, else dark blue."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[...] = (0, 0, 90)
    for bit in range(BITS):
        row, column = divmod(bit, 3)
        if number >> bit & 1:
            picture[
                row * height // 3 : (row + 1) * height // 3, column * width // 3 : (column + 1) * width // 3
            ] = 255
    return picture


def number_of(picture: NDArray[np.uint8]) -> int:
    """The number that an upright picture shows."""
    height, width = picture.shape[:2]
    found = 0
    for bit in range(BITS):
        row, column = divmod(bit, 3)
        found |= int(picture[(2 * row + 1) * height // 6, (2 * column + 1) * width // 6, 0] > 128) << bit
    return found


def write_film(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: int = 25,
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    turned: int = 0,
    wide: Fraction | None = None,
    full: bool = False,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A film of these pictures.

    ticks: when each one begins, in thousandths of a second; None: `rate` a second
    turned: degrees of the display matrix;  wide: width of a pixel over its height;  full: full range
    """
    height, width = pictures[0].shape[:2]
    base = Fraction(1, rate) if ticks is None else Fraction(1, 1000)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.time_base = stream.codec_context.time_base = base
        stream.codec_context.thread_count = 1
        if wide is not None:
            stream.codec_context.sample_aspect_ratio = wide
        if full:
            stream.codec_context.color_range = 2
        if turned:
            stream.set_display_rotation(turned)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if picture.shape[2] == 3 else "rgba")
            frame = frame.reformat(format=pixels, dst_color_range=2 if full else 1)
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_numbered(path: Path, frames: int, width: int = 96, height: int = 96, **how: object) -> Path:
    """A film of `frames` pictures that say their number (see `write_film`)."""
    return write_film(path, [numbered(number, width, height) for number in range(frames)], **how)  # type: ignore[arg-type]
