"""Whole windows of a store as ready batches: one copy out of the memory map, no collation."""

import numpy as np
import torch
from torch.utils.data import Dataset

from datamodules.batches import MapBatch
from datamodules.gridded.clock import clock_features
from datamodules.gridded.store import Store


class WindowDataset(Dataset[MapBatch]):
    """The windows that start at `starts`; asked for several positions at once it returns one `MapBatch`.

    store:  the packed store;  basis: (time, basis) float32, the climatology's basis at every store step
    starts: (window,) int64 store indices of first steps;  length: history + horizon, steps
    fold:   (window,) int64 cross-fitting block of each window; -1 for all of them when absent
    Pickles small: the store goes to a worker as its path.
    """

    def __init__(
        self,
        store: Store,
        basis: np.ndarray,
        starts: np.ndarray,
        length: int,
        fold: np.ndarray | None = None,
    ) -> None:
        """Check that every window lies inside the store."""
        steps = len(store.time)
        if len(starts) and (starts.min() < 0 or starts.max() + length > steps):
            raise ValueError(f"windows of {length} steps from {starts.min()} to {starts.max()} leave {steps}")
        if len(basis) != steps:
            raise ValueError(f"the basis has {len(basis)} steps, the store {steps}")
        self.store = store
        self.starts = np.asarray(starts, dtype=np.int64)
        self.fold = np.full(len(starts), -1, dtype=np.int64) if fold is None else np.asarray(fold, np.int64)
        self.length = length
        self._basis = np.ascontiguousarray(basis, dtype=np.float32)
        self._clock = clock_features(store.time, store.calendar)
        empty = np.empty((steps, 0), dtype=np.float32)
        self._series = empty if store.series is None else store.series.values.astype(np.float32, copy=False)

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.starts)

    def __getitem__(self, positions: int | list[int]) -> MapBatch:
        """The windows at `positions` of `starts` as one batch; a single position is a batch of one."""
        return self.__getitems__([positions] if isinstance(positions, int) else positions)

    def __getitems__(self, positions: list[int]) -> MapBatch:
        """The windows at `positions` of `starts` as one batch, in that order."""
        starts = self.starts[positions]
        maps = np.empty((len(starts), self.length, *self.store.values.shape[1:]), dtype=np.float32)
        for window, start in zip(maps, starts.tolist(), strict=True):
            window[...] = self.store.values[start : start + self.length]
        steps = starts[:, None] + np.arange(self.length)
        return MapBatch(
            maps=torch.from_numpy(maps),
            basis=torch.from_numpy(self._basis[steps]),
            clock=torch.from_numpy(self._clock[steps]),
            series=torch.from_numpy(self._series[steps]),
            start=torch.from_numpy(starts),
            fold=torch.from_numpy(self.fold[positions]),
        )
