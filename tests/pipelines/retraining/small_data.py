"""Seasonal maps that arrive month by month, and runs that are ready without training."""

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from pipelines.compose import compose, to_yaml
from pipelines.provenance import note
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.systems import System, open_system
from tests.pipelines.small_files import TINY

SHAPE = (6, 9)
START = np.datetime64("2001-01-01T00:00", "ns")


def maps_of(first: str, last: str, warmer: float = 0.0) -> xr.Dataset:
    """Six-hourly maps of the days `first` to `last`: season, day, and weather that lasts for days; in K."""
    begin, end = (np.datetime64(one, "ns") for one in (first, last))
    time = np.arange(begin, end + np.timedelta64(1, "D"), np.timedelta64(6, "h"))
    hours = ((time - START) / np.timedelta64(1, "h")).astype(int)
    count = hours.max() // 6 + 1
    noise = np.random.default_rng(7).normal(size=(count, *SHAPE))
    weather = np.empty_like(noise)
    weather[0] = noise[0]
    for step in range(1, count):
        weather[step] = 0.9 * weather[step - 1] + 0.44 * noise[step]
    season = 12 * np.cos(2 * np.pi * hours / (24 * 365.25))
    day = 2 * np.cos(2 * np.pi * hours / 24)
    values = 285 + warmer - (season + day)[:, None, None] + 2 * weather[hours // 6]
    lat, lon = np.linspace(60.0, 10.0, SHAPE[0]), np.linspace(200.0, 280.0, SHAPE[1])
    return xr.Dataset(
        {"air": (("time", "lat", "lon"), values.astype(np.float32), {"units": "K"})},
        {
            "time": time,
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


def put(folder: Path, name: str, data: xr.Dataset) -> Path:
    """A file that has arrived, written beside and renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    encoding = {"time": {"units": "hours since 1990-01-01", "dtype": "float64"}}
    data.to_netcdf(folder / f".{name}.part", encoding=encoding)
    return (folder / f".{name}.part").rename(folder / name)


def words(folder: Path, *more: str) -> list[str]:
    """The settings of a tiny run on the files in `folder`/arrived."""
    place = [
        f"data.path={folder}/arrived/*.nc",
        f"paths.runs={folder}/runs",
        f"paths.stores={folder}/stores",
    ]
    return [*TINY, *place, *more]


def settings_of(words_: list[str]) -> Settings:
    """Settings as the verbs see them."""
    return compose(words_).settings


def ready_run(path: Path, words_: list[str]) -> tuple[RunDir, System]:
    """A run directory as training leaves it, with the weights that training begins from, and its system."""
    composed = compose(words_)
    run = RunDir(path)
    for folder in (run.checkpoints, run.plots, run.predictions):
        folder.mkdir(parents=True)
    run.config.write_text(to_yaml(composed.config))
    system = open_system(composed.settings)
    module = system.new_module(run)
    torch.save({"state_dict": module.state_dict()}, run.best)
    note(run, data={"store": system.about()})
    return run, system
