"""The sample weather is reproducible, well described, chaotic, and its index tells what no map shows."""

import csv
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from datamodules.errors import InputError
from datamodules.samples.planet import Planet
from datamodules.samples.quasigeostrophic import State
from datamodules.samples.weather import STATION_UNITS, STATIONS, make_sample_weather

DAYS = 200


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_sample_weather(tmp_path_factory.mktemp("sample"), days=DAYS, seed=0)


@pytest.fixture(scope="module")
def maps(sample: list[Path]) -> xr.Dataset:
    return xr.open_dataset(sample[0]).load()


def read_stations(path: Path) -> dict[str, list[str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.nanmean(values**2)))


def test_files_follow_the_conventions_and_go_around_the_globe(maps: xr.Dataset) -> None:
    assert maps.z.dims == maps.air.dims == ("time", "lat", "lon")
    assert (maps.z.units, maps.air.units) == ("m", "K")
    assert maps.air.standard_name == "air_temperature"
    assert maps.time.encoding["calendar"] == "standard"
    assert set(np.diff(maps.time.values)) == {np.timedelta64(6, "h")}
    assert maps.sizes == {"time": 4 * DAYS, "lat": 24, "lon": 48}
    assert float(maps.lon[-1] + maps.lon[1] - maps.lon[0]) == 360.0


def test_only_air_over_land_is_missing(maps: xr.Dataset) -> None:
    assert not maps.z.isnull().any()
    land = maps.land_mask.values == 1
    assert 0.1 < land.mean() < 0.4
    assert np.array_equal(np.isnan(maps.air.values), np.broadcast_to(land, maps.air.shape))


def test_the_weather_keeps_to_what_an_atmosphere_does(maps: xr.Dataset) -> None:
    assert 4500 < float(maps.z.min()) < float(maps.z.max()) < 6500
    assert 230 < float(maps.air.min()) < float(maps.air.max()) < 330
    south, north = maps.air.isel(lat=slice(0, 6)).mean(), maps.air.isel(lat=slice(-6, None)).mean()
    assert 10 < float(south - north) < 50
    change = maps.z.diff("time").values
    assert 5 < rms(change) < rms(maps.z.values - maps.z.mean("time").values) / 2


def test_summer_is_warmer_and_so_is_the_afternoon_inland(sample: list[Path], maps: xr.Dataset) -> None:
    months = maps.air.groupby("time.month").mean()
    assert float(months.sel(month=7).mean() - months.sel(month=1).mean()) > 4
    inland = read_stations(sample[0].parent / STATIONS)["inland_air"]
    air = np.array([float(text or "nan") for text in inland]).reshape(DAYS, 4)
    by_hour = np.nanmean(air, axis=0)  # at 67.5 E the afternoon is at 12 UTC, the night's end at 0 UTC
    assert by_hour[2] - by_hour[0] > 4


def test_the_same_seed_gives_the_same_values_and_another_does_not(tmp_path: Path) -> None:
    def values(name: str, seed: int) -> tuple[bytes, bytes, str]:
        [path] = make_sample_weather(tmp_path / name, days=2, seed=seed)
        with xr.open_dataset(path) as data:
            return data.z.values.tobytes(), data.air.values.tobytes(), (path.parent / STATIONS).read_text()

    first = values("a", 5)
    assert first == values("b", 5)
    assert all(one != other for one, other in zip(first, values("c", 6), strict=True))


def test_a_whole_set_is_used_again_and_another_or_a_torn_one_is_made_anew(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def make(days: int) -> list[Path]:
        told.clear()
        return make_sample_weather(tmp_path, days=days, seed=0, progress=lambda *at: told.append(at))

    [path] = make(3)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert make(3) == [path]
    assert told == []
    path.unlink()
    make(3)
    assert len(told) == 3
    make(2)
    assert len(told) == 2
    with xr.open_dataset(path) as data:
        assert data.sizes["time"] == 8
    names = json.loads((tmp_path / "sample_weather.json").read_text())["files"]
    assert sorted(each.name for each in tmp_path.glob("[!.]*")) == sorted([*names, "sample_weather.json"])


@pytest.mark.parametrize("options", [{"days": 0, "seed": 0}, {"days": 3, "seed": -1}])
def test_impossible_options_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="days must be 1 or more"):
        make_sample_weather(tmp_path, **options)


def test_years_are_cut_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(
        planet: Planet, days: int, progress: Callable[[int, int], None] | None
    ) -> tuple[NDArray[np.datetime64], NDArray[np.float32], NDArray[np.float32]]:
        time = np.datetime64("2001-01-01", "s") + np.arange(days * 4) * np.timedelta64(6, "h")
        flat = np.full((days * 4, 24, 48), 280, np.float32)
        return time, flat, flat

    monkeypatch.setattr("datamodules.samples.weather.simulate", quick)
    paths = make_sample_weather(tmp_path, days=800, seed=0)
    assert [path.name for path in paths] == [f"sample_weather_{year}.nc" for year in (2001, 2002, 2003)]
    steps = []
    for path in paths:
        with xr.open_dataset(path) as data:
            steps.append(data.sizes["time"])
    assert steps == [365 * 4, 365 * 4, 70 * 4]


def test_stations_share_the_clock_and_fall_silent_at_times(sample: list[Path], maps: xr.Dataset) -> None:
    stations = read_stations(sample[0].parent / STATIONS)
    assert list(stations) == ["time", *STATION_UNITS]
    assert np.array_equal(np.array(stations["time"], "datetime64[ns]"), maps.time.values)
    assert "" not in stations["heating_index"]
    for name in ("island_air", "inland_air"):
        assert 0.02 < stations[name].count("") / len(stations[name]) < 0.15


def test_small_differences_grow_until_nothing_is_left_of_the_forecast() -> None:
    planet = Planet(40, seed=0)
    state = planet.settled_state()
    nudge = np.zeros_like(state.vorticity)
    nudge[:, 2:8, 2:8] = 1e-7
    twins = State(np.stack([state.vorticity, state.vorticity + nudge]), np.stack([state.air, state.air]))
    heights = [planet.atmosphere.height(states) for states in islice(planet.run(twins, 0.0), 160)]
    apart = [rms(height[1] - height[0]) for height in heights]
    assert apart[3] < 20
    assert apart[-1] > 60


def test_the_index_lowers_the_error_of_a_linear_forecast_by_a_clear_margin(
    sample: list[Path], maps: xr.Dataset
) -> None:
    ahead, steps = 4, 4 * DAYS  # 24 h
    air = maps.air.values.reshape(steps, -1)
    air = air[:, ~np.isnan(air[0])].astype(np.float64)
    stations = read_stations(sample[0].parent / STATIONS)
    index = np.array(stations["heating_index"], float)
    change = air[ahead:] - air[:-ahead]
    train, test = slice(4, 560), slice(600, steps - ahead)
    _, _, modes = np.linalg.svd(change[train] - change[train].mean(0), full_matrices=False)
    maps_now = (air - air[train].mean(0)) @ modes[:12].T / 10.0
    seen_in_maps = np.concatenate([maps_now, np.roll(maps_now, 2, axis=0), np.ones((steps, 1))], axis=1)
    lagged = np.stack([np.roll(index, back) for back in (0, 2, 4)], axis=1)

    def error(predictors: NDArray[np.float64]) -> float:
        x = predictors[:-ahead]
        normal = x[train].T @ x[train] + np.eye(x.shape[1])
        weights = np.linalg.solve(normal, x[train].T @ change[train])
        return rms(x[test] @ weights - change[test])

    assert error(np.concatenate([seen_in_maps, lagged], axis=1)) < 0.95 * error(seen_in_maps)
