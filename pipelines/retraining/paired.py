"""Scores of champion and challenger on the same cases, side by side: what the gate judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipelines.rundir import RunDir

if TYPE_CHECKING:
    from pipelines.retraining.splits import JudgeOptions
    from pipelines.settings import Settings


@dataclass(frozen=True)
class Cell:
    """One figure of a case: of a variable at a lead time in a region, or of a caption score over a slice.

    quantity: "air", "cider_d".     lead: "24h"; "" for clips.
    part: a region or a slice ("tropics", "long captions"); "all" is the whole.
    """

    quantity: str
    lead: str
    part: str


@dataclass(frozen=True, eq=False)
class Paired:
    """What champion and challenger scored, case by case.

    cases: reference times of forecasts (ISO, in order), or ids of clips.
    champion, challenger: float64 (case, cell), NaN where missing, in both.
    form: "root_mean_square": area-weighted mean squared errors, lower is better; "mean": scores, higher is.
    least_block: so many consecutive cases share steps; 1 for clips.
    units: of each quantity.
    """

    cases: tuple[str, ...]
    cells: tuple[Cell, ...]
    champion: np.ndarray
    challenger: np.ndarray
    form: Literal["root_mean_square", "mean"]
    least_block: int
    units: Mapping[str, str]


def paired_for(
    champion: RunDir, challenger: RunDir, settings: "Settings", folder: Path, options: "JudgeOptions"
) -> Paired:
    """What both runs' best checkpoints score on the test split of `settings`, each with its own fit.

    folder: keeps what `changed_most` shows of it. Errors: InputError where the two cannot be compared.
    """
    if settings.task.kind == "forecast":
        from pipelines.retraining.paired_forecasts import paired_forecasts

        return paired_forecasts(champion, challenger, settings, options)
    from pipelines.retraining.paired_captions import paired_captions

    return paired_captions(champion, challenger, settings, folder, options)


def changed_most(
    champion: RunDir, challenger: RunDir, settings: "Settings", folder: Path, paired: Paired
) -> list[dict[str, Any]]:
    """The maps or clips that changed most, for better and for worse, as plain values; pictures in folder."""
    if settings.task.kind == "forecast":
        from pipelines.retraining.changed_maps import changed_maps

        return changed_maps(champion, challenger, settings, folder, paired)
    from pipelines.retraining.changed_clips import changed_clips

    return changed_clips(settings, folder, paired)
