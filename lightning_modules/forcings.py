"""What is known in advance of every step: the hour, the season, the sun; and what never changes."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

TILT = math.radians(23.44)
"""Obliquity of the Earth's axis, radians."""
SOLSTICE = 10 / 365.25
"""From the December solstice to the new year, as a share of the year."""


def declination(year: Tensor) -> Tensor:
    """The sun's declination, radians, when the share `year` of the year has passed (a circular orbit)."""
    return -TILT * torch.cos(2 * math.pi * (year + SOLSTICE))


def sun_now(lat: Tensor, lon: Tensor, day: Tensor, year: Tensor) -> Tensor:
    """Cosine of the sun's zenith angle at the top of the atmosphere, 0 at night.

    lat, lon: radians (lat, lon); day, year: shares that have passed, any shape (...) -> (..., lat, lon).
    sin(lat) sin(d) + cos(lat) cos(d) cos(h), with h the hour angle:
    Hartmann, Global Physical Climatology, eq. 2.15.
    """
    tilt = declination(year)[..., None, None]
    hour = 2 * math.pi * day[..., None, None] + lon - math.pi
    return (lat.sin() * tilt.sin() + lat.cos() * tilt.cos() * hour.cos()).clamp_min(0.0)


def sun_of_day(lat: Tensor, year: Tensor) -> Tensor:
    """The mean of `sun_now` over a day, (..., lat, lon): (H sin(lat) sin(d) + cos(lat) cos(d) sin(H)) / pi.

    H is the hour angle of sunset, cos H = -tan(lat) tan(d): Hartmann, eq. 2.17.
    """
    tilt = declination(year)[..., None, None]
    sunset = torch.acos((-lat.tan() * tilt.tan()).clamp(-1.0, 1.0))
    return (sunset * lat.sin() * tilt.sin() + lat.cos() * tilt.cos() * sunset.sin()) / math.pi


class Forcings(nn.Module):
    """Maps known in advance: the sun, the season and, at steps shorter than a day, the hour.

    lat, lon:   float64 degrees, (lat, lon) each
    step_hours: distance of two steps
    """

    lat: Tensor
    lon: Tensor

    def __init__(self, lat: np.ndarray, lon: np.ndarray, step_hours: float) -> None:
        super().__init__()
        for name, degrees in (("lat", lat), ("lon", lon)):
            radians = torch.tensor(np.deg2rad(degrees), dtype=torch.float32)
            self.register_buffer(name, radians, persistent=False)
        self.daily = step_hours < 24
        self.channels = 5 if self.daily else 3

    def forward(self, clock: Tensor) -> Tensor:
        """(batch, time, 2), shares of the day and of the year -> (batch, time, forcing, lat, lon)."""
        day, year = clock.unbind(-1)
        sun = sun_now(self.lat, self.lon, day, year) if self.daily else sun_of_day(self.lat, year)
        angles = [2 * math.pi * year] + ([2 * math.pi * day] if self.daily else [])
        waves = torch.stack([wave(angle) for angle in angles for wave in (torch.cos, torch.sin)], dim=-1)
        flat = waves[..., None, None].expand(*waves.shape, *self.lat.shape)
        return torch.cat([sun[:, :, None], flat], dim=2)


def static_maps(
    lat: np.ndarray, lon: np.ndarray, seen: np.ndarray, found: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Maps that do not change, float32 (static, lat, lon), of the order of 1.

    Sine of the latitude, cosine and sine of the longitude (degrees, (lat, lon)), for each channel with cells
    that training never saw `seen` (channel, lat, lon), and `found` in the files (land mask, orography, in
    deviations from their mean), in the order of their names.
    """
    maps = [np.sin(np.deg2rad(lat)), np.cos(np.deg2rad(lon)), np.sin(np.deg2rad(lon))]
    maps += [mask.astype(float) for mask in seen if not mask.all()]
    for name in sorted(found):
        values = np.nan_to_num(found[name].astype(np.float64))
        maps.append((values - values.mean()) / (values.std() or 1.0))
    return np.stack(maps).astype(np.float32)
