"""Small H.264 clips whose pictures say which clip and which frame they are, with captions to match."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from datamodules.video.clips import CaptionedClip

SIZE = 32
STEP = 5
"""Levels between one frame's green and the next one's."""


def write_clip(path: Path, number: int, frames: int = 24, rate: int = 12) -> Path:
    """A clip of one-coloured frames: red says `number` (below 10), green which frame it is."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "1", "g": "6"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv444p"
        stream.time_base = Fraction(1, rate)
        picture = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
        for index in range(frames):
            picture[...] = (20 + 20 * number, 20 + STEP * index, 60)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def captioned_clips(folder: Path, captions: tuple[int, ...], frames: int = 24) -> tuple[CaptionedClip, ...]:
    """One clip for each number of captions; caption c of clip n reads "clip n says c"."""
    return tuple(
        CaptionedClip(
            id=f"v{number}",
            file=write_clip(folder / f"v{number}.mp4", number, frames),
            captions=tuple(f"clip n{number} says c{said}" for said in range(count)),
        )
        for number, count in enumerate(captions)
    )
