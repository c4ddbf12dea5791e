"""Which cells two grids share, whatever the order of their rows and the convention of their longitudes."""

from dataclasses import dataclass

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.grid import Grid

NEAR = 1e-3
"""Degrees by which the centres of one cell may differ: coordinates are often stored in single precision."""


@dataclass(frozen=True, eq=False)
class SharedCells:
    """The cells of the truth that somebody's maps have too, in the order of the truth.

    rows, columns: of the truth.     their_rows, their_columns: of the other maps, for the same cells.
    cell_area: float64 (lat, lon), shares of the area of these cells, sum 1.
    """

    rows: np.ndarray
    columns: np.ndarray
    their_rows: np.ndarray
    their_columns: np.ndarray
    cell_area: np.ndarray

    def of_truth(self, maps: np.ndarray) -> np.ndarray:
        """The shared cells of the truth's maps (..., lat, lon)."""
        return np.ascontiguousarray(maps[..., self.rows, :][..., self.columns])

    def of_theirs(self, maps: np.ndarray) -> np.ndarray:
        """The shared cells of the other maps (..., lat, lon), in the order of the truth."""
        return np.ascontiguousarray(maps[..., self.their_rows, :][..., self.their_columns])


def shared_cells(truth: Grid, lat: np.ndarray, lon: np.ndarray, key: str, where: str) -> SharedCells:
    """The cells that `truth` shares with maps at `lat`, `lon` (1-D each, or 2-D), exactly at the same places.

    One of the two may cover a part of the other. InputError, naming `key` and `where`, for other cells.
    """
    problem = InputError(
        f"{key}: {where} has a grid of {lat.shape[0]} x {lon.shape[-1]} cells, latitude {_span(lat)}, "
        f"longitude {_span(lon)}; the truth has {truth.shape[0]} x {truth.shape[1]}, latitude "
        f"{_span(truth.lat)}, longitude {_span(truth.lon)}, and their cells are not the same ones. Remap one "
        "to the other (cdo remapcon,TRUTH IN OUT)"
    )
    if truth.projected or lat.ndim == 2:
        same = truth.projected and lat.shape == truth.lat.shape
        if not (same and np.allclose(lat, truth.lat, atol=NEAR) and _same_angle(lon, truth.lon).all()):
            raise problem
        rows, columns = np.arange(truth.shape[0]), np.arange(truth.shape[1])
        return SharedCells(rows, columns, rows, columns, truth.cell_area)
    found = []
    for near in (np.abs(lat[:, None] - truth.lat) < NEAR, _same_angle(lon[:, None], truth.lon)):
        ours = np.flatnonzero(near.any(axis=0))
        if not ours.size or not (near.any(axis=0).all() or near.any(axis=1).all()):
            raise problem
        found.append((ours, near.argmax(axis=0)[ours]))
    (rows, their_rows), (columns, their_columns) = found
    area = truth.cell_area[rows][:, columns]
    whole = area.shape == truth.cell_area.shape
    return SharedCells(rows, columns, their_rows, their_columns, area if whole else area / area.sum())


def _same_angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """True where two longitudes, in degrees of either convention, are the same."""
    return np.asarray(np.abs((one - other + 180.0) % 360.0 - 180.0) < NEAR)


def _span(values: np.ndarray) -> str:
    return f"{np.nanmin(values):g} to {np.nanmax(values):g}"
