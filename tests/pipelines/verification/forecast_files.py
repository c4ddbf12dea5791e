"""A truth and forecasts of it with known errors, written as different centres write them."""

from pathlib import Path

import numpy as np
import xarray as xr

from tests.pipelines.small_files import steps_of, write_maps

LEADS = 4
FIRST = np.datetime64("2001-01-01T00", "ns")
SIX = np.timedelta64(6, "h")


def write_truth(folder: Path, steps: int = 160) -> Path:
    """Six-hourly `air` on 8 x 12 cells, north first, longitudes 200 to 255."""
    return write_maps(folder / "truth.nc", steps_of(steps))


def plain_forecast(truth: Path, references: int = 20, leads: int = LEADS) -> xr.Dataset:
    """Forecasts issued every 12 hours: `air` (init, lead, lat, lon), the truth and an error that grows.

    `init` are dates, `lead` hours from 6 on.
    """
    with xr.open_dataset(truth) as maps:
        air = maps["air"].load()
    rng = np.random.default_rng(0)
    init = air.time.values[4 : 4 + 2 * references : 2]
    hours = 6 * np.arange(1, leads + 1)
    fields = np.stack(
        [
            np.stack(
                [
                    air.sel(time=one + np.timedelta64(int(hour), "h")).values
                    + hour / 12 * (0.3 + rng.normal(size=air.shape[1:]))
                    for hour in hours
                ]
            )
            for one in init
        ]
    ).astype(np.float32)
    return xr.Dataset(
        {"air": (("init", "lead", "lat", "lon"), fields, {"units": "K"})},
        {
            "init": init,
            "lead": ("lead", hours.astype(np.float64), {"units": "hours"}),
            "lat": ("lat", air.lat.values, {"units": "degrees_north"}),
            "lon": ("lon", air.lon.values, {"units": "degrees_east"}),
        },
    )


def expected_rmse(truth: Path, forecast: xr.Dataset) -> np.ndarray:
    """The area-weighted error by lead, reckoned apart from the code under test."""
    with xr.open_dataset(truth) as maps:
        air = maps["air"].load()
    lat = air.lat.values
    half = (lat[0] - lat[1]) / 2
    area = np.sin(np.deg2rad(lat + half)) - np.sin(np.deg2rad(lat - half))
    squares = []
    for lead, hour in enumerate(forecast["lead"].values):
        when = forecast["init"].values + np.timedelta64(int(hour), "h")
        error = forecast["air"].values[:, lead].astype(float) - air.sel(time=when).values
        squares.append(
            (error**2 * area[None, :, None]).sum() / (area.sum() * error.shape[0] * error.shape[2])
        )
    return np.sqrt(squares)
