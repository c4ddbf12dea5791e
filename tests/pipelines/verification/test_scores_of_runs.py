"""Scoring the forecasts of a run from their file finds the figures that the run's own judge found."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import xarray as xr

from datamodules.gridded.clock import to_datetimes
from pipelines.forecasts.kept import kept_model
from pipelines.forecasts.model import build_module, domain_of
from pipelines.forecasts.netcdf_file import write_forecast
from pipelines.forecasts.system import ForecastSystem
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.weights import load_weights
from tests.pipelines.small_files import answer, result, steps_of, words, write_maps


class Written(NamedTuple):
    """A run, its maps, and a file of the forecasts of all its test windows with their climatology."""

    run: RunDir
    maps: Path
    forecast: Path
    climatology: Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run whose forecasts have a spread."""
    folder = tmp_path_factory.mktemp("scored")
    write_maps(folder / "air.nc", steps_of(240), ("air", "skin"))
    call = words(folder, "task.loss=crps", "trainer.max_epochs=1")
    run = RunDir(Path(result("train", *call)["run"]))
    settings = Settings.model_validate(run.read_config())
    store, fitted = kept_model(run)
    system = ForecastSystem.open(settings)
    module = build_module(settings, domain_of(store, settings.forecast.horizon), fitted)
    load_weights(module, run.best)
    windows = system.data.windows(settings.forecast, 1, 0, 0).dataset("test")
    with torch.inference_mode():
        found = [module.eval().model(windows[place]) for place in range(len(windows))]
    times = system.data.store.time
    issued = np.array([times[start + settings.forecast.history - 1] for start in windows.starts])
    write_forecast(
        folder / "forecast.nc",
        forecast=np.concatenate([one.maps.numpy() for one in found]),
        spread=np.concatenate([one.spread.numpy() for one in found if one.spread is not None]),
        reference_times=issued,
        channels=store.channels,
        grid=store.grid,
        step=store.step,
        calendar=store.calendar,
        history="made by a test",
        run_id="",
        title="forecasts of all test windows",
    )
    usual = np.einsum("tb,bcyx->tcyx", fitted.basis(times), fitted.coefficients)
    grid = {"lat": ("lat", store.grid.lat, {"units": "degrees_north"})}
    grid["lon"] = ("lon", store.grid.lon, {"units": "degrees_east"})
    channels = {
        one.name: (("time", "lat", "lon"), usual[:, place], {"units": one.units})
        for place, one in enumerate(store.channels)
    }
    dated = xr.Dataset(channels, {"time": to_datetimes(times, store.calendar).astype("M8[ns]"), **grid})
    dated.to_netcdf(folder / "climatology.nc")
    return Written(run, folder / "air.nc", folder / "forecast.nc", folder / "climatology.nc")


def test_every_figure_of_the_runs_own_judge_is_found_again(written: Written) -> None:
    found = result(
        "score",
        f"forecast={written.forecast}",
        f"truth={written.maps}",
        f"climatology={written.climatology}",
    )["metrics"]
    judged = json.loads(written.run.metrics.read_text())
    compared = 0
    for name, value in judged.items():
        who, _, rest = name.partition("/")
        name = rest if who == "test" else name
        if "linear" in name or "damped" in name or not name.split("/")[-1].endswith("h"):
            continue
        assert found[name] == pytest.approx(value, rel=2e-5, abs=2e-5), name
        compared += 1
    metrics = ("rmse", "mae", "bias", "acc", "crps", "skill_persistence", "skill_climatology")
    assert {
        f"{metric}/{name}/{lead}" for metric in metrics for name in ("air", "skin") for lead in ("6h", "12h")
    } <= (set(found))
    assert compared >= 2 * 2 * (5 + 2 + 2 * 3)


def test_one_forecast_of_predict_is_judged_by_what_came_after(written: Written, tmp_path: Path) -> None:
    early = xr.open_dataset(written.maps).isel(time=slice(0, 200))
    early.to_netcdf(tmp_path / "early.nc")
    early.close()
    output = tmp_path / "forecast.nc"
    result("predict", f"run={written.run.path}", f"input={tmp_path}/early.nc", f"output={output}")
    found = result("score", f"forecast={output}", f"truth={written.maps}")
    assert (found["forecasts"], found["leads"]) == (1, ["6h", "12h"])
    assert found["intervals"] == {}
    with xr.open_dataset(output) as maps, xr.open_dataset(written.maps) as truth:
        error = maps["air"].values - truth["air"].sel(time=maps["time"]).values
        share = np.cos(np.deg2rad(maps["lat"].values))[None, :, None]
        rmse = np.sqrt((error**2 * share).sum((1, 2)) / (share.sum() * error.shape[2]))
    assert found["metrics"]["rmse/air/6h"] == pytest.approx(rmse[0], rel=1e-3)
    assert found["metrics"]["rmse/air/12h"] == pytest.approx(rmse[1], rel=1e-3)


def test_forecasts_one_a_file_are_judged_as_those_in_one_file(written: Written, tmp_path: Path) -> None:
    with xr.open_dataset(written.forecast, decode_timedelta=False) as maps:
        for place in range(maps.sizes["forecast_reference_time"]):
            maps.isel(forecast_reference_time=[place]).to_netcdf(tmp_path / f"{place:03d}.nc")
    apart = result("score", f"forecast={tmp_path}", f"truth={written.maps}")
    together = result("score", f"forecast={written.forecast}", f"truth={written.maps}")
    for name, value in together["metrics"].items():
        assert apart["metrics"][name] == pytest.approx(value), name
    assert apart["intervals"] == together["intervals"]
    shutil.copy(tmp_path / "000.nc", tmp_path / "again.nc")
    status, _, said = answer("score", f"forecast={tmp_path}", f"truth={written.maps}")
    assert status == 2
    assert "comes twice" in said
