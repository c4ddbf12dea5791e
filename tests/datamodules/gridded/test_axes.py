"""Variables are told apart: maps over time, coordinates, stations, forecasts."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.source import open_source
from tests.datamodules.gridded.netcdf_files import numbered, write_maps


@pytest.mark.parametrize("name", ["valid_time", "t", "initial_time", "when"])
def test_time_is_known_by_its_units_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = write_maps(tmp_path / "a.nc", {"air": numbered(3)}, dims=(name, "lat", "lon"), clock=name)
    source = open_source(path)
    assert source.time.size == 3
    source.close()


def test_bounds_and_dated_companions_are_never_data(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"air": numbered(3)}, attributes={"lat": {"bounds": "lat_bnds"}})
    with netCDF4.Dataset(path, "a") as file:
        file.createDimension("bnds", 2)
        file.createVariable("lat_bnds", "f8", ("lat", "bnds"))[:] = [[55, 65], [45, 55], [35, 45]]
        file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = 0.0
        seen = file.createVariable("seen", "f8", ("time", "lat", "lon"))
        seen.units, seen[:] = "hours since 2001-01-01", 0.0
    source = open_source(path)
    assert [channel.name for channel in source.channels] == ["air"]
    source.close()


def test_places_without_a_grid_are_sent_to_the_series(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("station", 5)
        file.createDimension("time", 4)
        clock = file.createVariable("time", "f8", ("time",))
        clock.units, clock[:] = "days since 2001-01-01", np.arange(4)
        for name in ("lat", "lon"):
            file.createVariable(name, "f8", ("station",))[:] = np.arange(5)
        file.createVariable("tas", "f4", ("station", "time"))[:] = 0.0
    with pytest.raises(InputError, match=r"no grid.*\(5 places\).*data\.series\.path"):
        open_source(path)


def test_forecasts_with_two_time_axes_are_refused(tmp_path: Path) -> None:
    values = np.stack([numbered(3), numbered(3)], axis=1)
    path = write_maps(
        tmp_path / "a.nc",
        {"t": values},
        dims=("time", "step", "lat", "lon"),
        extra={"step": np.array([6.0, 12.0])},
        attributes={"step": {"units": "hours", "standard_name": "forecast_period"}},
    )
    with pytest.raises(InputError, match="two time axes, 'time' and 'step'"):
        open_source(path)


def test_a_climatology_without_dates_is_refused(tmp_path: Path) -> None:
    path = write_maps(
        tmp_path / "a.nc",
        {"t": numbered(12)},
        dims=("month", "lat", "lon"),
        extra={"month": np.arange(1, 13)},
    )
    with pytest.raises(InputError, match="no time axis: dimension 'month'"):
        open_source(path)
