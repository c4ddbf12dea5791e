"""Forecasts are read alike however their file spells times, leads, places and variables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from datamodules.errors import InputError
from pipelines.verification.forecast_file import open_forecast
from pipelines.verification.verify import Verification, verify
from tests.pipelines.verification.forecast_files import (
    LEADS,
    expected_rmse,
    plain_forecast,
    write_truth,
)

Spelling = Callable[[xr.Dataset], xr.Dataset]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What happened. Read it only."""
    return write_truth(tmp_path_factory.mktemp("truth"))


def weatherbench(data: xr.Dataset) -> xr.Dataset:
    """time and prediction_timedelta (timedelta64), longitude before latitude, south first."""
    data = data.rename(init="time", lead="prediction_timedelta", lat="latitude", lon="longitude")
    hours = data["prediction_timedelta"].values.astype(int)
    data = data.assign_coords(prediction_timedelta=hours.astype("m8[h]").astype("m8[ns]"))
    data = data.transpose("time", "prediction_timedelta", "longitude", "latitude")
    return data.isel(latitude=slice(None, None, -1))


def cfgrib(data: xr.Dataset) -> xr.Dataset:
    """time, step (timedelta64) and a valid_time of both; longitudes -180 to 180; a scalar level."""
    data = data.rename(init="time", lead="step", lat="latitude", lon="longitude")
    step = data["step"].values.astype(int).astype("m8[h]").astype("m8[ns]")
    data = data.assign_coords(step=step, longitude=(data["longitude"].values + 180) % 360 - 180)
    data = data.assign_coords(valid_time=data["time"] + data["step"], surface=0.0)
    data["time"].attrs["standard_name"] = "forecast_reference_time"
    data["step"].attrs["standard_name"] = "forecast_period"
    return data


def iris(data: xr.Dataset) -> xr.Dataset:
    """forecast_reference_time and forecast_period in seconds; an unlimited axis; another name of the map."""
    data = data.rename(init="forecast_reference_time", lead="forecast_period", air="t2m")
    seconds = ("forecast_period", data["forecast_period"].values * 3600, {"units": "s"})
    return data.assign_coords(forecast_period=seconds)


def by_valid_time(data: xr.Dataset) -> xr.Dataset:
    """reference_time, and a two-dimensional time instead of leads."""
    valid = data["init"] + data["lead"].astype(int).astype("m8[h]").astype("m8[ns]")
    data = data.rename(init="reference_time").drop_vars("lead")
    return data.assign_coords(time=(("reference_time", "lead"), valid.values))


def lead_first(data: xr.Dataset) -> xr.Dataset:
    """lead_time in days before init_time; single precision; packed whole numbers are left to the writer."""
    data = data.rename(init="init_time", lead="lead_time")
    days = ("lead_time", data["lead_time"].values / 24, {"units": "days"})
    return data.assign_coords(lead_time=days).transpose("lead_time", "init_time", "lat", "lon")


def unnamed_hours(data: xr.Dataset) -> xr.Dataset:
    """fhour without units, initial_time, and a land mask beside the maps."""
    data = data.rename(init="initial_time", lead="fhour")
    data["fhour"].attrs.clear()
    return data.assign(land=(("lat", "lon"), np.ones((8, 12), np.float32)))


def ensemble(data: xr.Dataset) -> xr.Dataset:
    """Three members whose mean is the forecast."""
    apart = xr.DataArray([-1.0, 0.0, 1.0], dims="number", coords={"number": [1, 2, 3]})
    return data.assign(air=(data["air"] + apart).astype(np.float32).assign_attrs(units="K"))


@pytest.mark.parametrize(
    "spell", [weatherbench, cfgrib, iris, by_valid_time, lead_first, unnamed_hours, ensemble]
)
def test_every_spelling_gives_the_same_scores(spell: Spelling, truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    data = spell(plain)
    name = next(iter(data.data_vars))
    packed = {name: {"dtype": "float32"}}
    data.to_netcdf(tmp_path / "forecast.nc", encoding=packed)
    found = verify(str(tmp_path / "forecast.nc"), str(truth))
    assert found.lead_names == ("6h", "12h", "18h", "24h")
    assert found.variables == (name,)
    assert len(found.reference_times) == plain.sizes["init"]
    assert found.scores["forecast"]["rmse"][:, 0] == pytest.approx(expected_rmse(truth, plain), rel=1e-4)
    assert found.scores["persistence"]["rmse"].shape == (LEADS, 1)


def test_a_zarr_store_is_read_too(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    plain.to_zarr(tmp_path / "forecast.zarr", consolidated=False, zarr_format=2)
    found = verify(str(tmp_path / "forecast.zarr"), str(truth))
    assert found.scores["forecast"]["rmse"][:, 0] == pytest.approx(expected_rmse(truth, plain), rel=1e-4)


def test_one_lead_or_one_reference_time_without_an_axis_is_read(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    expected = expected_rmse(truth, plain)[1]
    plain.isel(lead=1).to_netcdf(tmp_path / "lead.nc")
    found = verify(str(tmp_path / "lead.nc"), str(truth))
    assert found.lead_names == ("12h",)
    assert found.scores["forecast"]["rmse"][0, 0] == pytest.approx(expected, rel=1e-4)
    plain.isel(init=0).to_netcdf(tmp_path / "init.nc")
    alone = verify(str(tmp_path / "init.nc"), str(truth))
    assert (len(alone.reference_times), len(alone.lead_names)) == (1, LEADS)


def test_a_forecast_of_a_part_of_the_cells_is_judged_there(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    plain.isel(lat=slice(2, 6), lon=slice(3, 9)).to_netcdf(tmp_path / "part.nc")
    found = verify(str(tmp_path / "part.nc"), str(truth))
    whole = xr.open_dataset(truth)
    whole.isel(lat=slice(2, 6), lon=slice(3, 9)).to_netcdf(tmp_path / "truth.nc")
    whole.close()
    plain.to_netcdf(tmp_path / "whole.nc")
    other = verify(str(tmp_path / "whole.nc"), str(tmp_path / "truth.nc"))
    assert found.scores["forecast"]["rmse"] == pytest.approx(other.scores["forecast"]["rmse"], rel=1e-6)


def test_levels_are_judged_each_by_its_own(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    levels = xr.DataArray([500.0, 850.0], dims="level", coords={"level": [500.0, 850.0]})
    levels["level"].attrs["units"] = "hPa"
    two = xr.concat([plain["air"], plain["air"] + 1], dim=levels["level"]).rename("t").to_dataset()
    two.transpose("init", "lead", "level", "lat", "lon").to_netcdf(tmp_path / "forecast.nc")
    with xr.open_dataset(truth) as maps:
        happened = xr.concat([maps["air"], maps["air"]], dim=levels["level"]).rename("t").to_dataset()
        happened.transpose("time", "level", "lat", "lon").to_netcdf(tmp_path / "truth.nc")
    found = verify(str(tmp_path / "forecast.nc"), str(tmp_path / "truth.nc"))
    assert found.variables == ("t_500", "t_850")
    bias = found.scores["forecast"]["bias"]
    assert bias[:, 1] - bias[:, 0] == pytest.approx(np.ones(LEADS), abs=1e-4)


def test_maps_are_read_a_few_leads_at_a_time_where_they_are_large(
    truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_forecast(truth).to_netcdf(tmp_path / "forecast.nc")
    whole = verify(str(tmp_path / "forecast.nc"), str(truth))
    monkeypatch.setattr("pipelines.verification.forecast_file.BLOCK_BYTES", 8 * 96)
    monkeypatch.setattr("pipelines.verification.truth.KEPT_BYTES", 1)
    file = open_forecast(tmp_path / "forecast.nc")
    assert len(list(file.blocks())) == LEADS
    file.close()
    pieces = verify(str(tmp_path / "forecast.nc"), str(truth))
    assert pieces.scores["forecast"]["rmse"].tolist() == whole.scores["forecast"]["rmse"].tolist()


def refused(data: xr.Dataset, truth: Path, folder: Path) -> str:
    """What is said of a forecast file that cannot be judged."""
    data.to_netcdf(folder / "refused.nc")
    with pytest.raises(InputError) as caught:
        verify(str(folder / "refused.nc"), str(truth))
    return str(caught.value)


def test_what_a_file_does_not_tell_is_asked_for(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    unitless = plain.copy()
    unitless["lead"].attrs.clear()
    assert "in which unit its lead times are" in refused(unitless, truth, tmp_path)
    undated = plain.drop_vars("init")
    assert "when its forecasts were issued" in refused(undated, truth, tmp_path)
    unled = plain.isel(lead=0, drop=True)
    assert "for which lead times" in refused(unled, truth, tmp_path)
    with xr.open_dataset(truth) as history:
        assert "when its forecasts were issued" in refused(history.load(), truth, tmp_path)


def test_an_axis_that_nothing_is_known_of_is_named_with_the_way_out(truth: Path, tmp_path: Path) -> None:
    odd = plain_forecast(truth).expand_dims(scenario=3)
    said = refused(odd, truth, tmp_path)
    assert "'scenario' of length 3" in said
    assert "ncks -d scenario,0" in said


def test_other_cells_units_variables_and_calendars_are_refused(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    shifted = plain.assign_coords(lon=("lon", plain["lon"].values + 1.0, {"units": "degrees_east"}))
    assert "their cells are not the same ones" in refused(shifted, truth, tmp_path)
    celsius = plain.copy()
    celsius["air"].attrs["units"] = "degC"
    assert "is in 'degC'" in refused(celsius, truth, tmp_path)
    two = plain.rename(air="rain").assign(snow=plain["air"])
    assert "has none of rain, snow" in refused(two, truth, tmp_path)
    late = plain.assign_coords(init=plain["init"].values + np.timedelta64(9000, "D"))
    assert "has a truth" in refused(late, truth, tmp_path)
    plain["init"].encoding["calendar"] = "noleap"
    assert "counts in the calendar 'noleap'" in refused(plain, truth, tmp_path)


def test_valid_times_that_contradict_the_leads_are_refused(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    wrong = plain["init"] + (plain["lead"] + 3).astype(int).astype("m8[h]").astype("m8[ns]")
    wrong.attrs.clear()
    said = refused(plain.assign_coords(valid_time=wrong), truth, tmp_path)
    assert "valid times are not its reference times and lead times added up" in said


def test_valid_times_that_are_a_second_off_find_their_truth(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    valid = plain["init"] + plain["lead"].astype(int).astype("m8[h]").astype("m8[ns]")
    valid.attrs.clear()
    plain.assign_coords(valid_time=valid + np.timedelta64(1, "s")).to_netcdf(tmp_path / "forecast.nc")
    found = verify(str(tmp_path / "forecast.nc"), str(truth))
    assert found.judged.tolist() == [20] * LEADS
    assert found.scores["forecast"]["rmse"][:, 0] == pytest.approx(expected_rmse(truth, plain), rel=1e-4)


def test_a_later_file_in_other_units_or_another_calendar_is_refused(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    plain.isel(init=slice(0, 10)).to_netcdf(tmp_path / "f1.nc")
    rest = plain.isel(init=slice(10, None))
    rest.assign(air=(rest["air"] - 273.15).assign_attrs(units="degC")).to_netcdf(tmp_path / "f2.nc")
    with pytest.raises(InputError, match=r"'air' of .*f2\.nc is in 'degC', wanted is 'K'"):
        verify(str(tmp_path / "f*.nc"), str(truth))
    rest.assign(air=rest["air"].assign_attrs(units="kelvin")).to_netcdf(tmp_path / "f2.nc")
    assert len(verify(str(tmp_path / "f*.nc"), str(truth)).reference_times) == 20
    rest["init"].encoding["calendar"] = "noleap"
    rest.to_netcdf(tmp_path / "f2.nc")
    with pytest.raises(InputError, match=r"f2\.nc has other days \(its calendar\)"):
        verify(str(tmp_path / "f*.nc"), str(truth))


def test_a_reference_time_that_comes_twice_is_refused(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    assert "comes twice" in refused(plain.isel(init=[0, 1, 1]), truth, tmp_path)


def test_values_and_maps_that_are_missing_are_left_out_and_told(truth: Path, tmp_path: Path) -> None:
    plain = plain_forecast(truth)
    plain["air"][:, :, 0] = np.nan
    plain.to_netcdf(tmp_path / "forecast.nc")
    short = xr.open_dataset(truth).isel(time=slice(0, 40))
    short.to_netcdf(tmp_path / "truth.nc")
    short.close()
    found: Verification = verify(str(tmp_path / "forecast.nc"), str(tmp_path / "truth.nc"))
    assert any("forecast maps have no truth" in told for told in found.warnings)
    assert any("missing in 12.5% of the values" in told for told in found.warnings)
    assert found.judged.tolist() == [18, 17, 17, 16]
    assert np.isfinite(found.scores["forecast"]["rmse"]).all()
