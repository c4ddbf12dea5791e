"""The coordinates of a forecast file: reference time, lead time, valid time, and the grid of the source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np

from datamodules.gridded.calendars import months_later
from datamodules.gridded.clock import DAY, EPOCH
from datamodules.gridded.describe import Step
from datamodules.gridded.grid import Grid

LEAP_FREE = ("standard", "gregorian", "proleptic_gregorian", "julian")
DEGREES = {
    "lat": ("latitude", "degrees_north", r"degrees?_?(north|N)", "Y"),
    "lon": ("longitude", "degrees_east", r"degrees?_?(east|E)", "X"),
}
STORAGE = ("_FillValue", "missing_value", "actual_range", "valid_range", "valid_min", "valid_max")
LINKS = ("bounds", "climatology", "coordinates", "grid_mapping", "formula_terms", "compress")
NOT_WRITTEN = frozenset((*STORAGE, *LINKS, "scale_factor", "add_offset"))
"""Attributes of the source's coordinates that tell how they were stored, or name variables not written."""


@dataclass(frozen=True)
class Axes:
    """The dimensions of a variable, and the attributes that tie it to its coordinates."""

    dims: tuple[str, ...]
    attributes: Mapping[str, str]


def valid_times(reference_times: np.ndarray, leads: int, step: Step, calendar: str) -> np.ndarray:
    """The times forecast, int64 (reference_time, lead), seconds since 1970-01-01 in `calendar`.

    The first lead is one step ahead. Calendar months keep the day and the hour; a day that the month lacks
    becomes its last (31 January + 1 month = 28 February).
    """
    issued = np.asarray(reference_times, dtype=np.int64)[:, None]
    ahead = np.arange(1, leads + 1, dtype=np.int64)
    if step.months is None:
        return issued + ahead * int(step.seconds or 0)
    return months_later(issued // DAY, ahead * step.months, calendar) * DAY + issued % DAY


def write_times(
    file: netCDF4.Dataset, reference_times: np.ndarray, leads: int, step: Step, calendar: str
) -> Axes:
    """Write `forecast_reference_time`, `forecast_period` and `time`; the axes of what depends on them.

    One reference time: it is a scalar and `time` the dimension. Several: both of the former are dimensions,
    the reference time unlimited, so that later forecasts can be appended.
    """
    valid = valid_times(reference_times, leads, step, calendar)
    one = len(valid) == 1
    dims = ("time",) if one else ("forecast_reference_time", "forecast_period")
    for name, size in zip(dims, (leads,) if one else (None, leads), strict=True):
        file.createDimension(name, size)
    clock = {"units": EPOCH, "calendar": "standard" if calendar == "gregorian" else calendar}
    if calendar in LEAP_FREE:
        clock["units_metadata"] = "leap_seconds: none"

    start = file.createVariable("forecast_reference_time", "f8", () if one else dims[:1])
    start.setncatts({"standard_name": "forecast_reference_time", "long_name": "last observed time", **clock})
    start[...] = float(reference_times[0]) if one else np.asarray(reference_times, dtype=float)

    period = file.createVariable("forecast_period", "f8", dims[-1:])
    ahead = np.arange(1, leads + 1)
    period.setncatts({"standard_name": "forecast_period", "long_name": "lead time"})
    if step.months is None:
        period.units = "hours"
        period[:] = ahead * step.hours
    else:
        period.setncatts({"units": "months", "comment": "calendar months; the exact valid time is in `time`"})
        period[:] = ahead * step.months

    time = file.createVariable("time", "f8", dims)
    time.setncatts({"standard_name": "time", "long_name": "valid time", **clock})
    if one:
        time.axis = "T"
    time[:] = valid[0] if one else valid
    return Axes(dims, {"coordinates": "forecast_reference_time forecast_period" if one else "time"})


def write_grid(file: netCDF4.Dataset, grid: Grid) -> Axes:
    """Write latitude and longitude as the source has them, and its projection; the axes of the maps."""
    for name, size in zip(grid.dims, grid.shape, strict=True):
        file.createDimension(name, size)
    if not grid.projected:
        for role, name, values in (("lat", grid.dims[0], grid.lat), ("lon", grid.dims[1], grid.lon)):
            _write_coordinate(file, name, (name,), values, _degrees(grid, role, axis=True))
        return Axes(grid.dims, {})
    for role, name, line in (("y", grid.dims[0], grid.y), ("x", grid.dims[1], grid.x)):
        attributes = {**_kept(grid, role), "axis": role.upper()}
        if line is not None and "units" in attributes:
            _write_coordinate(file, name, (name,), line, attributes)
    for role, name, values in (("lat", grid.lat_name, grid.lat), ("lon", grid.lon_name, grid.lon)):
        _write_coordinate(file, name, grid.dims, values, _degrees(grid, role, axis=False))
    located = {"coordinates": f"{grid.lat_name} {grid.lon_name}"}
    mapping = dict(grid.attributes.get("grid_mapping", {}))
    if "grid_mapping_name" in mapping and all(name in file.variables for name in grid.dims):
        name = str(mapping.pop("name", "crs"))
        file.createVariable(name, "i4", ()).setncatts(
            {key: value for key, value in mapping.items() if key not in NOT_WRITTEN}
        )
        located["grid_mapping"] = name
    return Axes(grid.dims, located)


def _write_coordinate(
    file: netCDF4.Dataset, name: str, dims: tuple[str, ...], values: np.ndarray, attributes: dict[str, Any]
) -> None:
    """Write one coordinate in float64; with a fill value only where a 2-D one has cells without a place."""
    missing = np.nan if not np.isfinite(values).all() else None
    variable = file.createVariable(name, "f8", dims, zlib=len(dims) > 1, fill_value=missing)
    variable.setncatts(attributes)
    variable[...] = values


def _kept(grid: Grid, role: str) -> dict[str, Any]:
    """The source's attributes of one coordinate that still hold here."""
    found = grid.attributes.get(role, {})
    return {key: value for key, value in found.items() if key not in NOT_WRITTEN and not key.startswith("_")}


def _degrees(grid: Grid, role: str, axis: bool) -> dict[str, Any]:
    """Attributes of latitude or longitude: the source's, with the standard name and a unit that CF knows."""
    standard, units, allowed, letter = DEGREES[role]
    attributes = {"long_name": standard, **_kept(grid, role), "standard_name": standard}
    if not re.fullmatch(allowed, str(attributes.get("units", ""))):
        attributes["units"] = units
    attributes.pop("axis", None)
    return {**attributes, "axis": letter} if axis else attributes
