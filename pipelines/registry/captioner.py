"""A captioner as MLflow calls it: tables of clips or frames in, a row a clip or piece out."""

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from datamodules.errors import InputError
from pipelines.captions.predict import Writer, captions_of, named_files
from pipelines.registry.rows import as_array, naming_row, one_of, rows_of
from pipelines.rundir import RunDir
from pipelines.settings import Settings


class RegisteredCaptioner:
    """The captioner of a run, loaded once; it writes with the functions that `skyreel predict` calls."""

    def __init__(self, settings: Settings, run: RunDir) -> None:
        self._notes = tempfile.TemporaryDirectory(prefix="skyreel-clips-")
        paths = settings.paths.model_copy(update={"stores": self._notes.name})
        clips = settings.clips.model_copy(update={"workers": 0})
        self.settings = settings.model_copy(update={"paths": paths, "data": clips})
        self.writer = Writer(self.settings, run, run.best)
        self._alone = threading.Lock()

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """A row for each clip, or piece of one (task.pieces), that an input row names; nothing is rounded
        otherwise than in the JSON of `skyreel predict`. Errors: MLflow's, for a row that cannot be used.
        """
        found: list[dict[str, Any]] = []
        for number, row in rows_of(table):
            with naming_row(number), self._alone:
                found += [{"row": number, **one} for one in self._captions(row)]
        return pd.DataFrame(found)

    def _captions(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What is written for the clips of a row. Errors: InputError."""
        one_of(row, "path", "frames")
        if "path" in row:
            written, _ = captions_of(self.settings, self.writer, named_files(str(row["path"])))
            return [one.as_plain() for one in written]
        with tempfile.TemporaryDirectory(prefix="skyreel-frames-") as folder:
            clip = write_frames(Path(folder) / "frames", row["frames"])
            written, _ = captions_of(self.settings, self.writer, [clip])
        told = {"clip": str(row.get("clip", "frames")), "file": None}
        return [{**one.as_plain(), **told} for one in written]


def write_frames(folder: Path, frames: Any) -> Path:
    """`folder`, made a clip of images that hold exactly these pixels (frame, height, width, 3), 0 to 255.

    Errors: InputError.
    """
    pictures = as_array(frames, "frame, height, width, 3", "frames", np.float64)
    if pictures.shape[-1] != 3 or not pictures.size:
        raise InputError(f"frames: {pictures.shape}; needed are (frame, height, width, 3)")
    if not ((pictures >= 0) & (pictures <= 255)).all():
        raise InputError("frames: hold values outside 0 to 255")
    folder.mkdir()
    for number, picture in enumerate(pictures.astype(np.uint8)):
        Image.fromarray(picture).save(folder / f"{number:06d}.png")
    return folder
