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
from datamodules.video.decode.fitting import fit_image
from datamodules.video.decode.frames import ClipFacts, Shown
from datamodules.video.frame_choice import length


class TorchcodecFilm:
    """A clip, or a piece of one, opened by torchcodec (see `Film`), which turns frames upright itself.

    start, stop: seconds since the first frame of the file
    Errors: InputError when torchcodec is absent; ClipError with the cause.
    """

    def __init__(
        self, path: Path, size: int, fit: str, start: float | None = None, stop: float | None = None
    ) -> None:
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
        self._first, self._times = self._piece(start, stop)

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
        return self._times

    def show(self, wanted: Iterable[int]) -> Shown:
        """The frames of these numbers."""
        chosen = sorted({number for number in wanted if number < len(self._times)})
        return Shown({number: self._picture(self._first + number) for number in chosen}, None)

    def _piece(self, start: float | None, stop: float | None) -> tuple[int, NDArray[np.float64]]:
        """Number of the first frame of the piece, and the times of all of its frames."""
        count = len(self._decoder)
        try:
            stamps = (self._decoder.get_frame_at(number).pts_seconds for number in range(count))
            times = np.fromiter(stamps, float, count)
        except RuntimeError as error:
            raise ClipError(self.path, f"damaged ({str(error).splitlines()[0]})") from error
        since = times - times[:1]
        first = 0 if start is None else int(np.searchsorted(since, start - 1e-6))
        last = count if stop is None else int(np.searchsorted(since, stop - 1e-6))
        if first >= last:
            if not first or first == count:
                raise ClipError(self.path, "no frames in this piece")
            first, last = first - 1, first
        return first, times[first:last]

    def facts(self) -> ClipFacts:
        """What torchcodec found while it opened the file."""
        found = self._decoder.metadata
        frames, duration = len(self._times), length(self._times) if len(self._times) else 0.0
        return ClipFacts(frames, duration, found.width, found.height, found.codec, 0)

    def _picture(self, number: int) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB."""
        try:
            picture = self._decoder[number].permute(1, 2, 0).numpy()
        except RuntimeError as error:
            raise ClipError(self.path, f"damaged ({str(error).splitlines()[0]})") from error
        return fit_image(Image.fromarray(picture), 1.0, self.size, self.fit)
