"""A two-layer quasi-geostrophic atmosphere in a beta-plane channel: small, chaotic, and made of physics.

Phillips' model (1954; Vallis 2017, Atmospheric and Oceanic Fluid Dynamics, section 5.3) is the smallest one
with weather in it: sunshine keeps a sheared jet unstable, waves grow on it, break and carry heat poleward.
One layer does not do: a relaxed barotropic jet settles into steady waves and has nothing to forecast.
With psi the stream function, upper layer 1, lower layer 2, background winds U_i, F = 1 / (2 Ld^2):

    q_1 = laplacian(psi_1) - F (psi_1 - psi_2)        q_2 = laplacian(psi_2) + F (psi_1 - psi_2)
    dq_i/dt = -(U_i + u_i) d(q_i + eta_i)/dx - v_i d(q_i + eta_i)/dy - (beta +- F (U_1 - U_2)) v_i
              +- F (psi_1 - psi_2 - Delta) / tau - delta_i2 r laplacian(psi_2) - diffusion

Delta is the thermal wind that the season asks for, eta_2 = f0 h / H the orography under the lower layer.
The lower layer carries the temperature T of the air near the surface, which exchanges heat with the column
above (hydrostatic thickness temperature theta) and with the surface (heating: season, hour, index):

    dT/dt = -(U_2 + u_2) dT/dx - v_2 dT/dy - (T - theta') / tau_T + heating - diffusion

The channel is periodic in longitude and has walls in the south and north, where v = 0. Fields are Fourier
series in longitude times sines (psi, q) or cosines (T) in latitude, products are taken on the grid and cut
at two thirds of its waves (Orszag 1971), and time goes by Runge-Kutta of order 4.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Waves = NDArray[np.complex128]

DAY = 86400.0
EARTH_RADIUS = 6.371e6
GRAVITY = 9.80665
GAS_CONSTANT = 287.05
_UPPER_MINUS_LOWER = np.array([1.0, -1.0])[:, None, None]


@dataclass(frozen=True)
class Physics:
    """The constants of the atmosphere."""

    coriolis: float = 1.03e-4  # f0 at 45 degrees, 1/s
    beta: float = 1.62e-11  # gradient of the Coriolis parameter, 1/(m s)
    winds: tuple[float, float] = (22.0, 5.0)  # U_1, U_2, m/s
    deformation_radius: float = 6.0e5  # Ld, m
    depth: float = 6.0e3  # H, m: how strongly orography stretches the lower layer
    thermal_days: float = 15.0  # tau: how fast the column forgets its temperature
    drag_days: float = 3.5  # 1 / r
    surface_days: float = 4.0  # tau_T: how fast air near the surface follows the column and the season
    column_share: float = 0.6  # theta' = this share of the column's thickness temperature
    smallest_wave_hours: float = 6.0  # time in which diffusion damps the smallest resolved wave


@dataclass(frozen=True)
class Channel:
    """The grid of the channel and its transforms between grid values and waves.

    `lat` (lat,) and `lon` (lon,) in degrees, evenly spaced, ascending; longitude goes once around.
    Waves have the shape (..., meridional, zonal): meridional wave m has m half-waves between the walls.
    """

    lat: Real
    lon: Real
    zonal: Real = field(init=False)
    meridional: Real = field(init=False)
    sines: Real = field(init=False)
    cosines: Real = field(init=False)
    to_sines: Real = field(init=False)
    to_cosines: Real = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = len(self.lat), len(self.lon)
        waves = np.arange(2 * rows // 3 + 1)
        angle = np.pi * np.outer(np.arange(rows) + 0.5, waves) / rows
        width = np.deg2rad(self.lat[1] - self.lat[0]) * rows * EARTH_RADIUS
        circle = 2 * np.pi * EARTH_RADIUS * np.cos(np.deg2rad(self.lat.mean()))
        weight = np.where(waves == 0, 1.0, 2.0) / rows
        for name, value in {
            "zonal": 2 * np.pi * np.arange(columns // 3 + 1) / circle,
            "meridional": np.pi * waves / width,
            "sines": np.sin(angle),
            "cosines": np.cos(angle),
            "to_sines": (np.sin(angle) * weight).T,
            "to_cosines": (np.cos(angle) * weight).T,
        }.items():
            object.__setattr__(self, name, np.ascontiguousarray(value, dtype=np.float64))

    @property
    def shape(self) -> tuple[int, int]:
        """(meridional, zonal): how many waves a field has."""
        return len(self.meridional), len(self.zonal)

    def to_grid(self, waves: Waves, basis: Real) -> Real:
        """Grid values (..., lat, lon) of waves (..., meridional, zonal) in `sines` or `cosines`."""
        return self.along_longitude(self.rows(waves, basis))

    def rows(self, waves: Waves, basis: Real) -> Waves:
        """`basis` (row, meridional) applied to waves (..., meridional, zonal): (..., row, zonal)."""
        pairs = np.ascontiguousarray(waves).view(np.float64)  # real and imaginary parts side by side
        rows: Waves = (basis @ pairs).view(np.complex128)
        return rows

    def along_longitude(self, rows: Waves) -> Real:
        """Grid values (..., lat, lon) of rows (..., lat, zonal)."""
        return np.fft.irfft(rows, n=len(self.lon), axis=-1, norm="forward")

    def to_waves(self, values: Real, analysis: Real) -> Waves:
        """Waves (..., meridional, zonal) of grid values (..., lat, lon) by `to_sines` or `to_cosines`."""
        rows = np.fft.rfft(values, axis=-1, norm="forward")[..., : len(self.zonal)]
        return self.rows(rows, analysis)


@dataclass(frozen=True)
class Forcing:
    """What drives the atmosphere at one time."""

    thermal_wind: Waves
    """Delta, m2/s, (meridional, zonal) sines: the psi_1 - psi_2 that the column is relaxed to."""
    heating: Waves
    """Heating of the air near the surface, K/s, (meridional, zonal) cosines."""


@dataclass(frozen=True)
class State:
    """The atmosphere at one time; a leading axis may hold several members."""

    vorticity: Waves
    """q, 1/s, (..., 2 layers, meridional, zonal) sines."""
    air: Waves
    """T, K, (..., meridional, zonal) cosines."""

    def moved(self, rate: "State", seconds: float) -> "State":
        """The state after `seconds` of the constant rate."""
        return State(self.vorticity + seconds * rate.vorticity, self.air + seconds * rate.air)


class Atmosphere:
    """Steps states forward over a given orography (lat, lon) in metres, which vanishes at the walls."""

    def __init__(self, channel: Channel, orography: Real, physics: Physics | None = None) -> None:
        self.channel = channel
        self.physics = physics = physics or Physics()
        k, l_ = channel.zonal[None, :], channel.meridional[:, None]
        square = k**2 + l_**2
        self._laplacian = -square
        self._stretching = 0.5 / physics.deformation_radius**2  # F
        self._barotropic = -1.0 / np.where(l_ > 0, square, np.inf)  # psi_1 + psi_2 of q_1 + q_2
        self._baroclinic = np.where(l_ > 0, -1.0 / (square + 2 * self._stretching), 0.0)
        self._d_lon, self._d_lat = 1j * k, l_ + 0j * k
        self._diffusion = (square / square.max()) ** 4 / (physics.smallest_wave_hours * 3600.0)
        eta = physics.coriolis * orography / physics.depth
        lower = channel.to_waves(eta, channel.to_sines)
        self._eta = np.stack([np.zeros_like(lower), lower])
        self._winds = np.array(physics.winds)[:, None, None]
        shear = self._stretching * (physics.winds[0] - physics.winds[1])
        self._planetary = physics.beta + _UPPER_MINUS_LOWER * shear
        share = physics.column_share / (physics.surface_days * DAY)
        self._column_to_air = share * (channel.to_cosines @ channel.sines)

    def stream(self, vorticity: Waves) -> Waves:
        """psi, m2/s, (..., 2 layers, meridional, zonal) of the potential vorticity of the same shape."""
        total = self._barotropic * (vorticity[..., 0, :, :] + vorticity[..., 1, :, :])
        difference = self._baroclinic * (vorticity[..., 0, :, :] - vorticity[..., 1, :, :])
        return np.stack([(total + difference) / 2, (total - difference) / 2], axis=-3)

    def thickness_temperature(self, psi: Waves) -> Waves:
        """Temperature, K, of the column between the layers' middles (750 and 250 hPa), as sines."""
        scale = self.physics.coriolis / (GAS_CONSTANT * np.log(3.0))
        return scale * (psi[..., 0, :, :] - psi[..., 1, :, :])

    def tendency(self, state: State, forcing: Forcing) -> State:
        """Rate of change of each part of the state, per second."""
        channel, physics = self.channel, self.physics
        psi = self.stream(state.vorticity)
        q = state.vorticity + self._eta
        v = self._d_lon * psi
        air = state.air[..., None, :, :]
        # sine series: v, dq/dx, dT/dy; cosine series: -u, dq/dy, dT/dx; the layers of each side by side
        odd = np.concatenate([v, self._d_lon * q, -self._d_lat * air], axis=-3)
        even = np.concatenate([self._d_lat * psi, self._d_lat * q, self._d_lon * air], axis=-3)
        both = [channel.rows(odd, channel.sines), channel.rows(even, channel.cosines)]
        grid = channel.along_longitude(np.concatenate(both, axis=-3))
        north, east = grid[..., :2, :, :], self._winds - grid[..., 5:7, :, :]
        carried_q = east * grid[..., 2:4, :, :] + north * grid[..., 7:9, :, :]
        carried_air = east[..., 1, :, :] * grid[..., 9, :, :] + north[..., 1, :, :] * grid[..., 4, :, :]

        excess = psi[..., 0, :, :] - psi[..., 1, :, :] - forcing.thermal_wind
        cooling = (self._stretching / (physics.thermal_days * DAY)) * excess
        q_rate = _UPPER_MINUS_LOWER * cooling[..., None, :, :] - self._planetary * v
        q_rate -= channel.to_waves(carried_q, channel.to_sines) + self._diffusion * state.vorticity
        q_rate[..., 1, :, :] -= self._laplacian * psi[..., 1, :, :] / (physics.drag_days * DAY)

        column = channel.rows(self.thickness_temperature(psi), self._column_to_air)
        damping = 1.0 / (physics.surface_days * DAY) + self._diffusion
        air_rate = forcing.heating + column - channel.to_waves(carried_air, channel.to_cosines)
        return State(q_rate, air_rate - damping * state.air)

    def advance(self, state: State, forcing: tuple[Forcing, Forcing, Forcing], seconds: float) -> State:
        """The state `seconds` later; `forcing` is given at the start, the middle and the end of the step."""
        first = self.tendency(state, forcing[0])
        second = self.tendency(state.moved(first, seconds / 2), forcing[1])
        third = self.tendency(state.moved(second, seconds / 2), forcing[1])
        last = self.tendency(state.moved(third, seconds), forcing[2])
        halfway = state.moved(first, seconds / 6).moved(second, seconds / 3)
        return halfway.moved(third, seconds / 3).moved(last, seconds / 6)

    def thermal_wind(self, shear: Real) -> Waves:
        """Delta, m2/s, (meridional, zonal) of the wind shear U_1 - U_2 (lat,) in m/s that the sun asks for.

        The background winds carry its mean over the channel: between two walls no sine does.
        """
        channel = self.channel
        speed = channel.to_cosines @ shear  # u = -dpsi/dy
        delta = np.zeros(channel.shape, dtype=np.complex128)
        delta[1:, 0] = -speed[1:] / channel.meridional[1:]
        return delta

    def at_rest(self, thermal_wind: Waves) -> State:
        """A state (vorticity and air without eddies) whose upper layer alone has that thermal wind."""
        q = self._laplacian * thermal_wind - self._stretching * thermal_wind
        return State(np.stack([q, self._stretching * thermal_wind]), np.zeros_like(thermal_wind))

    def height(self, state: State) -> Real:
        """Height of the middle pressure surface (500 hPa) less its mean, m, (..., lat, lon): f0 psi / g."""
        channel, physics = self.channel, self.physics
        eddies = channel.to_grid(self.stream(state.vorticity).mean(axis=-3), channel.sines)
        y = np.deg2rad(channel.lat - channel.lat.mean())[:, None] * EARTH_RADIUS
        return (eddies - np.mean(physics.winds) * y) * (physics.coriolis / GRAVITY)

    def surface_air(self, state: State) -> Real:
        """Temperature of the air near the surface, K, (..., lat, lon)."""
        return self.channel.to_grid(state.air, self.channel.cosines)
