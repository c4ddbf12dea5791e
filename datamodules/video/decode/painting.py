"""A decoded frame -> a picture: RGB of full range, upright, of one size."""

from typing import NamedTuple, Self

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from datamodules.video.decode.fitting import fit_image, fit_picture, stored_size

EXACT = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
"""The same picture on every processor."""
LONGEST = 8
"""A picture that would become so many times longer than the wanted side is cut before it is scaled."""
WIDEST = 20.0
"""No pixel is so many times wider than high, or higher than wide: such a header is wrong."""
TURNS = {
    (False, False, False): 0,
    (True, True, False): 90,
    (False, True, True): 180,
    (True, False, True): 270,
}
"""Degrees clockwise of the stances that are turns."""


class Stance(NamedTuple):
    """How a stored picture is brought upright: mirrored along its diagonal, then sideways, then upside down.

    From the display matrix (ISO/IEC 14496-12, 6.2.2), which may also mirror; an oblique one counts as the
    nearest that is not.
    """

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Self:
        """That of a decoded frame."""
        found = frame.side_data.get("DISPLAYMATRIX")
        if not isinstance(found, SideData):
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def rotation(self) -> int:
        """Degrees clockwise; of a mirrored picture those that come after the mirror."""
        return TURNS.get((self.transposed, self.mirrored, self.upended), 90 if self.transposed else 0)

    def upright(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(height, width, 3) of a stored picture (row, column, 3)."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        return picture[:: -1 if self.upended else 1, :: -1 if self.mirrored else 1]


def pixel_shape(said: object) -> float:
    """Width of a pixel over its height, from what a header says; 1 where that cannot be."""
    wide = float(said) if said else 1.0  # type: ignore[arg-type]
    return wide if 1 / WIDEST <= wide <= WIDEST else 1.0


class Painter:
    """Makes the pictures of one clip.

    size, fit: what they are brought to (see `FrameOptions`);  wide: width of a pixel over its height
    """

    def __init__(self, size: int, fit: str, wide: float) -> None:
        self.size, self.fit, self.wide = size, fit, wide
        self._reformatter = VideoReformatter()

    def paint(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB, upright, on black where the frame is transparent.

        Errors: av.FFmpegError for a frame in a format that nothing converts.
        """
        stance = Stance.of(frame)
        scaled = stored_size((frame.width, frame.height), self.wide, self.size, self.fit)
        if max(scaled) > LONGEST * self.size:
            whole = Image.fromarray(self._rgb(frame, frame.width, frame.height))
            return np.ascontiguousarray(stance.upright(fit_image(whole, self.wide, self.size, self.fit)))
        return fit_picture(stance.upright(self._rgb(frame, *scaled)), self.size)

    def _rgb(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, 3) uint8. Colours that are wrongly labelled are taken for those of ITU-R BT.601."""
        clear = any(part.is_alpha for part in frame.format.components)
        smaller = width < frame.width or height < frame.height
        for colours in (None, Colorspace.ITU601):
            try:
                found: NDArray[np.uint8] = self._reformatter.reformat(
                    frame,
                    width=width,
                    height=height,
                    format="rgba" if clear else "rgb24",
                    src_colorspace=colours,
                    dst_colorspace=colours,
                    interpolation=(Interpolation.AREA if smaller else Interpolation.BICUBIC) | EXACT,
                    src_color_range=ColorRange(frame.color_range) if frame.color_range in (1, 2) else None,
                    dst_color_range=ColorRange.JPEG,
                    threads=1,
                ).to_ndarray()  # type: ignore[assignment]
                break
            except (av.FFmpegError, OSError, ValueError):
                if colours is not None:
                    raise
        if clear:
            found = (found[..., :3] * (found[..., 3:] / 255.0) + 0.5).astype(np.uint8)
        return found
