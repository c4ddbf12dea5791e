"""A small input that a model takes, made from what the model itself holds: no data are asked for."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.rundir import RunDir
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

MOST_VALUES = 100_000
"""Maps of more values are not written out: the example names a file instead."""
FRAMES, SIZE = 4, 24
"""Frames of an example clip, and their height and width."""


def input_example(settings: Settings, run: RunDir) -> "pd.DataFrame":
    """A table of one row: the climatology's maps, or frames of a square that moves."""
    import pandas as pd

    if settings.task.kind == "caption":
        return pd.DataFrame({"frames": [_moving_square().tolist()], "clip": ["a moving square"]})
    return pd.DataFrame({name: [value] for name, value in _climatology(settings, run).items()})


def _moving_square() -> np.ndarray:
    """uint8 (frame, height, width, 3)."""
    frames = np.full((FRAMES, SIZE, SIZE, 3), 40, np.uint8)
    for number, frame in enumerate(frames):
        frame[8:16, 4 * number : 4 * number + 8] = (220, 60, 40)
    return frames


def _climatology(settings: Settings, run: RunDir) -> dict[str, object]:
    """The columns time and maps (and series) at the first steps of 2001; a path where they are too many."""
    from datamodules.gridded.clock import dates, parse_moment
    from pipelines.forecasts.coordinates import valid_times
    from pipelines.forecasts.kept import kept_model

    trained, fitted = kept_model(run)
    history = settings.forecast.history
    if history * len(trained.channels) * np.prod(trained.grid.shape) > MOST_VALUES:
        return {"path": "newest_maps.nc"}
    first = np.array([round(parse_moment("2001-01-01", trained.calendar, "example"))])
    time = valid_times(first, history, trained.step, trained.calendar)[0]
    maps = np.tensordot(fitted.basis(time), fitted.coefficients, axes=1)
    found: dict[str, object] = {"time": dates(time, trained.calendar), "maps": _lists(maps)}
    if trained.series is not None:
        found["series"] = _lists(fitted.basis(time) @ fitted.series_coefficients)
    return found


def _lists(values: np.ndarray) -> object:
    """Nested lists of numbers of five figures, None where there is none."""
    if values.ndim:
        return [_lists(one) for one in values]
    return float(f"{float(values):.5g}") if np.isfinite(values) else None
