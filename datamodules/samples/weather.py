"""The sample weather: files of a small planet whose weather obeys equations, made in seconds.

Height of the 500 hPa surface `z` (m) everywhere and near-surface temperature `air` (K) over the sea, every
6 hours on 24 x 48 cells (16-74 N, all longitudes), with `land_mask`, `orography` and a station file.

What is predictable, measured on the default sample (913 days, seed 0), last 15 % of the steps, RMSE weighted
by cell area, `air` over the sea; "ridge" is linear in 40 principal components of each variable at 4 steps:

    lead              6 h     24 h    48 h    72 h   120 h
    z, persistence    23.5    82.0   128.9   154.9   179.5    m; climatology (year and day) 146.3
    z, ridge          23.8    43.3    79.3   107.0
    air, persistence  1.71    4.17    5.99    6.82    7.81    K; climatology (year and day) 6.18
    air, ridge        2.39    3.45    5.28    6.39
    air, ridge with the heating index: 2.38, 2.96, 4.30, 5.76: 14 % better at 24 h, 19 % at 48 h

A perfect model does far better than these: of two atmospheres that differ by 1.3 m in z after a day (8 pairs
of forecasts between January and June, equal index), the difference doubles in 2 to 4 days: 2.8 m after 5
days, 10 m after 10, 31 m after 15, 80 m after 20 and 111 m after 25. The limit is chaos, not noise.
The index is known up to now and acts 24 h later: `air` to +24 h can be known in full, `z` does not feel it.
"""

import csv
import json
import logging
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from datamodules.errors import InputError
from datamodules.locking import alone
from datamodules.samples.planet import LAG_HOURS, SPIN_UP_DAYS, STEP_HOURS, Planet

log = logging.getLogger(__name__)

STATIONS = "stations.csv"
STATION_UNITS = {"heating_index": "1", "island_air": "K", "inland_air": "K"}
ISLAND, INLAND = (38.75, 187.5), (51.25, 67.5)  # latitude, longitude of the two stations

_MANIFEST = "sample_weather.json"
_VERSION = 1  # a change of the equations or of the files' form makes old folders stale
_FIRST = np.datetime64("2001-01-01T00:00:00", "s")
_FILL = np.float32(9.96921e36)
_MEAN_HEIGHT = 5500.0  # m


def make_sample_weather(
    folder: Path,
    *,
    days: int = 913,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """The sample's NetCDF files, one a year, in order; made unless `folder` holds them already.

    Of several processes that ask at once one makes them and the others wait. Beside them lies `stations.csv`:
    time, heating_index, island_air, inland_air (units: STATION_UNITS).

    days: length of the sample; a season needs two years or more. seed: which weather.
    progress: called with (days done, days in all).
    InputError when days is not positive or seed is negative.
    """
    if days < 1 or seed < 0:
        raise InputError(
            f"data.sample: days={days}, seed={seed}: days must be 1 or more (913 is the default) "
            "and seed 0 or more"
        )
    options = {"version": _VERSION, "days": days, "seed": seed}
    if found := _whole(folder, options):
        return found
    with alone(folder / f".{_MANIFEST}.lock", f"makes the sample weather in {folder}", "data.path"):
        return _whole(folder, options) or _make(folder, options, progress)


def _whole(folder: Path, options: dict[str, int]) -> list[Path]:
    """The NetCDF files in `folder`, where it holds the whole sample of these options; else nothing."""
    earlier = _read_manifest(folder / _MANIFEST)
    if earlier.get("options") != options or not all((folder / name).is_file() for name in earlier["files"]):
        return []
    return [folder / name for name in earlier["files"] if name != STATIONS]


def _make(folder: Path, options: dict[str, int], progress: Callable[[int, int], None] | None) -> list[Path]:
    """The sample's files made anew, those of other options taken away; the manifest comes last."""
    manifest = folder / _MANIFEST
    earlier = _read_manifest(manifest)
    manifest.unlink(missing_ok=True)
    for name in earlier.get("files", []):
        (folder / Path(name).name).unlink(missing_ok=True)
    days, seed = options["days"], options["seed"]
    planet = Planet(days, seed)
    time, height, air = simulate(planet, days, progress)
    paths = _write_years(folder, planet, time, height, air, f"days={days} seed={seed}")
    _write_stations(folder / STATIONS, time, station_series(planet, air, seed))
    names = [path.name for path in paths] + [STATIONS]
    _publish(manifest, lambda part: part.write_text(json.dumps({"options": options, "files": names})))
    log.info("made %d days of sample weather in %s", days, folder)
    return paths


def simulate(
    planet: Planet, days: int, progress: Callable[[int, int], None] | None = None
) -> tuple[NDArray[np.datetime64], NDArray[np.float32], NDArray[np.float32]]:
    """Time (time,), height in m and air temperature in K, both (time, lat, lon), land included."""
    steps_a_day = 24 // STEP_HOURS
    steps = days * steps_a_day
    time = _FIRST + np.arange(steps) * np.timedelta64(STEP_HOURS * 3600, "s")
    height = np.empty((steps, len(planet.lat), len(planet.lon)), np.float32)
    air = np.empty_like(height)
    state = planet.settled_state()
    atmosphere = planet.atmosphere
    for step, later in enumerate(islice(planet.run(state, 0.0), steps)):
        height[step] = _MEAN_HEIGHT + atmosphere.height(state)
        air[step] = atmosphere.surface_air(state)
        state = later
        if progress is not None and (step + 1) % steps_a_day == 0:
            progress((step + 1) // steps_a_day, days)
    return time, height, air


def station_series(planet: Planet, air: NDArray[np.float32], seed: int) -> dict[str, NDArray[np.float64]]:
    """The columns of the station file, (time,) each, NaN where a station is silent.

    heating_index: drives the heating LAG_HOURS later, never silent. island_air, inland_air: the air of the
    nearest cell (inland: one that the maps leave out) with a local offset, 0.3 K of instrument noise, 3 %
    of readings lost and an outage of ten days.
    """
    rng = np.random.default_rng([seed, 3])
    steps = len(air)
    first = SPIN_UP_DAYS * 24 // STEP_HOURS
    columns = {"heating_index": planet.index[first : first + steps].copy()}
    for name, (lat, lon), offset in (("island_air", ISLAND, 0.8), ("inland_air", INLAND, -1.5)):
        row, column = int(np.abs(planet.lat - lat).argmin()), int(np.abs(planet.lon - lon).argmin())
        values = air[:, row, column] + offset + 0.3 * rng.standard_normal(steps)
        values[rng.random(steps) < 0.03] = np.nan
        outage = int(rng.integers(0, max(1, steps - 40)))
        if steps > 400:
            values[outage : outage + 40] = np.nan
        columns[name] = values
    return columns


def _write_years(
    folder: Path,
    planet: Planet,
    time: NDArray[np.datetime64],
    height: NDArray[np.float32],
    air: NDArray[np.float32],
    options: str,
) -> list[Path]:
    sea = (planet.land == 0)[None]
    years = time.astype("datetime64[Y]").astype(int) + 1970
    paths = []
    for year in np.unique(years):
        chosen = years == year
        dataset = _dataset(planet, time[chosen], height[chosen], np.where(sea, air[chosen], np.nan), options)
        encoding: dict[str, dict[str, Any]] = {
            name: {"dtype": "float32", "_FillValue": _FILL} for name in ("z", "air")
        }
        encoding |= {name: {"_FillValue": None} for name in ("lat", "lon", "land_mask", "orography")}
        encoding["time"] = {
            "units": "hours since 2001-01-01 00:00:00",
            "calendar": "standard",
            "dtype": "float64",
            "_FillValue": None,
        }
        path = folder / f"sample_weather_{year}.nc"

        def save(part: Path, dataset: xr.Dataset = dataset, encoding: dict[str, Any] = encoding) -> None:
            dataset.to_netcdf(part, engine="netcdf4", format="NETCDF4", encoding=encoding)

        _publish(path, save)
        paths.append(path)
    return paths


def _dataset(
    planet: Planet,
    time: NDArray[np.datetime64],
    height: NDArray[np.float32],
    air: NDArray[np.float32],
    options: str,
) -> xr.Dataset:
    maps, grid = ("time", "lat", "lon"), ("lat", "lon")
    height_names = {"standard_name": "geopotential_height", "long_name": "Height of the 500 hPa surface"}
    air_names = {"standard_name": "air_temperature", "long_name": "Air temperature over the sea"}
    land_names = {"standard_name": "land_binary_mask", "long_name": "1 over land, 0 over sea"}
    ground_names = {"standard_name": "surface_altitude", "long_name": "Height of the ground"}
    return xr.Dataset(
        {
            "z": (maps, height, {**height_names, "units": "m"}),
            "air": (maps, air, {**air_names, "units": "K"}),
            "land_mask": (grid, planet.land.astype(np.float32), {**land_names, "units": "1"}),
            "orography": (grid, planet.orography.astype(np.float32), {**ground_names, "units": "m"}),
        },
        coords={
            "time": ("time", time, {"standard_name": "time", "long_name": "Time", "axis": "T"}),
            "lat": ("lat", planet.lat, _axis("latitude", "degrees_north", "Y")),
            "lon": ("lon", planet.lon, _axis("longitude", "degrees_east", "X")),
        },
        attrs={
            "Conventions": "CF-1.8",
            "title": "Sample weather of a small planet",
            "institution": "made by skyreel",
            "source": "two-layer quasi-geostrophic channel with seasons, days, orography and an index",
            "history": f"make_sample_weather {options}",
            "comment": f"The heating_index of {STATIONS} heats the air {LAG_HOURS} hours later.",
        },
    )


def _axis(name: str, units: str, letter: str) -> dict[str, str]:
    return {"standard_name": name, "long_name": name.capitalize(), "units": units, "axis": letter}


def _write_stations(
    path: Path, time: NDArray[np.datetime64], columns: dict[str, NDArray[np.float64]]
) -> None:
    def save(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["time", *columns])
            for step, moment in enumerate(time):
                values = [column[step] for column in columns.values()]
                rows.writerow([str(moment), *("" if np.isnan(value) else f"{value:.4f}" for value in values)])

    _publish(path, save)


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError:
        log.warning("%s cannot be read: the sample is made again", path)
        return {}
    return found


def _publish(path: Path, save: Callable[[Path], object]) -> None:
    """Write beside the place and rename, so that no reader sees half a file."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    save(part)
    part.replace(path)
