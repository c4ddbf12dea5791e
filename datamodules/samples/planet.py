"""The planet of the sample weather: its land, its seasons and days, and an index that heats it a day later.

Only two things are drawn by chance: the first eddies and the heating index. All else follows from the
equations in `quasigeostrophic`, so what a forecast can know is known: the flow is chaotic but has no noise,
and the index acts on the air LAG_HOURS after it is published, so it tells what no map shows yet.
"""

from collections.abc import Iterator

import numpy as np

from datamodules.samples.quasigeostrophic import (
    DAY,
    Atmosphere,
    Channel,
    Forcing,
    Physics,
    Real,
    State,
    Waves,
)

STEP_HOURS = 6
SUBSTEPS = 3  # of 2 h: with winds of 80 m/s still inside the stable region of Runge-Kutta 4
LAG_HOURS = 24  # the index of now heats the air from 24 h on
INDEX_MEMORY_DAYS = 1.0
INDEX_HEATING = 6.0  # K a day where the pattern is 1 and the index is 1
SPIN_UP_DAYS = 60

MEAN_SHEAR = 36.0  # m/s, the jet that the sun asks for, halfway between the seasons
SHEAR_SEASON = 0.3  # the share by which it is stronger in mid-January
COLDEST_DAY = 15.0


def land_and_orography(lat: Real, lon: Real) -> tuple[Real, Real]:
    """Land fraction in [0, 1] and height of the ground in metres, both (lat, lon); zero at the walls."""
    east, north = np.meshgrid(lon, lat)

    def hill(at_lat: float, at_lon: float, lat_width: float, lon_width: float) -> Real:
        around = (east - at_lon + 180.0) % 360.0 - 180.0
        return np.exp(-(((north - at_lat) / lat_width) ** 2) - (around / lon_width) ** 2)

    rises = hill(48, 95, 13, 36) + hill(33, 60, 9, 22) + hill(47, 262, 14, 20) + 0.9 * hill(60, 10, 8, 14)
    coast = 0.12 * np.sin(np.deg2rad(5 * east) + north / 6.0)
    fraction = 1.0 / (1.0 + np.exp(-(rises + coast - 0.3) / 0.07))
    ground = 2200 * hill(36, 88, 11, 22) + 1800 * hill(45, 250, 14, 11) + 1000 * hill(62, 12, 9, 10)
    to_walls = (north - lat[0]) * (lat[-1] - north) / (0.5 * (lat[-1] - lat[0])) ** 2
    return fraction, ground * np.sqrt(np.clip(to_walls, 0.0, None))


def heating_index(steps: int, rng: np.random.Generator) -> Real:
    """A standardised first-order autoregressive series (steps,) with a memory of INDEX_MEMORY_DAYS."""
    kept = np.exp(-STEP_HOURS / (24.0 * INDEX_MEMORY_DAYS))
    shocks = rng.standard_normal(steps)
    index = np.empty(steps)
    index[0] = shocks[0]
    for step in range(1, steps):
        index[step] = kept * index[step - 1] + np.sqrt(1 - kept**2) * shocks[step]
    return index


class Planet:
    """An atmosphere with its land, its seasons and days, and its heating index.

    Hours count from 2001-01-01 00:00 UTC; `index[i]` belongs to hour STEP_HOURS * i - 24 * SPIN_UP_DAYS.
    """

    def __init__(self, days: int, seed: int, rows: int = 24, columns: int = 48) -> None:
        spacing = 60.0 / rows
        self.lat: Real = np.asarray(15.0 + spacing * (np.arange(rows) + 0.5), np.float64)
        self.lon: Real = np.asarray(np.arange(columns) * (360.0 / columns), np.float64)
        self.land_fraction, self.orography = land_and_orography(self.lat, self.lon)
        self.physics = Physics()
        self.channel = Channel(self.lat, self.lon)
        self.atmosphere = Atmosphere(self.channel, self.orography, self.physics)
        self._rng = np.random.default_rng([seed, 1])
        steps = (SPIN_UP_DAYS + days) * (24 // STEP_HOURS) + 1
        self.index = heating_index(steps, np.random.default_rng([seed, 2]))
        self._index_hours = STEP_HOURS * np.arange(steps) - 24.0 * SPIN_UP_DAYS
        self._prepare_forcing()

    @property
    def land(self) -> Real:
        """1 over land, 0 over sea, (lat, lon)."""
        return (self.land_fraction > 0.5).astype(np.float64)

    def _prepare_forcing(self) -> None:
        seconds = self.physics.surface_days * DAY
        polar = ((self.lat - 15.0) / 60.0)[:, None] + 0 * self.lon
        mean = 297.0 - 26.0 * polar - 2.0 * self.land_fraction
        season = 3.0 + 5.0 * polar + 6.0 * self.land_fraction  # K, half of summer less winter
        noon = np.deg2rad(self.lon) - 2 * np.pi * 15.0 / 24.0  # warmest at 15 h local solar time
        daily = (0.8 + 4.0 * self.land_fraction) * (2 * np.pi / DAY)
        self.index_pattern = np.cos(2 * np.deg2rad(self.lon) - 0.6) * np.sin(np.pi * polar)
        shear = MEAN_SHEAR / np.cosh((self.lat - 43.0) / 10.0) ** 2
        self._jet = self.atmosphere.thermal_wind(shear)
        self._mean, self._season = self._waves(mean / seconds), self._waves(season / seconds)
        self._day_sine = self._waves(-daily * np.cos(noon))
        self._day_cosine = self._waves(-daily * np.sin(noon))
        self._index_heating = self._waves(INDEX_HEATING / DAY * self.index_pattern)

    def _waves(self, values: Real) -> Waves:
        return self.channel.to_waves(values, self.channel.to_cosines)

    def forcing(self, hours: float) -> Forcing:
        """What drives the atmosphere `hours` after 2001-01-01 00:00 UTC."""
        winter = np.cos(2 * np.pi * (hours / 24.0 - COLDEST_DAY) / 365.25)
        hour_angle = 2 * np.pi * hours / 24.0
        index = np.interp(hours - LAG_HOURS, self._index_hours, self.index)
        heating = self._mean - winter * self._season + index * self._index_heating
        heating = heating + np.sin(hour_angle) * self._day_sine + np.cos(hour_angle) * self._day_cosine
        return Forcing((1.0 + SHEAR_SEASON * winter) * self._jet, heating)

    def first_state(self) -> State:
        """The jet with small random eddies, SPIN_UP_DAYS before the first hour."""
        state = self.atmosphere.at_rest(self._jet)
        eddies = np.zeros_like(state.vorticity)
        size = (2, 8, 8)
        eddies[:, 1:9, 1:9] = 1e-6 * (self._rng.standard_normal(size) + 1j * self._rng.standard_normal(size))
        return State(state.vorticity + eddies, self._mean * (self.physics.surface_days * DAY))

    def run(self, state: State, hours: float) -> Iterator[State]:
        """The states STEP_HOURS, twice STEP_HOURS, ... after `hours`, without end."""
        substep = STEP_HOURS / SUBSTEPS
        now = self.forcing(hours)
        while True:
            for _ in range(SUBSTEPS):
                middle, then = self.forcing(hours + substep / 2), self.forcing(hours + substep)
                state = self.atmosphere.advance(state, (now, middle, then), substep * 3600.0)
                hours, now = hours + substep, then
            yield state

    def settled_state(self) -> State:
        """The state at hour 0, after SPIN_UP_DAYS of weather."""
        weather = self.run(self.first_state(), -24.0 * SPIN_UP_DAYS)
        for _ in range(SPIN_UP_DAYS * (24 // STEP_HOURS) - 1):
            next(weather)
        return next(weather)
