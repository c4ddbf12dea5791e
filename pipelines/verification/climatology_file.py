"""Somebody's climatology, asked for the map of a moment: by day of the year, by month, or by its dates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.axes import MapAxes, auxiliary_names, has_dates, is_level, map_axes
from datamodules.gridded.calendars import date_from_days, days_from_date
from datamodules.gridded.clock import DAY
from datamodules.gridded.describe import Channel
from datamodules.gridded.discover import find_sources
from datamodules.gridded.files import Contents, Field, Files
from datamodules.gridded.grid import Grid, read_places
from datamodules.gridded.moments import read_moments
from datamodules.gridded.survey import is_floating_or_packed
from datamodules.gridded.unpack import unpack
from pipelines.verification.places import SharedCells, shared_cells
from pipelines.verification.truth import Recent, Truth, matched

MONTHS = ("month", "months", "month_of_year")
DAYS = ("dayofyear", "doy", "day_of_year", "yday", "yearday", "day")
HOURS = ("hour", "hours", "hour_of_day", "hourofday", "time_of_day")


@dataclass(frozen=True, eq=False)
class _Axis:
    """One axis of the climatology: `kind` is month, day, hour or date; values as the axis numbers them."""

    dim: str
    kind: str
    values: np.ndarray


class Climatology:
    """Maps of a climatology for the truth's variables on the cells that are judged."""

    def __init__(self, path: str, truth: Truth) -> None:
        """Open the file. InputError where it lacks variables, units, cells, or tells no time of the year."""
        paths = find_sources(path, "climatology")
        if len(paths) > 1:
            raise InputError(f"climatology={path} names {len(paths)} files; give one")
        self.path, self._files, self._truth = paths[0], Files(), truth
        try:
            contents = self._files.inspect(self.path)
            self._variables = _chosen(self._files, contents, truth, f"climatology={path}")
            first, axes, _ = self._variables[0]
            self._axes = axes
            self._times = [
                axis
                for dim in first.dims
                if dim not in axes.dims
                and first.size(dim) > 1
                and (axis := _axis(self._files, contents, dim)) is not None
            ]
            if not self._times:
                raise InputError(
                    f"climatology={path}: {first.name!r} has no axis of months, days of the year, or dates"
                )
            lat, lon = read_places(self._files, contents, axes)
            self._cells = _cells(truth, lat, lon, str(self.path))
        except BaseException:
            self._files.close()
            raise
        self._recent: Recent[tuple[int, ...]] = Recent(self._read)
        self._dated = {
            axis.dim: {int(value): place for place, value in enumerate(axis.values)}
            for axis in self._times
            if axis.kind == "date"
        }

    def at(self, time: int) -> np.ndarray:
        """Maps (channel, lat, lon) float32 for a moment, NaN where the climatology has none."""
        return self._recent(tuple(self._place(axis, time) for axis in self._times))

    def close(self) -> None:
        """Close the file."""
        self._files.close()

    def _place(self, axis: _Axis, time: int) -> int:
        """The position of a moment along one axis."""
        calendar = self._truth.calendar
        year, month, day = (int(one) for one in date_from_days(np.int64(time // DAY), calendar))
        seconds = int(time % DAY)
        if axis.kind == "month":
            return _nearest(axis.values, month)
        if axis.kind == "hour":
            return _nearest(axis.values, seconds / 3600, around=24)
        if axis.kind == "day":
            of_year = int(time // DAY - days_from_date(year, 1, 1, calendar)) + 1
            return _nearest(axis.values, min(of_year, float(axis.values.max())))
        if time in self._dated[axis.dim]:
            return self._dated[axis.dim][time]
        return _of_the_year(axis.values, calendar, month, day, seconds)

    def _read(self, where: tuple[int, ...]) -> np.ndarray:
        indices = {axis.dim: place for axis, place in zip(self._times, where, strict=True)}
        maps = []
        for field, axes, level in self._variables:
            level_dim = next((dim for dim in field.dims if dim == (level or ("", 0))[0]), None)
            index: list[int | slice] = []
            for dim in field.dims:
                if dim in axes.dims:
                    index.append(slice(0, field.size(dim)))
                elif dim == level_dim and level is not None:
                    index.append(level[1])
                else:
                    index.append(indices.get(dim, 0))
            values = unpack(self._files.read(self.path, field.name, tuple(index)), field.attributes)
            if [dim for dim in field.dims if dim in axes.dims] != list(axes.dims):
                values = values.T
            maps.append(self._cells.of_theirs(values.astype(np.float32)))
        return np.stack(maps)


def _of_the_year(values: np.ndarray, calendar: str, month: int, day: int, seconds: int) -> int:
    """The record of the same time of the year among dates of some other year (a long-term mean)."""
    _, months, days = date_from_days(values // DAY, calendar)
    of_day = values % DAY
    if len(values) == 12 and len(set(months.tolist())) == 12:
        return int(np.flatnonzero(months == month)[0])
    found = np.flatnonzero((months == month) & (days == day))
    if not found.size and (month, day) == (2, 29):
        found = np.flatnonzero((months == 2) & (days == 28))
    if not found.size:
        raise InputError(
            f"the climatology has no record of {month:02d}-{day:02d}; give one of all days of the year, of "
            "twelve months, or of the dates that are forecast"
        )
    apart = np.abs((of_day[found] - seconds + DAY // 2) % DAY - DAY // 2)
    return int(found[np.argmin(apart)])


def _nearest(values: np.ndarray, wanted: float, around: float | None = None) -> int:
    """The position of the nearest value, on a circle where `around` is its length."""
    apart = np.abs(values - wanted)
    return int(np.argmin(apart if around is None else np.minimum(apart, around - apart)))


def _axis(files: Files, contents: Contents, dim: str) -> _Axis | None:
    """What an axis counts: dates, months, days of the year or hours; None for any other one."""
    dated = [one for one in contents.fields.values() if one.dims == (dim,) and has_dates(one)]
    if dated:
        return _Axis(dim, "date", read_moments(files, contents, dated[0].name, [])[0])
    field = contents.fields.get(dim)
    for kind, names in (("month", MONTHS), ("day", DAYS), ("hour", HOURS)):
        if dim.lower() in names:
            if field is not None and field.dtype is not None:
                return _Axis(dim, kind, unpack(files.read_all(contents.path, field), field.attributes))
            size = next(one.size(dim) for one in contents.fields.values() if dim in one.dims)
            step = 24 / size if kind == "hour" else 1
            return _Axis(dim, kind, np.arange(size) * step + (kind != "hour"))
    return None


def _chosen(
    files: Files, contents: Contents, truth: Truth, key: str
) -> list[tuple[Field, MapAxes, tuple[str, int] | None]]:
    """For each variable of the truth: its field here, its axes, and the position of its level."""
    auxiliary = auxiliary_names(contents)
    found: list[tuple[Field, MapAxes, tuple[str, int] | None]] = []
    channels: list[Channel] = []
    for field in contents.fields.values():
        axes = map_axes(contents, field)
        if field.name in auxiliary or not is_floating_or_packed(field) or not isinstance(axes, MapAxes):
            continue
        level_dim = next(
            (d for d in field.dims if d not in axes.dims and field.size(d) > 1 and is_level(contents, d)),
            None,
        )
        levels: Sequence[float | None] = [None]
        if level_dim is not None and level_dim in contents.fields:
            axis = contents.fields[level_dim]
            levels = [float(one) for one in unpack(files.read_all(contents.path, axis), axis.attributes)]
        for place, level in enumerate(levels):
            name = field.name if level is None else f"{field.name}_{level:.10g}"
            channels.append(
                Channel(name, field.name, level, field.text("units"), field.text("standard_name"), "")
            )
            found.append((field, axes, None if level_dim is None else (level_dim, place)))
    pairs, _ = matched(truth.channels, channels, "the truth", key)
    if len(pairs) < len(truth.channels):
        lacking = [one.name for place, one in enumerate(truth.channels) if place not in dict(pairs)]
        raise InputError(
            f"{key} lacks {', '.join(lacking)}; it has {', '.join(one.name for one in channels)}"
        )
    return [found[other] for _, other in pairs]


def _cells(truth: Truth, lat: np.ndarray, lon: np.ndarray, where: str) -> SharedCells:
    """The climatology's cells for every cell that is judged."""
    ours = truth.grid
    shape = (ours[0].shape[0], ours[1].shape[-1])
    found = shared_cells(
        Grid(*ours, np.full(shape, 1 / np.prod(shape)), False), lat, lon, "climatology", where
    )
    if (len(found.rows), len(found.columns)) != shape:
        raise InputError(
            f"climatology: {where} covers a part of the judged cells only; give one of all of them"
        )
    return found
