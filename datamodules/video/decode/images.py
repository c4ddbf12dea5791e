"""Still pictures as clips: one image is a clip of one frame, a folder of images a clip of as many."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from datamodules.video.decode.faults import ClipError, require_file
from datamodules.video.decode.fitting import fit_image
from datamodules.video.decode.frames import ClipFacts, Shown
from datamodules.video.frame_choice import length
from datamodules.video.media import IMAGE_ENDINGS

FOLDER_RATE = 25.0
"""Images of a folder a second, where nothing says how fast they were taken."""
ORIENTATION = 0x0112
"""The tag by which a camera says how it was held (Exif 2.3, 4.6.4)."""
TURNS = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""Degrees clockwise; 2, 4, 5 and 7 are mirrored besides."""


class ImageFilm:
    """One image, or the images of a folder in the order of their names and numbers (see `Film`).

    start, stop: seconds since the first image
    Errors: ClipError with the cause; OSError for a folder that may not be listed.
    """

    def __init__(
        self, path: Path, size: int, fit: str, start: float | None = None, stop: float | None = None
    ) -> None:
        self.size, self.fit = size, fit
        files = _images(path) if path.is_dir() else [path]
        shown = np.arange(len(files)) / FOLDER_RATE
        if start is not None and start >= shown[-1] + 1 / FOLDER_RATE:
            raise ClipError(path, f"no frames in this piece: its last one begins at {shown[-1]:g} s")
        first = 0 if start is None else int(np.searchsorted(shown, start - 1e-6))
        last = len(shown) if stop is None else int(np.searchsorted(shown, stop - 1e-6))
        first, last = (first, last) if first < last else (max(first, 1) - 1, max(first, 1))
        self.files, self._times = files[first:last], shown[first:last]
        for file in self.files:
            require_file(file)

    def __enter__(self) -> Self:
        """The film; nothing stays open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to give back."""

    def times(self) -> NDArray[np.float64]:
        """(frame,) seconds: FOLDER_RATE images a second."""
        return self._times

    def show(self, wanted: Iterable[int]) -> Shown:
        """The images of these numbers."""
        chosen = sorted({number for number in wanted if number < len(self.files)})
        return Shown({number: self._picture(self.files[number]) for number in chosen}, None)

    def facts(self) -> ClipFacts:
        """What the first image's header says."""
        with _opened(self.files[0]) as image:
            width, height = image.size
            codec = (image.format or "image").lower()
            stance = image.getexif().get(ORIENTATION, 1)
        if stance in (5, 6, 7, 8):
            width, height = height, width
        return ClipFacts(len(self.files), length(self._times), width, height, codec, TURNS.get(stance, 0))

    def _picture(self, file: Path) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB, upright as the camera says, on black where the image is transparent."""
        with _opened(file) as image:
            try:
                upright = _eight_bits(ImageOps.exif_transpose(image))
                clear = upright.convert("RGBA") if "transparency" in upright.info else upright
                if clear.mode in ("RGBA", "LA", "PA"):
                    clear = clear.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", clear.size, (0, 0, 0, 255)), clear)
                return fit_image(upright.convert("RGB"), 1.0, self.size, self.fit)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                raise ClipError(file, f"cut short or damaged ({error})") from error


def _images(folder: Path) -> list[Path]:
    """The images of a folder: 2.png comes before 10.png; hidden files are passed over."""
    found = [
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_ENDINGS and file.name[0] != "."
    ]
    if not found:
        raise ClipError(folder, "empty: a folder without images")
    return sorted(found, key=_number_order)


def _number_order(file: Path) -> tuple[list[tuple[str, int]], str]:
    """Words and numbers of a name by turns, and the name itself where these are alike."""
    parts = re.findall(r"(\D*)(\d*)", file.name)
    return [(word, int(number or 0)) for word, number in parts], file.name


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ClipError(file, f"not an image that can be read ({type(error).__name__})") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits with its values divided by 256; any other as it is."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image, np.int64) // 256).clip(0, 255).astype(np.uint8))
