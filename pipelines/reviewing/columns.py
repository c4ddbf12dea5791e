"""Which columns a table of runs has where nobody says, and what stands in a cell."""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pipelines.reviewing.archive import Row
from pipelines.reviewing.names import Name

RUN, STATUS, AGE, DURATION = (Name("attributes", key) for key in ("run_name", "status", "age", "duration"))
OUTCOME = Name("tags", "skyreel.outcome")
"""What a decision of retraining came to; runs that were trained have none."""
GATE_GAIN = Name("metrics", "gate/gain")
"""What a challenger gained on the champion, as its decision tells."""
HEADINGS = {
    "run_name": "run",
    "run_id": "run id",
    "user_id": "user",
    "artifact_uri": "artifacts",
    "duration": "took",
}
UNITS_OF_LEAD = {"min": 1 / 60, "h": 1.0, "d": 24.0, "mo": 730.5, "y": 8766.0, "yr": 8766.0}
SECONDS = (("d", 86400), ("h", 3600), ("m", 60))
HEADING_WIDTH = 12


def default_columns(rows: Sequence[Row]) -> list[Name]:
    """What is worth showing of these runs (with their metrics): whose they are, how they went, main figures.

    Forecasts: the figure that chose the checkpoint, RMSE of the first variable at the first and the last lead
    time, skill at the last. Captions: the figure that chose the checkpoint, CIDEr, BLEU-4. Decisions of
    retraining: their outcome, and what the challenger gained on the champion.
    """
    keys = dict.fromkeys(key for row in rows for key in row.metrics)
    figures = [Name("metrics", key) for key in main_figures(keys)]
    decisions = [OUTCOME.key in row.tags for row in rows]
    if not any(decisions):
        return [RUN, STATUS, AGE, DURATION, *figures]
    gain = [GATE_GAIN] if GATE_GAIN.key in keys else []
    went = [OUTCOME, AGE] if all(decisions) else [STATUS, OUTCOME, AGE, DURATION]
    return [RUN, *went, *gain, *figures]


def main_figures(keys: Iterable[str]) -> list[str]:
    """The figures among `keys` that tell most of a run, in the order of a table."""
    return [key for key, _ in _telling(list(keys))]


def first_to_drop(columns: Iterable[Name]) -> list[Name]:
    """The default columns but the run, in the order in which they make room.

    Figures that tell least go first; how long and when it ran goes before the last figure of each system.
    """
    columns = list(columns)
    ranked = _telling([name.key for name in columns if name.kind == "metrics"])
    ranked.sort(key=lambda one: one[1], reverse=True)
    less, most = (
        [Name("metrics", key) for key, w in ranked if (w > 0) is lesser] for lesser in (True, False)
    )
    order = [*less, DURATION, AGE, *most, GATE_GAIN, STATUS, OUTCOME]
    return [name for name in order if name in columns]


def _telling(keys: Sequence[str]) -> list[tuple[str, int]]:
    """The figures that tell most, in the order of a table, each with its place by weight (0: most)."""
    rmse = [key.split("/") for key in keys if key.startswith("test/rmse/") and key.count("/") == 3]
    captions = [("validation/cider", 2), ("test/cider", 0), ("test/bleu_4", 4)]
    forecasts = [("validation/loss", 3)] if rmse or "validation/cider" not in keys else []
    if rmse:
        variable = rmse[0][2]
        leads = sorted({parts[3] for parts in rmse if parts[2] == variable}, key=lead_order)
        forecasts += [
            (f"test/rmse/{variable}/{leads[0]}", 5),
            (f"test/rmse/{variable}/{leads[-1]}", 0),
            (f"test/skill_persistence/{variable}/{leads[-1]}", 1),
        ]
    weights = {key: weight for key, weight in reversed([*forecasts, *captions]) if key in keys}
    order = dict.fromkeys(key for key, _ in (*forecasts, *captions))
    return [(key, weights[key]) for key in order if key in weights]


def lead_order(lead: str) -> tuple[float, str]:
    """Where a lead time stands among others: "6h" before "24h" before "1mo"; unknown ones last."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]+)", lead)
    hours = float(found[1]) * UNITS_OF_LEAD.get(found[2], math.inf) if found else math.inf
    return hours, lead


def heading(name: Name) -> str:
    """The name above its column, in lines that are short where it has places to break."""
    if name == OUTCOME:
        return "outcome"
    if name.kind == "attributes":
        return HEADINGS.get(name.key, name.key.replace("_", " "))
    lines = [""]
    for part in re.findall(r"[^/._]+[/._]?", str(name)):
        if lines[-1] and len(lines[-1]) + len(part) > HEADING_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def cell(row: Row, name: Name, now: float) -> str:
    """What stands in a table for `name`; "-" where the run lacks it. now: seconds since 1970."""
    if name.kind == "metrics":
        value = row.metrics.get(name.key)
        return "-" if value is None else figure(value)
    if name.kind == "params":
        return row.params.get(name.key, "-")
    if name.kind == "tags":
        return row.tags.get(name.key, "-")
    if name.key == "age":
        return "-" if row.start is None else short_time(now - row.start / 1000)
    if name.key == "duration":
        return "-" if row.seconds is None else short_time(row.seconds)
    if name.key in ("start_time", "end_time"):
        return moment(row.start if name.key == "start_time" else row.end) or "-"
    return str(attribute(row, name.key)) or "-"


def attribute(row: Row, key: str) -> str:
    """An attribute that is a text; a run is called as other verbs take it, by its experiment and name."""
    if key == "status":
        return row.status.lower()
    held = {
        "run_name": f"{row.experiment}/{row.name}" if row.name else row.run_id,
        "experiment": row.experiment,
        "run_id": row.run_id,
        "user_id": row.user,
        "artifact_uri": row.artifacts,
    }
    return held[key]


def figure(value: float) -> str:
    """A figure with four digits; whole numbers whole."""
    if math.isfinite(value) and value == round(value) and abs(value) < 1e6:
        return str(round(value))
    return f"{value:.4g}"


def short_time(seconds: float) -> str:
    """A length of time in its largest unit: 45s, 12m, 3h, 20d."""
    seconds = max(0.0, seconds)
    for unit, length in SECONDS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def moment(milliseconds: int | None) -> str | None:
    """An ISO time in UTC, to the second."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
