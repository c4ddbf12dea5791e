"""predict: a forecast from the newest maps, as the source has its grid; anything else is refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pipelines.forecasts.data import open_data
from pipelines.forecasts.kept import kept_model
from pipelines.forecasts.model import build_module, domain_of
from pipelines.settings import Settings
from pipelines.weights import load_weights
from tests.pipelines.conftest import Trained
from tests.pipelines.small_files import answer, result

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture
def newest(trained: Trained, tmp_path: Path) -> Path:
    """The maps up to the 290th, within the test split, with steps after it to forecast."""
    with xr.open_dataset(trained.maps) as data:
        data.isel(time=slice(280, 290)).to_netcdf(tmp_path / "newest.nc")
    return tmp_path / "newest.nc"


def forecast(trained: Trained, source: Path) -> xr.Dataset:
    """The forecast made from `source`, read back."""
    output = source.with_name(f"forecast_{source.name}")
    found = result("predict", f"run={trained.run.path}", f"input={source}", f"output={output}")
    assert (found["output"], found["leads"]) == (str(output), 2)
    with xr.open_dataset(output) as data:
        return data.load()


def changed(source: Path, change: object) -> Path:
    """A file beside `source` with what `change` makes of it."""
    path = source.with_name("changed.nc")
    with xr.open_dataset(source) as data:
        change(data.load()).to_netcdf(path)  # type: ignore[operator]
    return path


def test_the_file_names_its_times_units_and_origin(trained: Trained, newest: Path) -> None:
    found = forecast(trained, newest)
    with xr.open_dataset(newest) as data:
        assert found["forecast_reference_time"].values == data["time"].values[-1]
        for axis in ("lat", "lon"):
            np.testing.assert_array_equal(found[axis], data[axis])
    assert found["forecast_period"].values.tolist() == [6.0, 12.0]
    assert found["forecast_period"].attrs["units"] == "hours"
    assert found["air"].dims[-2:] == ("lat", "lon")
    assert (found["air"].attrs["units"], found["air"].attrs["standard_name"]) == ("K", "air_temperature")
    assert found["lat"].attrs["units"] == "degrees_north"
    assert found.attrs["mlflow_run_id"] == trained.result["mlflow_run_id"]
    assert "skyreel predict" in found.attrs["history"]
    assert found.attrs["Conventions"].startswith("CF-1.")
    assert np.isfinite(found["air"]).all()


def test_it_is_the_models_own_forecast_for_that_window(trained: Trained, newest: Path) -> None:
    run = trained.run
    settings = Settings.model_validate(run.read_config())
    data = open_data(settings.data, Path(settings.paths.stores), settings.task)
    module = build_module(settings, domain_of(data.store, settings.task.horizon), kept_model(run)[1])
    load_weights(module, run.best)
    windows = data.windows(settings.task, 1, 0, 0).dataset("test")
    position = int(np.flatnonzero(windows.starts == 290 - settings.task.history)[0])
    with torch.inference_mode():
        expected = module.model(windows[position]).maps[0, :, 0].numpy()
    np.testing.assert_allclose(np.squeeze(forecast(trained, newest)["air"].values), expected, rtol=1e-6)


def test_the_order_and_convention_of_the_file_are_kept(trained: Trained, newest: Path) -> None:
    expected = forecast(trained, newest)

    def other(data: xr.Dataset) -> xr.Dataset:
        attributes = data["lon"].attrs
        moved = data.isel(lat=slice(None, None, -1)).assign_coords(lon=data["lon"] - 360)
        moved["lon"].attrs = attributes
        return moved

    found = forecast(trained, changed(newest, other))
    np.testing.assert_array_equal(found["lat"], expected["lat"][::-1])
    np.testing.assert_array_equal(found["lon"], expected["lon"] - 360)
    np.testing.assert_allclose(found["air"].values[..., ::-1, :], expected["air"].values, rtol=1e-6)


def test_without_files_the_runs_own_data_are_read(trained: Trained, tmp_path: Path) -> None:
    output = tmp_path / "own.nc"
    result("predict", f"run={trained.run.path}", f"output={output}")
    with xr.open_dataset(output) as found, xr.open_dataset(trained.maps) as data:
        assert found["forecast_reference_time"].values == data["time"].values[-1]


REFUSED = {
    "grid": (lambda data: data.isel(lat=slice(1, None)), "7 x 12 cells"),
    "variable": (lambda data: data.rename(air="rain"), "air"),
    "units": (lambda data: data.assign(air=data["air"].assign_attrs(units="degC")), "convert"),
    "short": (lambda data: data.isel(time=slice(-2, None)), "no 3 in a row"),
    "gap": (lambda data: data.isel(time=[0, 1, 4, 5, 8, 9]), "no 3 in a row"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_maps_that_do_not_fit_the_model_are_refused(trained: Trained, newest: Path, what: str) -> None:
    change, told = REFUSED[what]
    source, output = changed(newest, change), newest.with_name("never.nc")
    status, _, said = answer("predict", f"run={trained.run.path}", f"input={source}", f"output={output}")
    assert (status, told in said, str(source) in said) == (2, True, True), said
    assert not output.exists()


def test_files_and_folders_that_are_not_there_are_refused(trained: Trained, newest: Path) -> None:
    for words in (["input=/nowhere/maps.nc"], [f"input={newest}", "output=/nowhere/forecast.nc"]):
        status, _, said = answer("predict", f"run={trained.run.path}", *words)
        assert (status, "/nowhere" in said) == (2, True), said


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_checkpoint_never_runs(trained: Trained, newest: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    torch.save({"state_dict": Malicious(mark)}, tmp_path / "zip.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Malicious(mark), protocol=2))
    for name in ("zip.ckpt", "plain.ckpt"):
        words = (f"run={trained.run.path}", f"input={newest}", f"checkpoint={tmp_path / name}")
        status, _, said = answer("predict", *words, f"output={tmp_path / 'never.nc'}")
        assert (status, "code in a checkpoint is never run" in said) == (2, True), said
    assert not mark.exists()


def test_a_cut_checkpoint_is_refused(trained: Trained, newest: Path, tmp_path: Path) -> None:
    whole = trained.run.best.read_bytes()
    for share in (0, 0.5, 0.99):
        (tmp_path / "cut.ckpt").write_bytes(whole[: int(len(whole) * share)])
        words = (f"run={trained.run.path}", f"input={newest}", f"checkpoint={tmp_path / 'cut.ckpt'}")
        status, _, said = answer("predict", *words, f"output={tmp_path / 'never.nc'}")
        assert (status, "cut" in said) == (2, True), said
