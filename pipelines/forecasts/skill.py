"""The figures of a run beside those of the references: rows, `skill.csv`, `metrics.json` and a table."""

import csv
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

MODEL = "skyreel"
METRICS = ("rmse", "mae", "bias", "acc", "crps")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of the model and of every reference over one set of windows.

    variables, units:       one entry a channel (or a station series)
    lead_names, lead_hours: one entry a lead time: ("6h", ...) as `Step.lead_name` writes them, (6.0, ...)
    scores:                 model -> metric -> float array (lead, variable), as `ForecastScores.compute`
                            gives them; the model's own under "skyreel". Other keys than METRICS are left out.
    split:                  what the windows are of: "test", "validation"
    """

    variables: tuple[str, ...]
    units: tuple[str, ...]
    lead_names: tuple[str, ...]
    lead_hours: tuple[float, ...]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    split: str = "test"

    def __post_init__(self) -> None:
        """Refuse arrays whose shape is not (lead, variable), and a table without the model."""
        if MODEL not in self.scores:
            raise ValueError(f"no scores of '{MODEL}' among {', '.join(self.scores) or 'none at all'}")
        shape = (len(self.lead_names), len(self.variables))
        if (len(self.lead_hours), len(self.units)) != shape:
            raise ValueError(f"{len(self.lead_hours)} lead_hours and {len(self.units)} units for {shape}")
        for model, metrics in self.scores.items():
            for metric, values in metrics.items():
                if metric in METRICS and np.shape(values) != shape:
                    raise ValueError(f"{model} {metric}: {np.shape(values)}, not (lead, variable) = {shape}")

    @property
    def references(self) -> tuple[str, ...]:
        """The models other than skyreel, in the order in which they came."""
        return tuple(model for model in self.scores if model != MODEL)

    def skill(self, reference: str) -> np.ndarray:
        """1 - rmse / rmse of the reference, (lead, variable); NaN where the reference makes no error."""
        rmse = np.asarray(self.scores[reference]["rmse"], dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(rmse > 0, 1 - np.asarray(self.scores[MODEL]["rmse"], dtype=float) / rmse, np.nan)


class SkillRow(NamedTuple):
    """One line of `skill.csv`."""

    variable: str
    lead_hours: float
    metric: str
    model: str
    value: float


def _figures(table: ScoreTable) -> Iterable[tuple[str, str, np.ndarray]]:
    """(model, metric, values (lead, variable)) of all scores, then the skill against each reference."""
    for model, metrics in table.scores.items():
        for metric in METRICS:
            if metric in metrics:
                yield model, metric, np.asarray(metrics[metric], dtype=float)
    for reference in table.references:
        yield MODEL, f"skill_{reference}", table.skill(reference)


def skill_rows(*tables: ScoreTable) -> list[SkillRow]:
    """Every figure that is defined, as (variable, lead_hours, metric, model, value).

    Skill is the model's: metric "skill_persistence", model "skyreel". What is not defined has no row: the
    anomaly correlation of the climatology, a score where no value counted.
    """
    return [
        SkillRow(variable, hours, metric, model, float(values[lead, v]))
        for table in tables
        for v, variable in enumerate(table.variables)
        for model, metric, values in _figures(table)
        for lead, hours in enumerate(table.lead_hours)
        if math.isfinite(values[lead, v])
    ]


def flat_metrics(*tables: ScoreTable) -> dict[str, float]:
    """The figures by their names in `metrics.json`.

    The model's: "test/rmse/air/24h", "test/skill_persistence/air/24h"; of a reference, without the split:
    "reference/persistence/rmse/air/24h".
    What is not defined has no key (JSON knows no NaN); a figure of the model that is missing so is logged.
    Raises ValueError when two tables name the same figure (a station called like a variable).
    """
    metrics: dict[str, float] = {}
    undefined: list[str] = []
    for table in tables:
        for model, metric, values in _figures(table):
            prefix = table.split if model == MODEL else f"reference/{model}"
            for v, variable in enumerate(table.variables):
                for lead, name in enumerate(table.lead_names):
                    key = f"{prefix}/{metric}/{variable}/{name}"
                    if key in metrics:
                        raise ValueError(f"'{key}' would be written twice: two are called '{variable}'")
                    if math.isfinite(values[lead, v]):
                        metrics[key] = float(values[lead, v])
                    elif model == MODEL:
                        undefined.append(key)
    if undefined:
        logger.warning("%d figures are not finite and left out, the first: %s", len(undefined), undefined[0])
    return metrics


def write_skill_csv(path: Path, rows: Sequence[SkillRow]) -> Path:
    """The path of `skill.csv`, complete: it is written beside its place and renamed."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SkillRow._fields)
        writer.writerows((*row[:1], f"{row.lead_hours:.10g}", *row[2:]) for row in rows)
    partial.replace(path)
    return path


def read_skill_csv(
    path: Path, units: Mapping[str, str], lead_name: Callable[[int], str], step_hours: float
) -> tuple[ScoreTable, ...]:
    """The RMSE in `skill.csv` as a table to show; `lead_name` names so many steps of `step_hours`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "rmse"]
    hours = sorted({float(row["lead_hours"]) for row in rows})
    variables = tuple(dict.fromkeys(row["variable"] for row in rows))
    scores = {row["model"]: {"rmse": np.full((len(hours), len(variables)), np.nan)} for row in rows}
    for row in rows:
        place = hours.index(float(row["lead_hours"])), variables.index(row["variable"])
        scores[row["model"]]["rmse"][place] = float(row["value"])
    names = tuple(lead_name(round(hour / step_hours)) for hour in hours)
    return (ScoreTable(variables, tuple(units[name] for name in variables), names, tuple(hours), scores),)
