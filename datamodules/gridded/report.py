"""What packing found, as plain JSON values: ranges, missing values, gaps, the grid. Shown by `prepare`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.clock import dates
from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.grid import Grid
from datamodules.gridded.series import Series


@dataclass
class Tally:
    """Running figures of every channel, over the frames that are kept; float64 sums, one number a channel.

    total and weight are area-weighted, so that total / weight is the mean over the area of the valid cells.
    """

    low: list[float]
    high: list[float]
    total: list[float]
    weight: list[float]
    valid: list[int]
    infinite: int = 0

    @classmethod
    def empty(cls, channels: int) -> "Tally":
        """A tally of nothing."""
        infinity = [float("inf")] * channels
        zeros = [0.0] * channels
        return cls(infinity, [-value for value in infinity], zeros, zeros.copy(), [0] * channels)

    def add(self, maps: np.ndarray, cell_area: np.ndarray) -> None:
        """Count in frames: maps float32 (time, channel, lat, lon), NaN = missing; cell_area (lat, lon)."""
        for index in range(maps.shape[1]):
            field = maps[:, index]
            present = ~np.isnan(field)
            self.low[index] = min(self.low[index], float(field.min(where=present, initial=np.inf)))
            self.high[index] = max(self.high[index], float(field.max(where=present, initial=-np.inf)))
            sums = field.sum(axis=0, dtype=np.float64, where=present)
            counts = present.sum(axis=0)
            self.total[index] += float((sums * cell_area).sum())
            self.weight[index] += float((counts * cell_area).sum())
            self.valid[index] += int(counts.sum())

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values; `Tally(**d)` makes the tally again, to the last bit."""
        return asdict(self)


def describe_channels(
    channels: Sequence[Channel], tally: Tally, values_per_channel: int
) -> list[dict[str, Any]]:
    """One dict a channel: name, units, min, max, mean (over valid cells, by area), missing_share (0 to 1).

    Errors: InputError names the channels that have no value at all.
    """
    if nothing := [channel.name for channel, valid in zip(channels, tally.valid, strict=True) if not valid]:
        raise InputError(
            f"data.variables: {', '.join(nothing)} has no value in the chosen region and time; "
            "leave it out, or choose another region or time"
        )
    return [
        {
            "name": channel.name,
            "units": channel.units,
            "long_name": channel.long_name,
            "min": tally.low[index],
            "max": tally.high[index],
            "mean": tally.total[index] / tally.weight[index],
            "missing_share": 1 - tally.valid[index] / values_per_channel,
        }
        for index, channel in enumerate(channels)
    ]


def describe_time(
    time: np.ndarray, tick: np.ndarray, step: Step, calendar: str, empty: int
) -> dict[str, Any]:
    """start, end (ISO), step ("6 h"), count, calendar, gaps, missing_steps, empty_frames, first_gaps.

    time, tick: int64 (time,). empty: frames that were dropped because they hold no value.
    """
    jumps = np.diff(tick)
    after = np.flatnonzero(jumps > 1)
    first, last = dates(time[[0, -1]], calendar)
    return {
        "start": first,
        "end": last,
        "step": step_name(step),
        "count": len(time),
        "calendar": calendar,
        "gaps": len(after),
        "missing_steps": int((jumps[after] - 1).sum()),
        "empty_frames": empty,
        "first_gaps": [
            {"after": date, "steps": int(jumps[index] - 1)}
            for date, index in zip(dates(time[after[:5]], calendar), after[:5], strict=True)
        ],
    }


def step_name(step: Step) -> str:
    """A step in words: "6 h", "30 min", "1 d", "1 month"."""
    if step.months is not None:
        return "1 month" if step.months == 1 else f"{step.months} months"
    seconds = step.seconds or 0
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def describe_grid(grid: Grid) -> dict[str, Any]:
    """kind, shape, lat and lon (first, last, in source order), spacing (degrees, None if 2-D), wraps."""
    if grid.projected:
        kind = f"projected ({', '.join(grid.dims)})"
        lat, lon = ([float(axis.min()), float(axis.max())] for axis in (grid.lat, grid.lon))
        spacing = None
    else:
        kind = "global" if grid.wraps else "regional"
        lat, lon = ([float(axis[0]), float(axis[-1])] for axis in (grid.lat, grid.lon))
        spacing = [_spacing(grid.lat), _spacing(grid.lon)]
    return {
        "kind": kind,
        "shape": list(grid.shape),
        "lat": lat,
        "lon": lon,
        "spacing": spacing,
        "wraps": grid.wraps,
    }


def _spacing(axis: np.ndarray) -> float | None:
    """The usual distance of two coordinates, degrees; None for a single one."""
    return float(np.median(np.abs(np.diff(axis)))) if len(axis) > 1 else None


def describe_series(series: Series | None) -> list[dict[str, Any]]:
    """One dict a series: name, units, min, max, missing_share; empty without series."""
    if series is None:
        return []
    return [
        {
            "name": name,
            "units": units,
            "min": None if np.isnan(column).all() else float(np.nanmin(column)),
            "max": None if np.isnan(column).all() else float(np.nanmax(column)),
            "missing_share": float(np.isnan(column).mean()),
        }
        for name, units, column in zip(series.names, series.units, series.values.T, strict=True)
    ]
