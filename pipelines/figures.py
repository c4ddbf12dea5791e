"""The look that all pictures of a run share.

Figures are made without pyplot, so nothing global is set and nothing has to be closed.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, QUIET = "#222222", "#8a8a8a"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) with the house's quiet look, drawn by Agg."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """The path of the PNG, complete: written beside its place and renamed."""
    partial = path.with_name(f".{path.name}")
    figure.savefig(partial, format="png", dpi=150)
    partial.replace(path)
    return path


def quiet(axes: Axes) -> None:
    """Take off what carries no data: the top and right lines, dark ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=INK, length=3, width=0.8, labelsize=9)
