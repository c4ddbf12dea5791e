"""Forecast files read back as written, in the conventions of the source, and pass a compliance checker."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import pytest
import xarray as xr

from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.grid import Grid
from pipelines.forecasts.coordinates import valid_times
from pipelines.forecasts.netcdf_file import StationForecast, is_temperature, write_forecast

AIR = Channel("air", "air", None, "degK", "air_temperature", "air temperature near the surface")
WIND = Channel("u_500", "u", 500.0, "m s-1", "eastward_wind", "eastward wind")
BARE = Channel("index", "index", None, "", "", "")
DAY = 86400
NEW_YEAR = 15706 * DAY
"""2013-01-01 in the standard calendar."""


def plain_grid() -> Grid:
    """North first, longitudes 0-360, with attributes that must not be copied."""
    lat, lon = np.linspace(60.0, 50.0, 5), np.linspace(200.0, 212.5, 6)
    attributes = {
        "lat": {"units": "degrees_north", "actual_range": np.array([15.0, 75.0]), "bounds": "lat_bnds"},
        "lon": {"units": "degrees", "long_name": "East longitude"},
    }
    return Grid(lat, lon, np.full((5, 6), 1 / 30), False, attributes=attributes)


def lambert_grid() -> Grid:
    """A Lambert conformal grid, 2-D latitude and longitude."""
    y, x = np.arange(5) * 1000.0, np.arange(6) * 1000.0
    lat, lon = np.meshgrid(np.linspace(47.0, 47.1, 5), np.linspace(11.0, 11.2, 6), indexing="ij")
    attributes: dict[str, dict[str, Any]] = {
        "y": {"units": "m", "standard_name": "projection_y_coordinate"},
        "x": {"units": "m", "standard_name": "projection_x_coordinate"},
        "grid_mapping": {
            "name": "lcc",
            "grid_mapping_name": "lambert_conformal_conic",
            "standard_parallel": np.array([49.0, 46.0]),
            "latitude_of_projection_origin": 47.5,
            "longitude_of_central_meridian": 13.33,
            "false_easting": 400000.0,
            "false_northing": 400000.0,
        },
    }
    return Grid(lat, lon, np.full((5, 6), 1 / 30), False, dims=("y", "x"), y=y, x=x, attributes=attributes)


def write(path: Path, references: int = 1, grid: Grid | None = None, **changes: Any) -> np.ndarray:
    """Write a forecast of three channels and two stations, four leads; what was written."""
    grid = grid or plain_grid()
    noise = np.random.default_rng(0)
    forecast = noise.normal(280, 5, (references, 4, 3, *grid.shape)).astype(np.float32)
    forecast[:, :, 0, 0, 0] = np.nan
    values = noise.normal(0, 1, (references, 4, 2))
    places = np.array([np.nan, 52.0]), np.array([np.nan, 5.2])
    stations = StationForecast(("nao", "De Bilt"), ("1", "degC"), values, *places, spread=np.abs(values))
    settings: dict[str, Any] = {
        "forecast": forecast,
        "reference_times": NEW_YEAR + np.arange(references) * DAY,
        "channels": [AIR, WIND, BARE],
        "grid": grid,
        "step": Step(seconds=21600),
        "calendar": "standard",
        "history": "2026-11-22T10:00:00Z skyreel predict",
        "run_id": "0123abc",
        "title": "Forecast of three variables",
        "spread": np.abs(forecast) / 100,
        "stations": stations,
    }
    write_forecast(path, **{**settings, **changes})
    return forecast


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {}),
    "several": (3, {}),
    "months": (1, {"step": Step(months=1)}),
    "several months in noleap": (2, {"step": Step(months=1), "calendar": "noleap"}),
    "360_day": (1, {"calendar": "360_day"}),
    "projected": (1, {"grid": lambert_grid()}),
    "several projected": (2, {"grid": lambert_grid()}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file a case."""
    folder = tmp_path_factory.mktemp("forecasts")
    paths = {name: folder / f"{name.replace(' ', '_')}.nc" for name in CASES}
    for name, (references, changes) in CASES.items():
        write(paths[name], references, **changes)
    return paths


def test_the_compliance_checker_passes_every_kind_of_file_at_its_strictest(files: dict[str, Path]) -> None:
    checker = Path(sys.executable).with_name("compliance-checker")
    command = [str(checker), "--test", "cf:1.11", "--criteria", "strict", *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("All tests passed!") == len(files)


def test_one_forecast_has_valid_time_as_its_axis(tmp_path: Path) -> None:
    forecast = write(tmp_path / "f.nc")
    with xr.open_dataset(tmp_path / "f.nc") as read:
        np.testing.assert_array_equal(read.air.values, forecast[0, :, 0])
        assert read.air.dims == ("time", "lat", "lon")
        assert read.forecast_reference_time.values == np.datetime64("2013-01-01")
        assert read.time.values[-1] == np.datetime64("2013-01-02")
        assert read.forecast_period.values.tolist() == [6, 12, 18, 24]
        assert read.forecast_period.units == "hours"
        assert read.attrs["mlflow_run_id"] == "0123abc"
        assert read.attrs["history"].endswith("skyreel predict")
        assert read.attrs["Conventions"].startswith("CF-1.")


def test_several_forecasts_have_reference_time_and_lead_time_as_axes(tmp_path: Path) -> None:
    forecast = write(tmp_path / "f.nc", references=3)
    with xr.open_dataset(tmp_path / "f.nc") as read:
        assert read.air.dims == ("forecast_reference_time", "forecast_period", "lat", "lon")
        np.testing.assert_array_equal(read.u_500.values, forecast[:, :, 1])
        assert read.time.values[2, 0] == np.datetime64("2013-01-03T06:00")
        assert "time" in read.air.coords


def test_coordinates_keep_the_order_and_convention_of_the_source(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["one"]) as read:
        np.testing.assert_array_equal(read.lat, plain_grid().lat)
        np.testing.assert_array_equal(read.lon, plain_grid().lon)
        assert read.lon.attrs["units"] == "degrees_east"
        assert read.lon.attrs["long_name"] == "East longitude"
        assert not {"actual_range", "bounds", "_FillValue"} & set(read.lat.attrs)


def test_units_and_names_are_those_of_the_source_and_none_is_invented(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["one"]) as read:
        assert read.air.attrs["units"] == "degK"
        assert read.air.attrs["standard_name"] == "air_temperature"
        assert read.u_500.attrs["level"] == 500.0
        assert "units" not in read["index"].attrs
        assert "standard_name" not in read["index"].attrs
        assert "cell_methods" not in read.air.attrs


def test_missing_values_are_declared_and_compressed(files: dict[str, Path]) -> None:
    with netCDF4.Dataset(files["one"]) as read:
        assert read["air"].filters()["zlib"]
        assert read["air"]._FillValue == np.float32(netCDF4.default_fillvals["f4"])
        assert np.ma.count_masked(read["air"][:]) == 4


def test_the_spread_is_tied_to_its_forecast(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["one"]) as read:
        assert read.air.attrs["ancillary_variables"] == "air_spread"
        assert read.air_spread.attrs["standard_name"] == "air_temperature standard_error"
        np.testing.assert_allclose(read.air_spread, np.abs(read.air) / 100, rtol=1e-6)


def test_stations_carry_their_unit_and_place(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["several"]) as read:
        assert read.De_Bilt.dims == ("forecast_reference_time", "forecast_period")
        assert read.De_Bilt.attrs["units"] == "degC"
        assert float(read.De_Bilt.De_Bilt_lat) == 52.0
        assert "nao_lat" not in read.coords


def test_a_projected_grid_keeps_its_axes_its_places_and_its_mapping(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["projected"]) as read:
        assert read.air.dims == ("time", "y", "x")
        assert read.air.attrs["grid_mapping"] == "lcc"
        np.testing.assert_array_equal(read.lat, lambert_grid().lat)
        np.testing.assert_array_equal(read.lcc.attrs["standard_parallel"], [49.0, 46.0])


def test_cells_without_a_place_stay_without_one(tmp_path: Path) -> None:
    grid = lambert_grid()
    grid.lat[0, 0] = grid.lon[0, 0] = np.nan
    write(tmp_path / "f.nc", grid=grid)
    with xr.open_dataset(tmp_path / "f.nc") as read:
        assert int(np.isnan(read.lat).sum()) == 1


def test_calendars_without_real_dates_read_back(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["360_day"]) as read:
        start = read.forecast_reference_time.values[()]
        assert isinstance(start, cftime.Datetime360Day)
        assert read.time.values[3] - start == np.timedelta64(1, "D").astype(object)


def test_calendar_months_are_counted_in_months_with_their_exact_valid_time(files: dict[str, Path]) -> None:
    with xr.open_dataset(files["months"]) as read:
        assert read.forecast_period.values.tolist() == [1, 2, 3, 4]
        assert read.forecast_period.units == "months"
        months = ["2013-02-01", "2013-03-01", "2013-04-01", "2013-05-01"]
        np.testing.assert_array_equal(read.time.values, np.array(months, dtype="datetime64[ns]"))


@pytest.mark.parametrize(
    ("calendar", "start", "expected"),
    [("standard", (2013, 1, 31, 6), (2013, 2, 28, 6)), ("360_day", (2013, 12, 30), (2014, 1, 30))],
)
def test_a_month_later_is_the_same_day_or_the_last(
    calendar: str, start: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    epoch = "seconds since 1970-01-01"
    first = cftime.date2num(cftime.datetime(*start, calendar=calendar), epoch, calendar=calendar)
    later = valid_times(np.array([first]), 1, Step(months=1), calendar)
    found = cftime.num2date(later[0, 0], epoch, calendar=calendar)
    assert found == cftime.datetime(*expected, calendar=calendar)


def test_a_name_that_a_coordinate_has_is_set_apart(tmp_path: Path) -> None:
    channels = [Channel("time", "time", None, "s", "", ""), WIND, BARE]
    write(tmp_path / "f.nc", channels=channels)
    with xr.open_dataset(tmp_path / "f.nc") as read:
        assert "time_forecast" in read


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "f.nc"
    write(path)
    before = path.read_bytes()
    with pytest.raises(IndexError):
        write(path, stations=StationForecast(("a",), (), np.zeros((1, 4, 1)), np.zeros(1), np.zeros(1)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_shapes_that_disagree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"forecast is \(1, 4, 3, 5, 6\), not"):
        write(tmp_path / "f.nc", channels=[AIR])
    with pytest.raises(ValueError, match="spread is"):
        write(tmp_path / "f.nc", spread=np.zeros((1, 4, 3, 5, 5)))


@pytest.mark.parametrize("units", ["K", "degK", "Celsius", "degree_C", "degrees_celsius", "kelvin"])
def test_temperatures_are_told_from_other_units(units: str) -> None:
    assert is_temperature(units)
    assert not is_temperature(f"{units} m-1")
