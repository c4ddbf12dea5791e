"""Still pictures as clips: one image is a clip of one frame, a folder of images a clip of as many."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from datamodules.video.decode.faults import ClipError, require_file
from datamodules.video.decode.fitting import fit_picture, stored_size
from datamodules.video.decode.frames import ClipFacts, Shown
from datamodules.video.media import IMAGE_ENDINGS

FOLDER_RATE = 25.0
"""Images of a folder a second, where nothing says how fast they were taken."""


class ImageFilm:
    """One image, or the images of a folder in the order of their names (see `Film`).

    Errors: ClipError with the cause.
    """

    def __init__(self, path: Path, size: int, fit: str) -> None:
        self.path, self.size, self.fit = path, size, fit
        self.files = [path]
        if path.is_dir():
            self.files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_ENDINGS)
            if not self.files:
                raise ClipError(path, "empty: a folder without images")
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
        return np.arange(len(self.files)) / FOLDER_RATE

    def show(self, wanted: Iterable[int]) -> Shown:
        """The images of these numbers."""
        chosen = sorted({number for number in wanted if number < len(self.files)})
        return Shown({number: self._picture(self.files[number]) for number in chosen}, self.times(), None)

    def facts(self) -> ClipFacts:
        """What the first image's header says."""
        with _opened(self.files[0]) as image:
            width, height = image.size
            codec = (image.format or "image").lower()
        return ClipFacts(len(self.files), (len(self.files) - 1) / FOLDER_RATE, width, height, codec, 0)

    def _picture(self, file: Path) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB, upright as the camera says, on black where the image is transparent."""
        with _opened(file) as image:
            try:
                upright = ImageOps.exif_transpose(image)
                clear = upright.convert("RGBA") if "transparency" in upright.info else upright
                if clear.mode in ("RGBA", "LA", "PA"):
                    clear = clear.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", clear.size, (0, 0, 0, 255)), clear)
                scaled = stored_size(upright.size, 1.0, 0, self.size, self.fit)
                found = _eight_bits(upright).convert("RGB").resize(scaled, Image.Resampling.BICUBIC)
            except (OSError, SyntaxError, ValueError) as error:
                raise ClipError(file, f"cut short or damaged ({error})") from error
            return fit_picture(np.asarray(found), self.size, self.fit)


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
