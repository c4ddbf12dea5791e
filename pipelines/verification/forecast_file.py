"""Somebody's forecast file: which variables it forecasts, and its maps, one reference time at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.axes import MapAxes, auxiliary_names, is_level, map_axes
from datamodules.gridded.describe import Channel
from datamodules.gridded.files import Contents, Field, Files
from datamodules.gridded.grid import read_places
from datamodules.gridded.survey import is_floating_or_packed
from datamodules.gridded.unpack import unpack
from pipelines.verification.forecast_times import ForecastTimes, forecast_times

MEMBERS = ("number", "member", "members", "realization", "realisation", "ensemble", "ens", "sample", "m")
SPREADS = ("_spread", "_std", "_stdev", "_sd", "_standard_error")
BLOCK_BYTES = 1 << 27


@dataclass(frozen=True, eq=False)
class Forecasted:
    """One variable of the file: its channels (levels), and the variable of its standard deviation."""

    field: Field
    axes: MapAxes
    level_dim: str | None
    member_dim: str | None
    channels: tuple[Channel, ...]
    spread: Field | None

    @property
    def others(self) -> tuple[str, ...]:
        """The dimensions that are left for reference times and lead times."""
        taken = (*self.axes.dims, self.level_dim, self.member_dim)
        return tuple(dim for dim in self.field.dims if dim not in taken)


@dataclass(frozen=True, eq=False)
class ForecastFile:
    """An open file of forecasts.

    lat, lon: float64 degrees, 1-D or 2-D, in the file's order.     times: of all its variables.
    """

    path: Path
    times: ForecastTimes
    variables: tuple[Forecasted, ...]
    lat: np.ndarray
    lon: np.ndarray
    warnings: tuple[str, ...]
    _files: Files

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What is forecast, in the order of the maps that `read` gives."""
        return tuple(channel for one in self.variables for channel in one.channels)

    @property
    def has_spread(self) -> bool:
        """Whether each variable comes with a standard deviation, or as members of an ensemble."""
        return all(one.spread is not None or one.member_dim is not None for one in self.variables)

    def blocks(self) -> Iterator[slice]:
        """Lead times to read at once, within some 128 MiB."""
        members = max((one.field.size(one.member_dim) if one.member_dim else 1) for one in self.variables)
        cells = self.lat.shape[0] * self.lon.shape[-1] * len(self.channels) * members
        length = max(1, BLOCK_BYTES // (8 * cells))
        for first in range(0, len(self.times.lead_names), length):
            yield slice(first, min(first + length, len(self.times.lead_names)))

    def read(self, reference: int, leads: slice) -> tuple[np.ndarray, np.ndarray | None]:
        """Maps and their standard deviation, (lead, channel, lat, lon) float32, NaN where missing.

        reference: the position of the reference time. An ensemble gives the mean of its members and their
        standard deviation (n - 1). Units and order are the file's.
        """
        maps, spreads = [], []
        for one in self.variables:
            values = self._read(one, one.field, reference, leads)
            if one.member_dim is None:
                maps.append(values[:, :, 0])
            else:
                maps.append(values.mean(axis=2))
                spreads.append(values.std(axis=2, ddof=1))
            if one.spread is not None and one.member_dim is None:
                spreads.append(self._read(one, one.spread, reference, leads)[:, :, 0])
        spread = np.concatenate(spreads, axis=1).astype(np.float32) if self.has_spread else None
        return np.concatenate(maps, axis=1).astype(np.float32), spread

    def _read(self, one: Forecasted, field: Field, reference: int, leads: slice) -> np.ndarray:
        """Values of one variable, float64 (lead, level, member, lat, lon)."""
        order = (self.times.lead_dim, one.level_dim, one.member_dim, *one.axes.dims)
        wanted: dict[str, int | slice] = {
            dim: slice(0, field.size(dim)) for dim in order if dim is not None and dim in field.dims
        }
        if self.times.lead_dim in wanted:
            wanted[str(self.times.lead_dim)] = leads
        if self.times.reference_dim is not None:
            wanted[self.times.reference_dim] = reference
        index = tuple(wanted.get(dim, 0) for dim in field.dims)
        values = unpack(self._files.read(self.path, field.name, index), field.attributes)
        kept = [dim for dim, part in zip(field.dims, index, strict=True) if isinstance(part, slice)]
        values = values.transpose([kept.index(dim) for dim in order if dim in kept])
        for position, dim in enumerate(order):
            if dim is None or dim not in kept:
                values = np.expand_dims(values, position)
        return values

    def close(self) -> None:
        """Close the file."""
        self._files.close()


def open_forecast(path: Path) -> ForecastFile:
    """The forecasts in a NetCDF file or Zarr store. InputError where it holds none, or does not tell when."""
    files = Files()
    try:
        contents = files.inspect(path)
        candidates = list(_candidates(files, contents))
        if not candidates:
            raise InputError(f"forecast: {path} holds no maps to judge. {_reason(contents)}".strip())
        main = max(candidates, key=lambda one: len(one.others))
        kept = [one for one in candidates if one.others == main.others and one.axes == main.axes]
        warnings = [
            f"{path}: {one.field.name!r} lies on other axes than {main.field.name!r}; it is not judged"
            for one in candidates
            if one not in kept and one.others
        ]
        times = forecast_times(files, contents, main.others)
        _require_known(contents, main, times)
        lat, lon = read_places(files, contents, kept[0].axes)
        return ForecastFile(path, times, tuple(kept), lat, lon, tuple(warnings), files)
    except BaseException:
        files.close()
        raise


def _candidates(files: Files, contents: Contents) -> Iterator[Forecasted]:
    """Every variable with maps that is neither a coordinate nor the spread of another one."""
    auxiliary = auxiliary_names(contents)
    for field in contents.fields.values():
        if field.name in auxiliary or not is_floating_or_packed(field) or _is_spread(contents, field):
            continue
        axes = map_axes(contents, field)
        if isinstance(axes, MapAxes):
            yield _forecasted(files, contents, field, axes)


def _reason(contents: Contents) -> str:
    """Why the first variable of several dimensions holds no maps."""
    found = (map_axes(contents, field) for field in contents.fields.values() if len(field.dims) > 1)
    return next((one.reason for one in found if not isinstance(one, MapAxes)), "")


def _forecasted(files: Files, contents: Contents, field: Field, axes: MapAxes) -> Forecasted:
    """One variable's axes and channels: a level of several becomes VARIABLE_LEVEL, as in the truth."""
    several = [dim for dim in field.dims if dim not in axes.dims and field.size(dim) > 1]
    level_dim = next((dim for dim in several if _level_axis(contents, dim)), None)
    member_dim = next((dim for dim in several if dim.lower() in MEMBERS), None)
    levels: list[float | None] = [None]
    if level_dim is not None:
        axis = contents.fields.get(level_dim)
        numbers = (
            np.arange(field.size(level_dim), dtype=float)
            if axis is None
            else unpack(files.read_all(contents.path, axis), axis.attributes).reshape(-1)
        )
        levels = [float(one) for one in numbers]
    channels = tuple(
        Channel(
            field.name if level is None else f"{field.name}_{level:.10g}",
            field.name,
            level,
            field.text("units"),
            field.text("standard_name"),
            field.text("long_name"),
        )
        for level in levels
    )
    return Forecasted(field, axes, level_dim, member_dim, channels, _spread_of(contents, field))


def _level_axis(contents: Contents, dim: str) -> bool:
    """A vertical axis, and no time by another name."""
    field = contents.fields.get(dim)
    timed = field is not None and field.text("standard_name") in (
        "forecast_period",
        "forecast_reference_time",
    )
    return is_level(contents, dim) and not timed


def _spread_of(contents: Contents, field: Field) -> Field | None:
    """The variable of the standard deviation: an ancillary standard error, or NAME_spread, NAME_std."""
    named = [contents.fields.get(name) for name in field.text("ancillary_variables").split()]
    declared = [one for one in named if one is not None and "standard_error" in one.text("standard_name")]
    usual = [contents.fields.get(f"{field.name}{ending}") for ending in SPREADS]
    found = [one for one in (*declared, *usual) if one is not None and one.dims == field.dims]
    return next(iter(found), None)


def _is_spread(contents: Contents, field: Field) -> bool:
    """Whether a variable is the standard deviation of another one."""
    return any(
        field.name.endswith(ending) and field.name.removesuffix(ending) in contents.fields
        for ending in SPREADS
    )


def _require_known(contents: Contents, main: Forecasted, times: ForecastTimes) -> None:
    """InputError for a dimension of several that is neither time, lead, level, member nor place."""
    for dim in main.others:
        size = main.field.size(dim)
        if dim not in (times.reference_dim, times.lead_dim) and size > 1:
            raise InputError(
                f"{contents.path}: {main.field.name!r} has a dimension {dim!r} of length {size} that is "
                "neither reference time, lead time, level, ensemble member, latitude nor longitude. Choose "
                f"one of it (ncks -d {dim},0 IN OUT, xarray: ds.isel({dim}=0)) or average over it"
            )
