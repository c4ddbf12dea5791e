"""Which rows and columns of a source's map are read, and in which order: a region may cross the file's
seam."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from datamodules.errors import InputError


class Region(Protocol):
    """A box in degrees: `lat` (south, north) and `lon` (west, east), eastwards; None keeps all of an axis."""

    @property
    def lat(self) -> tuple[float, float] | None:
        """South and north."""

    @property
    def lon(self) -> tuple[float, float] | None:
        """West and east, in either convention."""


@dataclass(frozen=True)
class Selection:
    """Rows, and one run of columns or two that are joined in this order."""

    rows: slice
    columns: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the selected map."""
        return self.rows.stop - self.rows.start, sum(part.stop - part.start for part in self.columns)


@dataclass(frozen=True, eq=False)
class Columns:
    """Runs of columns, their longitudes (monotonic), and whether they go around the whole globe."""

    parts: tuple[slice, ...]
    lon: np.ndarray
    wraps: bool
    warnings: tuple[str, ...] = ()


def select_rows(lat: np.ndarray, region: Region | None, where: str) -> slice:
    """The rows whose centres lie in the region, in the file's order; InputError where there are none."""
    steps = np.diff(lat)
    if (
        not np.isfinite(lat).all()
        or np.abs(lat).max() > 90.001
        or not ((steps > 0).all() or (steps < 0).all())
    ):
        raise InputError(
            f"{where}: latitudes must rise or fall steadily within -90 to 90; found {_short(lat)}."
        )
    if region is None or region.lat is None:
        return slice(0, lat.size)
    south, north = (float(edge) for edge in region.lat)
    slack = 1e-3 * float(np.abs(steps).min()) if lat.size > 1 else 1e-3
    inside = np.flatnonzero((lat >= south - slack) & (lat <= north + slack))
    if inside.size == 0:
        raise InputError(
            f"data.region.lat: no row of {where} lies in {south} to {north} (south, north). "
            f"The file has {lat.min():g} to {lat.max():g}."
        )
    return slice(int(inside[0]), int(inside[-1]) + 1)


def select_columns(lon: np.ndarray, region: Region | None, where: str) -> Columns:
    """The columns whose centres lie in the region, eastwards (or westwards, as in the file) without a seam.

    Longitudes stay in the file's convention unless the region crosses the file's seam: then they are in the
    region's. A column that repeats the first one 360 degrees further is left out.
    """
    lon, warnings = _unwrap(lon, where), []
    spacing = abs(lon[-1] - lon[0]) / max(lon.size - 1, 1)
    if lon.size > 2 and abs(abs(lon[-1] - lon[0]) - 360) < 0.01 * spacing:
        lon, spacing = lon[:-1], spacing
        warnings.append(f"{where}: the last longitude repeats the first; that column is left out.")
    if lon.size > 1 and abs(lon[-1] - lon[0]) > 360:
        raise InputError(
            f"{where}: longitudes go more than once around the globe ({_short(lon)}). Cut the "
            "repeated part off."
        )
    even = lon.size > 2 and np.abs(np.abs(np.diff(lon)) - spacing).max() < 0.05 * spacing
    wraps = bool(even and abs(lon.size * spacing - 360) < 0.1 * spacing)
    everything = Columns((slice(0, lon.size),), lon, wraps, tuple(warnings))
    if region is None or region.lon is None:
        return everything
    west, east = (float(edge) for edge in region.lon)
    inside, offsets = inside_longitudes(lon, west, east)
    chosen = np.flatnonzero(inside)
    if chosen.size == 0:
        raise InputError(
            f"data.region.lon: no column of {where} lies in {west:g} to {east:g} (west, east). "
            f"The file has {lon.min():g} to {lon.max():g}."
        )
    if chosen.size == lon.size and (wraps or east - west >= 360):
        return everything
    breaks = np.flatnonzero(np.diff(chosen) > 1)
    if breaks.size == 0:
        return Columns((slice(int(chosen[0]), int(chosen[-1]) + 1),), lon[chosen], False, tuple(warnings))
    first, second = chosen[: breaks[0] + 1], chosen[breaks[0] + 1 :]
    order = np.concatenate([second, first])
    turns = np.rint((west + offsets[order] - lon[order]) / 360)
    values = lon[order] + 360 * turns
    if breaks.size > 1 or np.abs(np.diff(values)).max() > 1.5 * spacing:
        raise InputError(
            f"data.region.lon: {where} has a hole inside {west:g} to {east:g}; "
            f"it covers {lon.min():g} to {lon.max():g}. Choose a region within that."
        )
    parts = tuple(slice(int(run[0]), int(run[-1]) + 1) for run in (second, first))
    return Columns(parts, values, False, tuple(warnings))


def select_box(lat: np.ndarray, lon: np.ndarray, region: Region | None, where: str) -> Selection:
    """The smallest box of rows and columns of a 2-D grid that holds every cell centre in the region."""
    if region is None:
        return Selection(slice(0, lat.shape[0]), (slice(0, lat.shape[1]),))
    south, north = region.lat or (-90.0, 90.0)
    west, east = region.lon or (-180.0, 180.0)
    inside = inside_longitudes(lon, west, east)[0] & (lat >= south) & (lat <= north)
    if not inside.any():
        raise InputError(
            f"data.region: no cell of {where} lies in {south:g} to {north:g} N, {west:g} to {east:g} E. "
            f"The file has {np.nanmin(lat):g} to {np.nanmax(lat):g} N, {np.nanmin(lon):g} to "
            f"{np.nanmax(lon):g} E."
        )
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return Selection(slice(int(rows[0]), int(rows[-1]) + 1), (slice(int(columns[0]), int(columns[-1]) + 1),))


def inside_longitudes(lon: np.ndarray, west: float, east: float) -> tuple[np.ndarray, np.ndarray]:
    """Which longitudes lie between two edges, and how far east of the western one each lies, in degrees."""
    width = 360.0 if east - west >= 360 else (east - west) % 360
    slack = 1e-4
    offsets = (lon - west + slack) % 360 - slack
    return offsets <= width + slack, offsets


def _unwrap(lon: np.ndarray, where: str) -> np.ndarray:
    """Longitudes made monotonic; they change only where the file's run jumps at its seam."""
    if not np.isfinite(lon).all() or lon.size == 0:
        raise InputError(f"{where}: longitudes have missing values. Repair the coordinate.")
    steps = np.diff(lon)
    if (steps > 0).all() or (steps < 0).all():
        return lon
    direction = 1 if (steps > 0).sum() >= (steps < 0).sum() else -1
    onwards = (steps * direction) % 360
    if (onwards == 0).any() or onwards.sum() > 360.001:
        raise InputError(f"{where}: longitudes must go one way around the globe, once; found {_short(lon)}.")
    return lon[0] + direction * np.concatenate([[0.0], np.cumsum(onwards)])


def _short(values: np.ndarray) -> str:
    shown = [f"{value:g}" for value in values[:4]]
    return ", ".join(shown) + (", ..." if values.size > 4 else "")
