"""Coarser maps: blocks of cells averaged by area."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Coarsening:
    """Blocks of `factor` x `factor` cells; the last rows and columns may form smaller blocks.

    cell_area: float64 (lat, lon), areas of the fine cells.
    """

    factor: int
    cell_area: np.ndarray

    def apply(self, maps: np.ndarray) -> np.ndarray:
        """Area means (..., coarse lat, coarse lon) of maps (..., lat, lon), over the cells that have a value.

        NaN where less than half of the block's area has one.
        """
        if self.factor == 1:
            return maps
        valid = np.isfinite(maps)
        weight = self._sum(np.where(valid, self.cell_area, 0.0))
        total = self._sum(np.where(valid, maps * self.cell_area, 0.0))
        enough = weight >= 0.5 * self._sum(self.cell_area) * (1 - 1e-12)
        return np.where(enough & (weight > 0), total / np.where(weight > 0, weight, 1.0), np.nan)

    def areas(self) -> np.ndarray:
        """(coarse lat, coarse lon) float64 areas of the blocks."""
        return self._sum(self.cell_area)

    def line(self, values: np.ndarray) -> np.ndarray:
        """Means of `values` (n,) over the blocks along one axis."""
        starts = np.arange(0, values.size, self.factor)
        return np.add.reduceat(values, starts) / np.diff([*starts, values.size])

    def plane(self, values: np.ndarray) -> np.ndarray:
        """Plain means of `values` (lat, lon) over the blocks."""
        return self._sum(values) / self._sum(np.ones_like(values))

    def _sum(self, values: np.ndarray) -> np.ndarray:
        rows = np.arange(0, values.shape[-2], self.factor)
        columns = np.arange(0, values.shape[-1], self.factor)
        return np.add.reduceat(np.add.reduceat(values, rows, axis=-2), columns, axis=-1)
