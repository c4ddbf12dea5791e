"""Forecasts as a CF-1.x NetCDF file on the grid, in the units and with the conventions of the source."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.grid import Grid
from pipelines.forecasts.coordinates import Axes, write_grid, write_times

CONVENTIONS = "CF-1.11"
SOURCE = "Skyreel: a convolutional network reads each map, a recurrent network reads the sequence"
FILL = np.float32(netCDF4.default_fillvals["f4"])


@dataclass(frozen=True, eq=False)
class StationForecast:
    """Forecasts of series: values (reference_time, lead, series); one name and unit a series.

    lat, lon: float64 (series,) degrees, NaN where unknown; spread: of the shape of values, or None.
    """

    names: Sequence[str]
    units: Sequence[str]
    values: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    spread: np.ndarray | None = None


def write_forecast(
    path: Path,
    *,
    forecast: np.ndarray,
    reference_times: np.ndarray,
    channels: Sequence[Channel],
    grid: Grid,
    step: Step,
    calendar: str,
    history: str,
    run_id: str,
    title: str,
    spread: np.ndarray | None = None,
    stations: StationForecast | None = None,
) -> Path:
    """The path of the NetCDF-4 file, complete: it is written beside its place and renamed.

    forecast:        (reference_time, lead, channel, lat, lon), physical units, NaN where there is none;
                     the first lead is one step after the reference time. Nothing but one map is copied.
    reference_times: int64 (reference_time,), seconds since 1970-01-01 in `calendar`: the last observed step
    spread:          standard deviation of the forecast, of the same shape
    history:         one line: when, and the command

    One reference time gives dimensions (time, lat, lon), `time` the valid time, with a scalar
    `forecast_reference_time` and `forecast_period(time)`. Several give (forecast_reference_time,
    forecast_period, lat, lon) and a 2-D `time`. Steps in calendar months: a `forecast_period` in months.
    Each channel is a variable of its name, its spread `<name>_spread`. ValueError when shapes disagree.
    """
    expected = (len(reference_times), forecast.shape[1], len(channels), *grid.shape)
    for name, array in (("forecast", forecast), ("spread", spread)):
        if array is not None and array.shape != expected:
            raise ValueError(f"{name} is {array.shape}, not (time, lead, channel, lat, lon) = {expected}")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with netCDF4.Dataset(partial, "w", format="NETCDF4") as file:
            file.setncatts(
                {
                    "Conventions": CONVENTIONS,
                    "title": title,
                    "source": SOURCE,
                    "history": history,
                    **({"mlflow_run_id": run_id} if run_id else {}),
                }
            )
            times = write_times(file, reference_times, forecast.shape[1], step, calendar)
            places = write_grid(file, grid)
            for c, channel in enumerate(channels):
                fields = (forecast[:, :, c], None if spread is None else spread[:, :, c])
                _write_pair(file, channel.name, fields, _attributes(channel), times, places)
            if stations is not None:
                _write_stations(file, stations, times)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write_pair(
    file: netCDF4.Dataset,
    name: str,
    fields: tuple[np.ndarray, np.ndarray | None],
    attributes: dict[str, Any],
    times: Axes,
    places: Axes,
) -> None:
    """Write a forecast (reference_time, lead, ...) and, where there is one, the spread that belongs to it."""
    name = free_name(file, name)
    values, spread = fields
    located = {**times.attributes, **places.attributes}
    beside = [axes.attributes["coordinates"] for axes in (times, places) if "coordinates" in axes.attributes]
    located["coordinates"] = " ".join(beside)
    if spread is not None:
        spread_name = free_name(file, f"{name}_spread")
        attributes = {**attributes, "ancillary_variables": spread_name}
    _write_values(file, name, values, {**attributes, **located}, times.dims, places.dims)
    if spread is not None:
        uncertain = {key: attributes[key] for key in ("units",) if key in attributes}
        uncertain["long_name"] = f"standard deviation of the forecast of {attributes['long_name']}"
        if "standard_name" in attributes:
            uncertain["standard_name"] = f"{attributes['standard_name']} standard_error"
        if "units_metadata" in attributes:
            uncertain["units_metadata"] = "temperature: difference"
        _write_values(file, spread_name, spread, {**uncertain, **located}, times.dims, places.dims)


def _write_values(
    file: netCDF4.Dataset,
    name: str,
    values: np.ndarray,
    attributes: dict[str, Any],
    time_dims: tuple[str, ...],
    place_dims: tuple[str, ...],
) -> None:
    """Write values (reference_time, lead, ...) map by map, compressed; what is not finite is missing."""
    variable = file.createVariable(
        name,
        "f4",
        (*time_dims, *place_dims),
        zlib=True,
        complevel=4,
        shuffle=True,
        fill_value=FILL,
        chunksizes=(*(1 for _ in time_dims), *values.shape[2:]) if place_dims else None,
    )
    variable.setncatts(attributes)
    for reference in range(values.shape[0]):
        for lead in range(values.shape[1]):
            field = np.asarray(values[reference, lead], dtype=np.float32)
            where = (lead,) if len(time_dims) == 1 else (reference, lead)
            variable[where] = np.where(np.isfinite(field), field, FILL)


def _attributes(channel: Channel) -> dict[str, Any]:
    """What the source says of the variable: units, names, level; what it lacks is absent."""
    long_name = channel.long_name or channel.variable
    attributes: dict[str, Any] = {}
    if channel.level is not None:
        long_name = f"{long_name} at level {channel.level:g}"
        attributes["level"] = channel.level
    attributes["long_name"] = long_name
    if channel.units:
        attributes["units"] = channel.units
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", channel.standard_name):
        attributes["standard_name"] = channel.standard_name
        if "temperature" in channel.standard_name.split("_") and is_temperature(channel.units):
            kind = "difference" if "anomaly" in channel.standard_name else "on_scale"
            attributes["units_metadata"] = f"temperature: {kind}"
    return attributes


def is_temperature(units: str) -> bool:
    """True for the spellings of kelvin and of the degrees Celsius and Fahrenheit."""
    scale = r"(deg(ree)?s?_?)?([CKF]|[Cc]elsius|[Kk]elvins?|[Ff]ahrenheit)"
    return re.fullmatch(scale, units) is not None


def _write_stations(file: netCDF4.Dataset, stations: StationForecast, times: Axes) -> None:
    """Write a variable a series, each with its own unit and, where known, its place as scalar coordinates."""
    for s, name in enumerate(stations.names):
        name = free_name(file, name)
        attributes: dict[str, Any] = {"long_name": f"forecast of the series {stations.names[s]}"}
        if stations.units[s]:
            attributes["units"] = stations.units[s]
        place = _write_place(file, name, float(stations.lat[s]), float(stations.lon[s]))
        spread = None if stations.spread is None else stations.spread[:, :, s]
        _write_pair(file, name, (stations.values[:, :, s], spread), attributes, times, place)


def _write_place(file: netCDF4.Dataset, name: str, lat: float, lon: float) -> Axes:
    """The scalar latitude and longitude of a station, written where both are known."""
    if not (np.isfinite(lat) and np.isfinite(lon)):
        return Axes((), {})
    for suffix, value, standard, units in (
        ("lat", lat, "latitude", "degrees_north"),
        ("lon", lon, "longitude", "degrees_east"),
    ):
        variable = file.createVariable(f"{name}_{suffix}", "f8", ())
        variable.setncatts({"standard_name": standard, "long_name": f"{standard} of {name}", "units": units})
        variable[...] = value
    return Axes((), {"coordinates": f"{name}_lat {name}_lon"})


def free_name(file: netCDF4.Dataset, name: str) -> str:
    """`name` in letters, digits and _ as CF asks; "<name>_forecast" where a coordinate has the name."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    name = name if name[:1].isalpha() else f"v_{name}"
    return f"{name}_forecast" if name in file.variables or name in file.dimensions else name
