"""Maps of a run: forecast, truth and error side by side, and the error of every place over all windows."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from datamodules.gridded.describe import Channel
from datamodules.gridded.grid import Grid
from pipelines.figures import INK, QUIET, new_figure, save

MISSING = "#c9c9c9"
TALLEST, WIDEST = 2.9, 4.8
"""Inches that one map may take."""
TICK_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90)


def maps(
    folder: Path,
    grid: Grid,
    channels: Sequence[Channel],
    forecast: np.ndarray,
    truth: np.ndarray,
    lead_names: Sequence[str],
    caption: str = "",
) -> tuple[Path, ...]:
    """The paths of `maps_<channel>.png`: a row a lead time; forecast, truth, and forecast - truth.

    forecast, truth: (lead, channel, lat, lon) in physical units, NaN where missing (drawn grey)
    lead_names:      of the rows, e.g. ("6h", "24h"); `caption` says which forecast it is, e.g. its date
    Forecast and truth share one scale over all rows, the errors another, the same above and below zero.
    """
    paths = []
    for c, channel in enumerate(channels):
        pair, error = np.stack([forecast[:, c], truth[:, c]]), forecast[:, c] - truth[:, c]
        figure, panels = panels_of(grid, len(lead_names), 3)
        values, errors = value_range(pair), value_range(np.abs(error), 0.0)
        for row, name in enumerate(lead_names):
            shown = (pair[0, row], pair[1, row], error[row])
            for column, (field, title) in enumerate(zip(shown, ("forecast", "truth", "error"), strict=True)):
                diverging = column == 2
                norm = Normalize(-errors[1], errors[1]) if diverging else Normalize(*values)
                draw_map(panels[row, column], grid, field, norm, "RdBu_r" if diverging else "viridis")
                if row == 0:
                    panels[row, column].set_title(title, fontsize=11, color=INK)
            name_row(panels[row, 0], f"+{name}")
        colour_bar(figure, panels[:, :2], Normalize(*values), "viridis", bar_label(channel), pair)
        difference = Normalize(-errors[1], errors[1])
        colour_bar(figure, panels[:, 2:], difference, "RdBu_r", bar_label(channel, "forecast - truth"), error)
        title = f"{channel.name}   {caption}".rstrip()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
        paths.append(save(figure, folder / f"maps_{channel.name}.png"))
    return tuple(paths)


def error_by_place(
    folder: Path, grid: Grid, channels: Sequence[Channel], rmse: np.ndarray, lead_names: Sequence[str]
) -> tuple[Path, ...]:
    """The paths of `error_by_place_<channel>.png`: the RMSE of each cell over all windows, a map a lead time.

    rmse: (lead, channel, lat, lon) in physical units, NaN where nothing counted (drawn grey).
    """
    paths = []
    columns = min(3, len(lead_names))
    for c, channel in enumerate(channels):
        figure, panels = panels_of(grid, math.ceil(len(lead_names) / columns), columns)
        norm = Normalize(*value_range(rmse[:, c], 0.0))
        for axes, field, name in zip(panels.ravel(), rmse[:, c], lead_names, strict=False):
            draw_map(axes, grid, field, norm, "viridis")
            axes.set_title(f"+{name}", fontsize=11, color=INK)
        for axes in panels.ravel()[len(lead_names) :]:
            axes.set_visible(False)
        colour_bar(figure, panels, norm, "viridis", bar_label(channel, "RMSE"), rmse[:, c])
        figure.suptitle(
            f"{channel.name}   error by place", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK
        )
        paths.append(save(figure, folder / f"error_by_place_{channel.name}.png"))
    return tuple(paths)


def draw_map(axes: Axes, grid: Grid, field: np.ndarray, norm: Normalize, colours: str) -> QuadMesh:
    """Draw `field` (lat, lon) with north up and east to the right, whatever the order of the source."""
    lat, lon = _corners(grid)
    palette = colormaps[colours].with_extremes(bad=MISSING)
    mesh = axes.pcolormesh(lon, lat, np.ma.masked_invalid(field), cmap=palette, norm=norm)
    axes.set_xlim(float(lon.min()), float(lon.max()))
    axes.set_ylim(float(lat.min()), float(lat.max()))
    axes.set_aspect(_aspect(grid))
    if _on_earth(grid):
        _degree_ticks(axes, lat, lon)
    axes.tick_params(colors=INK, length=2.5, width=0.6, labelsize=8)
    axes.spines[:].set_color(QUIET)
    axes.spines[:].set_linewidth(0.6)
    axes.label_outer()
    return mesh


def _degree_ticks(axes: Axes, lat: np.ndarray, lon: np.ndarray) -> None:
    """Label both axes in degrees north and east."""
    axes.xaxis.set_major_locator(MultipleLocator(_tick_step(float(np.ptp(lon)))))
    axes.yaxis.set_major_locator(MultipleLocator(_tick_step(float(np.ptp(lat)))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _degrees((x + 180) % 360 - 180, "E", "W")))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _degrees(y, "N", "S")))


def _on_earth(grid: Grid) -> bool:
    """True where every cell has a latitude and a longitude; curvilinear grids may leave some out."""
    return bool(np.isfinite(grid.lat).all() and np.isfinite(grid.lon).all())


def _corners(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of the corners of the cells: (lat + 1,) and (lon + 1,), or 2-D for both.

    Where some cells have no place on the earth: row and column numbers.
    """
    if not _on_earth(grid):
        return np.arange(grid.shape[0] + 1.0), np.arange(grid.shape[1] + 1.0)
    lat, lon = np.asarray(grid.lat, dtype=float), np.asarray(grid.lon, dtype=float)
    for axis in range(lon.ndim):
        lon = np.unwrap(lon, period=360, axis=axis)
    for axis in range(lat.ndim):
        lat = _edges(lat, axis)
        lon = _edges(lon, axis)
    return np.clip(lat, -90, 90), lon


def _edges(centres: np.ndarray, axis: int) -> np.ndarray:
    """The points half-way between neighbours along `axis`, and half a step beyond either end."""
    centres = np.moveaxis(centres, axis, 0)
    if len(centres) == 1:
        return np.moveaxis(np.concatenate([centres - 0.5, centres + 0.5]), 0, axis)
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[:1] - middle[:1], 2 * centres[-1:] - middle[-1:]
    return np.moveaxis(np.concatenate([first, middle, last]), 0, axis)


def _aspect(grid: Grid) -> float:
    """How much longer a degree of latitude is than one of longitude, amid the map."""
    if not _on_earth(grid):
        return 1.0
    lat = _corners(grid)[0]
    return min(1 / math.cos(math.radians((lat.min() + lat.max()) / 2)), 4.0)


def panels_of(grid: Grid, rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """A figure and its axes (rows, columns), sized so that maps of this grid fill them."""
    lat, lon = _corners(grid)
    ratio = float(np.ptp(lon)) / (float(np.ptp(lat)) * _aspect(grid))
    height = min(TALLEST, WIDEST / ratio)
    width = max(height * ratio, 1.2)
    figure = new_figure(columns * (width + 0.12) + 0.9, rows * (height + 0.12) + 1.45)
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def value_range(values: np.ndarray, low: float | None = None) -> tuple[float, float]:
    """A colour range that holds 99 % of the values (from `low` where given), never empty."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (0.0, 1.0)
    first, last = (float(x) for x in np.quantile(finite, (0.005, 0.995)))
    first = first if low is None else low
    return (first, last) if last > first else (first, first + 1.0)


def colour_bar(
    figure: Figure, panels: np.ndarray, norm: Normalize, colours: str, label: str, values: np.ndarray
) -> None:
    """A colour bar for `panels`, with arrows where values lie beyond it."""
    finite = values[np.isfinite(values)]
    below, above = (finite < norm.vmin).any(), (finite > norm.vmax).any()
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[(int(below), int(above))]
    bar = figure.colorbar(
        ScalarMappable(norm, colours),
        ax=list(panels.ravel()),
        location="bottom",
        extend=extend,
        shrink=0.6 if panels.shape[1] > 1 else 0.9,
        aspect=28 if panels.shape[1] > 1 else 21,
        pad=0.02,
    )
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2.5, width=0.6, colors=INK)
    bar.outline.set_visible(False)


def name_row(axes: Axes, name: str) -> None:
    """Write the lead time to the left of a row."""
    axes.set_ylabel(name, fontsize=11, color=INK, rotation=0, ha="right", va="center", labelpad=8)


def _degrees(value: float, positive: str, negative: str) -> str:
    """15°N, 30°W, 0°."""
    if abs(value) < 1e-9 or abs(abs(value) - 180) < 1e-9:
        return f"{abs(value):g}°"
    return f"{abs(value):g}°{positive if value > 0 else negative}"


def _tick_step(span: float) -> float:
    """Degrees between ticks, a number that maps use, so that about four fit."""
    return next((step for step in TICK_STEPS if span / step <= 5), TICK_STEPS[-1])


def bar_label(channel: Channel, what: str = "") -> str:
    """What is shown and its unit: "air (degK)"."""
    what = what or channel.name
    return f"{what} ({channel.units})" if channel.units else what
