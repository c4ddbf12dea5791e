"""The sun stands where it should."""

import math

import numpy as np
import pytest
import torch

from lightning_modules.forcings import Forcings, static_maps, sun_now, sun_of_day

LAT, LON = np.meshgrid(np.linspace(90, -90, 19), np.arange(0, 360, 10.0), indexing="ij")
RADIANS = torch.tensor(np.deg2rad(LAT)), torch.tensor(np.deg2rad(LON))


def test_at_noon_utc_in_june_the_sun_is_over_greenwich_in_the_north() -> None:
    sun = sun_now(*RADIANS, torch.tensor(0.5), torch.tensor(172 / 365.25))
    row, column = divmod(int(sun.argmax()), sun.shape[1])
    assert LON[row, column] == 0
    assert LAT[row, column] == 20


def test_there_is_a_polar_night_and_a_polar_day() -> None:
    december = torch.tensor(355 / 365.25)
    daily = sun_of_day(RADIANS[0], december)
    assert float(daily[0].max()) < 1e-9
    assert float(daily[-1].min()) > 0.3


@pytest.mark.parametrize("year", [0.1, 0.35, 0.6, 0.9])
def test_the_mean_of_a_day_is_the_mean_of_its_moments(year: float) -> None:
    moments = torch.arange(0, 1, 1 / 240, dtype=torch.float64)
    mean = sun_now(*RADIANS, moments, torch.full_like(moments, year)).mean(0)
    inside = slice(1, -1)
    torch.testing.assert_close(
        mean[inside],
        sun_of_day(RADIANS[0], torch.tensor(year, dtype=torch.float64))[inside],
        rtol=2e-3,
        atol=2e-3,
    )


@pytest.mark.parametrize(("hours", "channels"), [(6.0, 5), (24.0, 3), (730.5, 3)])
def test_the_hour_is_a_forcing_only_below_a_day(hours: float, channels: int) -> None:
    found = Forcings(LAT, LON, hours)(torch.rand(2, 5, 2))
    assert found.shape == (2, 5, channels, *LAT.shape)
    assert float(found.abs().max()) <= 1 + 1e-6


def test_static_maps_are_of_the_order_of_one() -> None:
    seen = np.ones((2, *LAT.shape), bool)
    seen[1, :3] = False
    found = static_maps(
        LAT, LON, seen, {"orography": 1000 * np.abs(np.sin(LON)), "land_mask": (LON > 100) * 1.0}
    )
    assert found.shape[0] == 3 + 1 + 2
    assert np.abs(found).max() < 10
    assert math.isclose(float(found[3].mean()), 16 / 19, rel_tol=1e-5)
