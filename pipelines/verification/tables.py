"""The scores of somebody's forecasts as flat figures, as rows of a CSV file, and as tables for a terminal."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.rundir import write_text
from pipelines.verification.sums import FORECAST
from pipelines.verification.verify import CONFIDENCE, Verification

METRICS = ("rmse", "mae", "bias", "acc", "crps")
COLUMNS = ("variable", "units", "lead_hours", "metric", "model", "value", "low", "high", "forecasts")
ROWS = 12
"""At most so many lead times are shown in a terminal."""


def flat_figures(found: Verification) -> dict[str, float]:
    """Figures by name, as a run's metrics.json names them, without its "test/".

    "rmse/air/24h", "skill_persistence/air/24h", "reference/persistence/rmse/air/24h". What is not defined has
    no name.
    """
    return {
        f"{'' if who == FORECAST else f'reference/{who}/'}{metric}/{variable}/{lead}": value
        for variable, _, lead, _, metric, who, value, _, _ in _rows(found)
    }


def flat_intervals(found: Verification) -> dict[str, dict[str, float]]:
    """low and high of each skill that has an interval, by the skill's name."""
    return {
        f"{metric}/{variable}/{lead}": {"low": low, "high": high}
        for variable, _, lead, _, metric, _, _, low, high in _rows(found)
        if math.isfinite(low) and math.isfinite(high)
    }


def _rows(found: Verification) -> list[tuple[str, str, str, int, str, str, float, float, float]]:
    """variable, units, lead name, lead, metric, who, value, low, high of every figure that is defined."""
    rows = []
    for v, (variable, units) in enumerate(zip(found.variables, found.units, strict=True)):
        for lead, name in enumerate(found.lead_names):
            at = (variable, units, name, lead)
            for who, metrics in found.scores.items():
                for metric in METRICS:
                    if metric in metrics:
                        rows.append((*at, metric, who, float(metrics[metric][lead, v]), math.nan, math.nan))
            for who, by_lead in found.skill.items():
                one = by_lead[lead][v]
                rows.append((*at, f"skill_{who}", FORECAST, one.value, one.low, one.high))
    return [row for row in rows if math.isfinite(row[6])]


def write_csv(path: Path, found: Verification) -> Path:
    """The path of a CSV file, complete: a row a figure; low and high are empty where there is no interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for variable, units, _, lead, metric, who, value, low, high in _rows(found):
        span = [repr(one) if math.isfinite(one) else "" for one in (low, high)]
        hours = f"{found.lead_hours[lead]:.10g}"
        shown = "1" if metric == "acc" or metric.startswith("skill_") else units
        writer.writerow((variable, shown, hours, metric, who, repr(value), *span, int(found.judged[lead])))
    write_text(path, text.getvalue())
    return path


def as_plain(found: Verification) -> dict[str, Any]:
    """Plain values, as --json prints them."""
    return {
        "forecasts": len(found.reference_times),
        "first": found.reference_times[0],
        "last": found.reference_times[-1],
        "variables": dict(zip(found.variables, found.units, strict=True)),
        "leads": list(found.lead_names),
        "judged": dict(zip(found.lead_names, found.judged.tolist(), strict=True)),
        "metrics": flat_figures(found),
        "intervals": flat_intervals(found),
        "confidence": CONFIDENCE,
        "block": found.block,
        "warnings": list(found.warnings),
    }


def show(found: Verification, console: Console) -> None:
    """Print one table a variable: a row a lead time."""
    plain = console.is_dumb_terminal or not console.is_terminal
    count, first, last = len(found.reference_times), found.reference_times[0], found.reference_times[-1]
    which = f"1 forecast, issued {first}" if count == 1 else f"{count} forecasts, issued {first} to {last}"
    console.print(which, highlight=False)
    for v in range(len(found.variables)):
        console.print(score_table(found, v, plain=plain), crop=False)
    if any(math.isfinite(one.low) for by_lead in found.skill.values() for row in by_lead for one in row):
        console.print(
            f"skill: 1 - rmse / rmse of the reference; in brackets {CONFIDENCE:.0%} intervals, forecasts "
            f"drawn anew in blocks of {found.block}",
            highlight=False,
        )


def score_table(found: Verification, variable: int, *, plain: bool) -> Table:
    """The rich table of one variable (by its position)."""
    unit = f" ({found.units[variable]})" if found.units[variable] else ""
    view = Table(
        title=f"{found.variables[variable]}{unit}",
        title_justify="left",
        title_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        pad_edge=False,
    )
    view.add_column("lead", justify="right", no_wrap=True)
    ours = [metric for metric in METRICS if metric in found.scores[FORECAST]]
    digits = _digits(np.concatenate([one["rmse"][:, variable] for one in found.scores.values()]))
    for metric in ours:
        view.add_column(metric, justify="right", no_wrap=True)
    for who in found.skill:
        view.add_column(f"rmse of {who}", justify="right")
        view.add_column(f"skill against {who}", justify="right", no_wrap=True)
    for lead in _shown(len(found.lead_names)):
        cells = [
            _figure(float(found.scores[FORECAST][metric][lead, variable]), metric, digits) for metric in ours
        ]
        for who, by_lead in found.skill.items():
            cells.append(_figure(float(found.scores[who]["rmse"][lead, variable]), "rmse", digits))
            one = by_lead[lead][variable]
            text = f"{100 * one.value:+.1f} %" if math.isfinite(one.value) else "-"
            if math.isfinite(one.low):
                text += f" ({100 * one.low:+.1f} to {100 * one.high:+.1f})"
            cells.append(text)
        view.add_row(found.lead_names[lead], *cells)
    return view


def _shown(count: int) -> list[int]:
    """Positions of at most ROWS lead times: every k-th to the last, and the first."""
    stride = max(1, -(-count // (ROWS - 1))) if count > ROWS else 1
    return sorted({0, *range(stride - 1, count, stride), count - 1})


def _digits(values: np.ndarray) -> int:
    """Decimals that leave the smallest figure with three digits."""
    positive = values[np.isfinite(values) & (values > 0)]
    return int(np.clip(2 - np.floor(np.log10(positive.min())), 0, 8)) if positive.size else 2


def _figure(value: float, metric: str, digits: int) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if metric == "acc" else f"{value:.{digits}f}"
