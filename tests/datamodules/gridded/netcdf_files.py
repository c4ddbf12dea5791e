"""NetCDF files made on the spot: maps over time with whatever a test wants to be odd about them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

LAT = np.array([60.0, 50.0, 40.0])
LON = np.arange(0.0, 360.0, 45.0)


def numbered(steps: int, rows: int = 3, columns: int = 8, seed: int = 0) -> np.ndarray:
    """Random values (steps, rows, columns) that no two cells share."""
    return np.random.default_rng(seed).normal(280.0, 10.0, (steps, rows, columns))


def write_maps(
    path: Path,
    fields: Mapping[str, np.ndarray],
    *,
    time: Sequence[float] | np.ndarray | None = None,
    units: str = "hours since 2001-01-01",
    calendar: str | None = "standard",
    lat: np.ndarray = LAT,
    lon: np.ndarray = LON,
    dims: Sequence[str] = ("time", "lat", "lon"),
    clock: str = "time",
    extra: Mapping[str, np.ndarray] | None = None,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
    format: str = "NETCDF4",
    chunks: Sequence[int] | None = None,
) -> Path:
    """Write `fields` on `dims` and return the path; attributes by variable, `_FillValue` among them."""
    attributes = attributes or {}
    moments = np.arange(next(iter(fields.values())).shape[0]) * 6.0 if time is None else np.asarray(time)
    coordinates = {clock: moments, "lat": lat, "lon": lon, **(extra or {})}
    with netCDF4.Dataset(path, "w", format=format) as file:
        for name in dims:
            values = np.asarray(coordinates[name])
            file.createDimension(name, values.size)
            variable = file.createVariable(name, values.dtype, (name,))
            variable[:] = values
            variable.setncatts(dict(attributes.get(name, {})))
            if name == clock:
                variable.units = units
                if calendar:
                    variable.calendar = calendar
        for name, values in fields.items():
            about = dict(attributes.get(name, {}))
            fill = about.pop("_FillValue", None)
            variable = file.createVariable(
                name, values.dtype, tuple(dims), fill_value=fill, chunksizes=chunks
            )
            variable.set_auto_maskandscale(False)
            variable.setncatts(about)
            variable[:] = values
    return path
