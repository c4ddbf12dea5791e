"""Exact areas of grid cells on the sphere, as shares of the whole map."""

import numpy as np


def cell_edges(centres: np.ndarray, bounds: np.ndarray | None = None) -> np.ndarray:
    """(n, 2) edges of cells along one axis, in its order: the file's bounds if they fit, else the midpoints.

    The outermost cells reach as far outwards as inwards; a single cell without bounds is one degree wide.
    """
    if bounds is not None and bounds.shape == (centres.size, 2) and np.isfinite(bounds).all():
        low, high = bounds.min(axis=1), bounds.max(axis=1)
        slack = 1e-3 * (high - low)
        even = (high - low).max() <= 3 * np.median(high - low)
        if even and ((low - slack <= centres) & (centres <= high + slack) & (high > low)).all():
            return bounds.astype(np.float64)
    if centres.size == 1:
        return np.array([[centres[0] - 0.5, centres[0] + 0.5]])
    inner = (centres[:-1] + centres[1:]) / 2
    walls = np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])
    return np.stack([walls[:-1], walls[1:]], axis=1)


def band_areas(lat_edges: np.ndarray, lon_edges: np.ndarray) -> np.ndarray:
    """(lat, lon) float64 shares, sum 1, of cells between parallels and meridians: |sin a - sin b| x width.

    lat_edges (lat, 2) are clipped at the poles; lon_edges (lon, 2); both in degrees.
    """
    sines = np.sin(np.deg2rad(np.clip(lat_edges, -90.0, 90.0)))
    heights, widths = np.abs(sines[:, 1] - sines[:, 0]), np.abs(lon_edges[:, 1] - lon_edges[:, 0])
    return _shares(heights[:, None] * widths[None, :])


def quadrangle_areas(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """(lat, lon) float64 shares, sum 1, of the cells of a projected, rotated or curvilinear grid.

    lat, lon: 2-D centres in degrees. Corners are the means of the four centres around them, taken as
    vectors, so that poles and the date line need no care; each cell is two spherical triangles (Van Oosterom
    & Strackee 1983). Cells without coordinates have no area.
    """
    if min(lat.shape) == 1:
        return _shares(np.nan_to_num(np.cos(np.deg2rad(lat))))
    centres = _vectors(lat, lon)
    for axis in (0, 1):
        first, second = np.take(centres, [0], axis), np.take(centres, [1], axis)
        last, before = np.take(centres, [-1], axis), np.take(centres, [-2], axis)
        centres = np.concatenate([2 * first - second, centres, 2 * last - before], axis)
    corners = centres[:-1, :-1] + centres[:-1, 1:] + centres[1:, :-1] + centres[1:, 1:]
    corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
    a, b, c, d = corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]
    areas = _triangle_areas(a, b, c) + _triangle_areas(a, c, d)
    return _shares(np.where(np.isfinite(lat) & np.isfinite(lon), np.nan_to_num(areas), 0.0))


def _triangle_areas(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Areas on the unit sphere of triangles whose corners are unit vectors (..., 3)."""
    volume = np.abs((a * np.cross(b, c)).sum(-1))
    return 2 * np.arctan2(volume, 1 + (a * b).sum(-1) + (b * c).sum(-1) + (c * a).sum(-1))


def _vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) of points given in degrees."""
    phi, lam = np.deg2rad(lat), np.deg2rad(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _shares(areas: np.ndarray) -> np.ndarray:
    return areas / areas.sum(dtype=np.float64)
