"""Pack the maps once, and tell what they hold and how many windows each split gives."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.gridded.clock import dates
from datamodules.gridded.options import GriddedOptions
from datamodules.gridded.pack import pack
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split, split_ranges, split_starts
from pipelines.console import progress, rank
from pipelines.sources import bring_sources
from pipelines.verbs import Call

if TYPE_CHECKING:
    from rich.console import RenderableType

log = logging.getLogger(__name__)


def prepare_maps(call: Call) -> dict[str, Any]:
    """Bring the sources, pack them, and show what they hold; returned as `describe` does."""
    settings = call.settings
    bring_sources(settings.maps)
    with progress("packing (steps)") as advance:
        report = describe(
            settings.maps,
            Path(settings.paths.stores),
            settings.forecast.history,
            settings.forecast.horizon,
            advance,
        )
    if not call.json and not rank():
        from rich.console import Console

        Console().print(render(report))
    return report


def describe(
    options: GriddedOptions,
    stores: Path,
    history: int,
    horizon: int,
    advance: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """What the packed store holds, as plain JSON values; packs it first unless it is there.

    Keys: store, digest, variables (name, units, min, max, mean, missing_share), time (start, end, step,
    count, gaps, calendar), grid (kind, shape, lat, lon, spacing, wraps), series, static, files, bytes, notes,
    window (history, horizon), splits (by name: first, last, steps, windows), warnings.

    Errors: InputError as `pack` raises it, and for splits that overlap or lie closer than a window.
    """
    store = pack(options, stores, advance)
    ranges = split_ranges(store.time, options.split, history + horizon, store.calendar, store.tick)
    splits = {name: _describe_split(store, split, history, horizon) for name, split in ranges.items()}
    warnings = list(store.report["warnings"])
    for name, split in splits.items():
        if split["windows"] == 0:
            warnings.append(
                f"data.split.{name} gives no window: a window needs {history} + {horizon} = "
                f"{history + horizon} steps without a gap, the split has {split['steps']} steps"
            )
    return {
        "store": str(store.path),
        "digest": store.digest,
        **store.report,
        "window": {"history": history, "horizon": horizon},
        "splits": splits,
        "warnings": warnings,
    }


def _describe_split(store: Store, split: Split, history: int, horizon: int) -> dict[str, Any]:
    """first and last (ISO dates, None when empty), steps, windows of one split."""
    empty = split.first >= split.stop
    first, last = (None, None) if empty else dates(store.time[[split.first, split.stop - 1]], store.calendar)
    starts = split_starts(split, store.tick, history, horizon)
    return {"first": first, "last": last, "steps": len(split), "windows": len(starts)}


def render(report: Mapping[str, Any]) -> "RenderableType":
    """The report as a quiet table for a terminal (rich)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    found = Table("variable", "units", "min", "mean", "max", "missing", box=None, header_style="bold")
    for column in found.columns[2:]:
        column.justify = "right"
    for one in report["variables"] + [{**one, "mean": None} for one in report["series"]]:
        figures = [_figure(one[key]) for key in ("min", "mean", "max")]
        found.add_row(one["name"], one["units"] or "?", *figures, _share(one["missing_share"]))
    splits = Table("split", "from", "to", "steps", "windows", box=None, header_style="bold")
    for column in splits.columns[3:]:
        column.justify = "right"
    for name, split in report["splits"].items():
        splits.add_row(
            name,
            _moment(split["first"]),
            _moment(split["last"]),
            f"{split['steps']:,}",
            f"{split['windows']:,}",
        )
    lines = [Text(line) for line in _lines(report)]
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in report["warnings"]]
    return Group(found, Text(), *lines, Text(), splits, *([Text()] if warnings else []), *warnings)


def _lines(report: Mapping[str, Any]) -> list[str]:
    """Time, grid and store in a line each."""
    time, grid = report["time"], report["grid"]
    gaps = "no gaps"
    if time["gaps"]:
        gaps = f"{time['gaps']} gap{'s' * (time['gaps'] > 1)} ({time['missing_steps']} steps missing)"
    spacing = ""
    if grid["spacing"] is not None:
        spacing = ", spacing " + " x ".join("-" if one is None else f"{one:g}" for one in grid["spacing"])
    lat, lon = (f"{axis[0]:g} to {axis[1]:g}" for axis in (grid["lat"], grid["lon"]))
    wraps = ", longitude wraps" if grid["wraps"] else ""
    return [
        f"time    {_moment(time['start'])} to {_moment(time['end'])}, {time['count']:,} steps of "
        f"{time['step']}, {gaps}, calendar {time['calendar']}",
        f"grid    {grid['kind']}, {grid['shape'][0]} x {grid['shape'][1]}, latitude {lat}, longitude {lon}"
        f"{spacing}{wraps}",
        *([f"static  {', '.join(report['static'])}"] if report["static"] else []),
        f"files   {report['files']}, packed into {report['bytes'] / 2**20:,.1f} MiB",
        f"store   {report['store']}",
    ]


def _moment(date: str | None) -> str:
    """An ISO date to the minute, "-" for none."""
    return "-" if date is None else date.replace("T", " ")[:16]


def _figure(value: float | None) -> str:
    """A number in at most five figures, "" for none."""
    return "" if value is None else f"{value:.5g}"


def _share(value: float) -> str:
    """A share as a percentage, "-" for none; never 0 % or 100 % by rounding."""
    if value == 0:
        return "-"
    return "<0.1 %" if value < 0.001 else f"{min(value, 0.999) * 100:.1f} %" if value < 1 else "100 %"
