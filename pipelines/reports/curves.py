"""The curves of a run, read from what it told its journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.reports.charts import Line, chart
from pipelines.reports.markup import Html, element
from pipelines.tracking.journal import JOURNAL, read

SPLITS = ("train", "validation")
LEFT_OUT = ("epoch", "system/", "test/", "reference/", "by_lead/", "gate/")
"""How names begin that have no curve over the steps of training."""


@dataclass(frozen=True)
class Curve:
    """One figure over the steps of training; `split` is train, validation, or nothing."""

    figure: str
    split: str
    points: tuple[tuple[float, float], ...]


def curves_of(run: Path) -> list[Curve]:
    """Every curve in the journal of a run directory, by name; nothing where there is no journal.

    A step that was told twice, by a launch that went on, has its last value.
    """
    found: dict[str, dict[int, float]] = {}
    offset, path = 0, run / "tracking" / JOURNAL
    while entries := read(path, offset):
        offset = entries[-1].end
        for entry in entries:
            record = entry.record
            if record is None or record["kind"] != "metrics":
                continue
            for name, value in _numbers(record.get("metrics")).items():
                if not name.startswith(LEFT_OUT):
                    found.setdefault(name, {})[int(record.get("step") or 0)] = value
    return [_curve(name, points) for name, points in sorted(found.items()) if len(points) > 1]


def _numbers(metrics: object) -> dict[str, float]:
    items = metrics.items() if isinstance(metrics, Mapping) else ()
    return {str(name): float(value) for name, value in items if isinstance(value, int | float)}


def _curve(name: str, points: Mapping[int, float]) -> Curve:
    split, _, figure = name.partition("/")
    if split not in SPLITS or not figure:
        split, figure = "", name
    return Curve(figure, split, tuple((float(step), points[step]) for step in sorted(points)))


def curve_charts(runs: Mapping[str, Sequence[Curve]], most: int = 12) -> Html:
    """A chart a figure, training and validation together (training dashed), a colour a run; loss first.

    runs: curves by the name of the run. At most `most` charts; the others are in MLflow.
    """
    figures = {one.figure for curves in runs.values() for one in curves}
    ordered = sorted(
        figures, key=lambda name: (name.startswith("speed/"), name != "loss", name.count("/"), name)
    )
    charts = [chart(_title(name), _lines(name, runs), "step") for name in ordered[:most]]
    left = len(ordered) - most
    more = element("p", f"{left} more curves are in MLflow.", class_="quiet") if left > 0 else Html("")
    return Html("") if not charts else Html(element("div", charts, class_="charts") + more)


def _title(name: str) -> str:
    return name.replace("_", " ").replace("/", ", ")


def _lines(figure: str, runs: Mapping[str, Sequence[Curve]]) -> list[Line]:
    several = len(runs) > 1
    found = []
    for number, (run, curves) in enumerate(runs.items()):
        for one in curves:
            if one.figure != figure:
                continue
            name = one.split or figure
            shown = f"{run} {one.split}".strip() if several else name
            colour = number if several else (1 if one.split == "train" else 0)
            found.append(Line(shown, one.points, colour, dashed=one.split == "train"))
    return found
