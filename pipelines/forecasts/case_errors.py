"""The squared error of every forecast of a test, kept so that two runs can be compared case by case."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from datamodules.errors import InputError
from pipelines.rundir import RunDir, write_bytes

NAMES = ("cases", "quantities", "units", "lead_names")
ARRAYS = ("lead_hours", "squared", "weight", "overlap")


def errors_file(run: RunDir) -> Path:
    """Where a run keeps the errors of its test: `predictions/errors.npz`."""
    return run.predictions / "errors.npz"


@dataclass(frozen=True, eq=False)
class CaseErrors:
    """What each forecast of a test was off by, and the area that it was judged over.

    cases: when each was issued (the last known step), ISO, in order.
    quantities, units: variables, and station series where they are forecast.
    lead_names, lead_hours: ("6h", ...), (6.0, ...).
    squared: float64 (case, lead, quantity), area-weighted mean of squared errors; NaN where nothing counted.
    weight: float64 (case, lead, quantity), the share of the area that counted.
    overlap: so many cases in a row may share a step, where one is issued at every step.

    The RMSE over any cases is sqrt(sum(weight * squared) / sum(weight)): over all of them, test/rmse.
    """

    cases: tuple[str, ...]
    quantities: tuple[str, ...]
    units: tuple[str, ...]
    lead_names: tuple[str, ...]
    lead_hours: tuple[float, ...]
    squared: np.ndarray
    weight: np.ndarray
    overlap: int

    def __post_init__(self) -> None:
        """Refuse arrays whose shape is not (case, lead, quantity)."""
        shape = (len(self.cases), len(self.lead_names), len(self.quantities))
        if self.squared.shape != shape or self.weight.shape != shape:
            raise ValueError(f"errors of {self.squared.shape}, not (case, lead, quantity) = {shape}")
        if (len(self.lead_hours), len(self.units)) != shape[1:]:
            raise ValueError(f"{len(self.lead_hours)} lead times and {len(self.units)} units for {shape}")

    def write(self, path: Path) -> Path:
        """The path of the file, published whole."""
        content = io.BytesIO()
        arrays: dict[str, Any] = {name: np.array(getattr(self, name), dtype=np.str_) for name in NAMES}
        arrays |= {name: np.asarray(getattr(self, name)) for name in ARRAYS}
        np.savez_compressed(content, **arrays)
        write_bytes(path, content.getvalue())
        return path

    @classmethod
    def read(cls, path: Path) -> "CaseErrors":
        """The errors in a file that `write` made. InputError when it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as found:
                names = {name: tuple(str(text) for text in found[name]) for name in NAMES}
                hours = tuple(float(value) for value in found["lead_hours"])
                squared, weight = (found[name].astype(np.float64) for name in ("squared", "weight"))
                overlap = int(found["overlap"])
            return cls(**names, lead_hours=hours, squared=squared, weight=weight, overlap=overlap)
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise InputError(f"{path}: cannot be read ({error}); evaluate the run again") from error
