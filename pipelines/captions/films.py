"""Film strips: the frames of a clip side by side in one small JPEG, as pages show them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.captions.contact_sheet import Captioned
from pipelines.rundir import RunDir, write_bytes

HEIGHT = 64
MOST_FRAMES = 24
QUALITY = 82


def film_file(run: RunDir, number: int) -> Path:
    """The strip of the test clip of this number (the first is 1), where it was drawn."""
    return run.plots / "films" / f"{number}.jpg"


def write_films(run: RunDir, clips: Sequence[Captioned]) -> None:
    """A strip for each of the first test clips that has frames; strips of an earlier look are replaced."""
    for number, one in enumerate(clips, start=1):
        if len(one.frames):
            write_bytes(film_file(run, number), film_strip(one.frames))


def film_strip(frames: np.ndarray) -> bytes:
    """The JPEG of uint8 `frames` (frame, height, width, 3): at most 24, evenly chosen, 64 pixels high."""
    from PIL import Image

    places = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int))
    width = max(16, round(HEIGHT * frames.shape[2] / frames.shape[1]))
    strip = Image.new("RGB", (width * len(places), HEIGHT))
    for column, place in enumerate(places):
        frame = Image.fromarray(frames[place]).resize((width, HEIGHT), Image.Resampling.LANCZOS)
        strip.paste(frame, (column * width, 0))
    content = io.BytesIO()
    strip.save(content, format="JPEG", quality=QUALITY, optimize=True)
    return content.getvalue()
