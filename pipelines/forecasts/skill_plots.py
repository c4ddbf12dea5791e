"""Skill by lead time as a picture; what the forecasts look like on the map is in `map_plots`."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from pipelines.figures import INK, new_figure, quiet, save
from pipelines.forecasts.skill import MODEL, ScoreTable

COLOURS = {
    MODEL: "#0072B2",
    "linear": "#CC6699",
    "damped_persistence": "#009E73",
    "persistence": "#D98200",
    "climatology": "#7f7f7f",
}
"""After Okabe and Ito (2008), Color Universal Design: told apart by colour-blind readers too."""
OTHER_COLOURS = ("#56B4E9", "#B8A500", "#8B5A2B", "#000000")
PANELS = 9
"""At most so many variables share one picture."""


def skill_by_lead(folder: Path, table: ScoreTable, metric: str = "rmse") -> tuple[Path, ...]:
    """The paths of `skill_by_lead.png`: the metric over lead time, a panel a variable, a line a model.

    More than nine variables go on `skill_by_lead_2.png` and so on.
    """
    paths = []
    for page, first in enumerate(range(0, len(table.variables), PANELS), start=1):
        shown = range(first, min(first + PANELS, len(table.variables)))
        columns = min(3, math.ceil(math.sqrt(len(shown))))
        rows = math.ceil(len(shown) / columns)
        figure = new_figure(5.6 * columns, 3.7 * rows)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, v in zip(panels, shown, strict=False):
            _skill_panel(axes, table, v, metric)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        figure.canvas.draw()  # the layout must stand before labels can be kept apart
        for axes in panels[: len(shown)]:
            _part_labels(axes)
        paths.append(save(figure, folder / f"skill_by_lead{'' if page == 1 else f'_{page}'}.png"))
    return tuple(paths)


def _skill_panel(axes: Axes, table: ScoreTable, variable: int, metric: str) -> None:
    """Draw the lines of one variable, each with its name at its end."""
    lead, label = _lead_axis(table)
    quiet(axes)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    others = iter(OTHER_COLOURS * len(table.scores))
    for model in (*table.references, MODEL):
        values = np.asarray(table.scores[model].get(metric, np.full(1, np.nan)), dtype=float)
        if not np.isfinite(values).any():
            continue
        values = values[:, variable]
        colour, main = COLOURS.get(model) or next(others), model == MODEL
        dashes = "--" if model == "climatology" else "-"
        axes.plot(
            lead,
            values,
            dashes,
            color=colour,
            linewidth=2.6 if main else 1.5,
            marker="o" if len(lead) <= 16 else None,
            markersize=4.5 if main else 3,
            zorder=3 if main else 2,
        )
        finite = np.flatnonzero(np.isfinite(values))
        if finite.size:
            axes.text(
                1.025,
                values[finite[-1]],
                model.replace("_", " "),
                transform=blended_transform_factory(axes.transAxes, axes.transData),
                color=colour,
                fontsize=9,
                fontweight="bold" if main else "normal",
                va="center",
            )
    axes.set_xticks(_lead_ticks(lead))
    margin = 0.02 * float(np.ptp(lead)) or 1.0
    axes.set_xlim(float(lead[0]) - margin, float(lead[-1]) + margin)
    if metric != "acc":
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if metric == "bias" else 0.0)
    unit = f" ({table.units[variable]})" if table.units[variable] and metric != "acc" else ""
    axes.set_ylabel(f"{metric.upper() if metric != 'bias' else 'Bias'}{unit}", color=INK, fontsize=9)
    axes.set_xlabel(label, color=INK, fontsize=9)
    axes.set_title(table.variables[variable], loc="left", color=INK, fontsize=11, fontweight="bold")


def _lead_axis(table: ScoreTable) -> tuple[np.ndarray, str]:
    """Where the leads stand on the axis, and what the axis is called: hours, days or calendar months."""
    if all(name.endswith("mo") for name in table.lead_names):
        return np.array([float(name[:-2]) for name in table.lead_names]), "lead time (months)"
    hours = np.asarray(table.lead_hours, dtype=float)
    if (hours % 24 == 0).all():
        return hours / 24, "lead time (days)"
    return hours, "lead time (h)"


def _lead_ticks(lead: np.ndarray) -> Sequence[float]:
    """At most eight ticks, all on leads that exist: every k-th, ending on the last."""
    stride = max(1, math.ceil(len(lead) / 8))
    return [float(x) for x in lead[stride - 1 :: stride]]


def _part_labels(axes: Axes) -> None:
    """Push the names at the line ends apart until none covers another."""
    labels = sorted(axes.texts, key=lambda text: text.get_position()[1])
    gap = 13 * axes.figure.dpi / 100
    heights = [axes.transData.transform((0, label.get_position()[1]))[1] for label in labels]
    for _ in range(200):
        moved = False
        for i in range(len(heights) - 1):
            overlap = gap - (heights[i + 1] - heights[i])
            if overlap > 0.1:
                heights[i], heights[i + 1] = heights[i] - overlap / 2, heights[i + 1] + overlap / 2
                moved = True
        if not moved:
            break
    for label, height in zip(labels, heights, strict=True):
        label.set_y(axes.transData.inverted().transform((0, height))[1])
