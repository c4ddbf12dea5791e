"""Series from NetCDF: variables along (time), (time, station) or (station, time).

Series are named after the variable, after the station where one variable has a station axis, and
`<station>_<variable>` where several have.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import calendar_name, date_from_days
from datamodules.gridded.clock import DAY, decode_time
from datamodules.gridded.station_table import Table, absent, chosen, civil_seconds, lost_days, sort_times

if TYPE_CHECKING:
    import xarray

DEFAULT_FILL = 9.9e36
"""Magnitudes from here on are the NetCDF library's own fill value, declared or not."""

STATION_NAMES = ("station_name", "station", "station_id", "location", "city", "site", "name", "id")
PLACES = {
    "lat": ("latitude", ("lat", "latitude", "station_lat")),
    "lon": ("longitude", ("lon", "longitude", "station_lon")),
}


def read_netcdf(path: str, calendar: str, columns: Sequence[str] | None, time_column: str | None) -> Table:
    """The series of one NetCDF file, times in `calendar`.

    InputError: an unreadable file, no time axis, no series (maps, for example), absent columns.
    """
    import xarray as xr

    try:
        data = xr.open_dataset(path, decode_times=False, decode_timedelta=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read as NetCDF ({error}); give a whole file, or CSV") from error
    with data:
        data = data.squeeze()
        clock = _time_variable(data, path, time_column)
        axis = str(clock.dims[0])
        labels = _labels(data, axis, path)
        kept = chosen(path, list(labels), columns)
        time, real, warnings = _seconds(clock, calendar, path)
        picked = [_pick(data[labels[name][0]], axis, labels[name][1]) for name in kept]
        values = np.stack([_valid(one) for one in picked], axis=1)[real]
        time, values, repeats = sort_times(time, values, path)
        return Table(
            time,
            values,
            tuple(kept),
            tuple(str(one.attrs.get("units", "")) for one in picked),
            np.array([_place(one, "lat") for one in picked]),
            np.array([_place(one, "lon") for one in picked]),
            warnings=warnings + repeats,
        )


def _time_variable(data: "xarray.Dataset", path: str, wanted: str | None) -> "xarray.DataArray":
    """The 1-D variable that holds the times: the one asked for, or the first in units "... since ..."."""
    if wanted is not None:
        if wanted not in data.variables:
            raise absent(path, "data.series.time_column", wanted, map(str, data.variables))
        candidates = [wanted]
    else:
        candidates = sorted(
            map(str, data.variables), key=lambda name: (name not in data.dims, name != "time")
        )
    for name in candidates:
        variable = data[name]
        if variable.ndim == 1 and " since " in str(variable.attrs.get("units", "")):
            return variable
    raise InputError(
        f"{path}: no time axis (a variable with units such as 'days since 1990-01-01') among "
        f"{', '.join(candidates)}; name it with data.series.time_column"
    )


def _labels(data: "xarray.Dataset", axis: str, path: str) -> dict[str, tuple[str, int | None]]:
    """Every series' name -> (variable, index along the station axis, None where it has none)."""
    bounds = {str(data[name].attrs.get("bounds")) for name in data.variables}
    usable = {
        str(name): [str(dim) for dim in variable.dims if dim != axis]
        for name, variable in data.data_vars.items()
        if axis in variable.dims and np.issubdtype(variable.dtype, np.number) and name not in bounds
    }
    by_station = [name for name, dims in usable.items() if len(dims) == 1]
    labels: dict[str, tuple[str, int | None]] = {
        name: (name, None) for name, dims in usable.items() if not dims
    }
    for name in by_station:
        for index, station in enumerate(_stations(data, usable[name][0])):
            labels[station if len(by_station) == 1 else f"{station}_{name}"] = (name, index)
    if not labels:
        raise InputError(
            f"{path}: no series: a series has the axes ({axis}) or ({axis}, station); found "
            + (
                ", ".join(f"{name} ({', '.join(map(str, data[name].dims))})" for name in data.data_vars)
                or "nothing"
            )
            + "; maps belong in data.path"
        )
    return labels


def _stations(data: "xarray.Dataset", dim: str) -> list[str]:
    """A name for every index along `dim`: the file's own where it has some, else `<dim><index>`."""
    along = [str(name) for name in data.variables if data[name].dims == (dim,)]
    ranked = [name for name in along if data[name].attrs.get("cf_role") == "timeseries_id"]
    ranked += [name for name in (dim, *STATION_NAMES) if name in along]
    ranked += [name for name in along if data[name].dtype.kind in "OUS"]
    ranked.sort(key=lambda name: data[name].dtype.kind not in "OUS")
    for name in ranked:
        values = data[name].values.tolist()
        names = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        names = [text.strip() for text in names]
        if len(set(names)) == len(names) and all(names):
            return names
    return [f"{dim}{index}" for index in range(data.sizes[dim])]


def _pick(variable: "xarray.DataArray", axis: str, index: int | None) -> "xarray.DataArray":
    """One series (time,) of a variable."""
    if index is None:
        return variable
    return variable.isel({dim: index for dim in variable.dims if dim != axis})


def _valid(variable: "xarray.DataArray") -> np.ndarray:
    """The values as float64 (time,), NaN = missing."""
    values = np.asarray(variable.values, dtype=np.float64)
    return np.where(np.abs(values) < DEFAULT_FILL, values, np.nan)


def _place(variable: "xarray.DataArray", which: str) -> float:
    """The latitude or longitude of one series, degrees, NaN where the file gives none."""
    standard, names = PLACES[which]
    for name, coordinate in variable.coords.items():
        if coordinate.ndim == 0 and (
            str(name).lower() in names or coordinate.attrs.get("standard_name") == standard
        ):
            return float(coordinate.values)
    return float("nan")


def _seconds(clock: "xarray.DataArray", calendar: str, path: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(seconds in `calendar`, int64; mask of the file's times that it has; warnings)."""
    own = calendar_name(clock.attrs.get("calendar"), path)
    numbers = np.asarray(clock.values)
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        raise InputError(
            f"{path}: times are missing in '{clock.name}'; give a file in which every time is set"
        )
    time = decode_time(numbers, str(clock.attrs["units"]), own, path)
    if own == calendar:
        return time, np.ones(len(time), dtype=bool), []
    seconds, exists = civil_seconds(date_from_days(time // DAY, own), time % DAY, calendar)
    return seconds[exists], exists, lost_days(path, exists, calendar)
