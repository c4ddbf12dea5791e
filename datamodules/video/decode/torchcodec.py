"""Films read by torchcodec, an optional extra that uses the system's FFmpeg."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import InputError
from datamodules.video.decode.faults import ClipError, require_file
from datamodules.video.decode.fitting import fit_picture, stored_size
from datamodules.video.decode.frames import ClipFacts, Shown


class TorchcodecFilm:
    """A clip opened by torchcodec (see `Film`), which turns frames upright itself.

    Errors: InputError when torchcodec is absent; ClipError with the cause.
    """

    def __init__(self, path: Path, size: int, fit: str) -> None:
        try:
            from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found]
        except (ImportError, RuntimeError, OSError) as error:
            raise InputError(
                f"data.frames.backend=torchcodec: it cannot be used here ({str(error).splitlines()[0]}); "
                "pip install 'skyreel[torchcodec]' beside the system's FFmpeg, or take "
                "data.frames.backend=pyav"
            ) from error
        require_file(path)
        self.path, self.size, self.fit = path, size, fit
        try:
            self._decoder: Any = VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode="exact")
        except (RuntimeError, ValueError) as error:
            raise ClipError(path, f"torchcodec cannot open it ({str(error).splitlines()[0]})") from error

    def __enter__(self) -> Self:
        """The film."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives back what the reader holds."""
        self._decoder = None

    def times(self) -> NDArray[np.float64]:
        """(frame,) seconds within the file."""
        count = len(self._decoder)
        stamps = (self._decoder.get_frame_at(number).pts_seconds for number in range(count))
        return np.fromiter(stamps, float, count)

    def show(self, wanted: Iterable[int]) -> Shown:
        """The frames of these numbers."""
        times = self.times()
        pictures = {number: self._picture(number) for number in sorted(set(wanted)) if number < len(times)}
        return Shown(pictures, times, None)

    def facts(self) -> ClipFacts:
        """What torchcodec found while it opened the file."""
        found = self._decoder.metadata
        return ClipFacts(
            len(self._decoder), float(found.duration_seconds), found.width, found.height, found.codec, 0
        )

    def _picture(self, number: int) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB."""
        try:
            picture = self._decoder[number].permute(1, 2, 0).numpy()
        except RuntimeError as error:
            raise ClipError(self.path, f"damaged ({str(error).splitlines()[0]})") from error
        image = Image.fromarray(picture)
        scaled = stored_size(image.size, 1.0, 0, self.size, self.fit)
        return fit_picture(np.asarray(image.resize(scaled, Image.Resampling.BICUBIC)), self.size, self.fit)
