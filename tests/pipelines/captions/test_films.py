"""Film strips hold the frames of a clip in order, few and small."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.captions.contact_sheet import Captioned
from pipelines.captions.films import HEIGHT, MOST_FRAMES, film_file, film_strip, write_films
from pipelines.rundir import RunDir


def test_a_strip_has_at_most_so_many_frames_from_first_to_last() -> None:
    frames = np.repeat(np.linspace(0, 250, 60).astype(np.uint8), 32 * 64 * 3).reshape(60, 32, 64, 3)
    strip = np.asarray(Image.open(io.BytesIO(film_strip(frames))))
    assert strip.shape == (HEIGHT, MOST_FRAMES * 2 * HEIGHT, 3)
    brightness = strip.mean(axis=(0, 2))
    assert brightness[0] < 5
    assert brightness[-1] > 245
    assert (np.diff(brightness[:: 2 * HEIGHT]) > 0).all()


def test_clips_without_frames_leave_no_strip(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    shapes = ((3, 8, 8, 3), (0, 1, 1, 3))
    write_films(run, [Captioned("a", np.zeros(shape, np.uint8), np.zeros(shape[0]), "") for shape in shapes])
    assert film_file(run, 1).is_file()
    assert not film_file(run, 2).exists()
