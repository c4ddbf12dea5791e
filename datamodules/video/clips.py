"""A clip with what people say of it: what splits, checks and data sets are made of."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CaptionedClip:
    """One clip and its captions, raw as they were written.

    file:        the media file or folder of images; None where only stored features are read
    start, stop: seconds within the file; None is its beginning, its end
    """

    id: str
    file: Path | None
    start: float | None = None
    stop: float | None = None
    captions: tuple[str, ...] = ()
