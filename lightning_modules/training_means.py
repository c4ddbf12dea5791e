"""Means of what training tells, over an epoch and all ranks, that survive a stop in mid-epoch."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class TrainingMeans:
    """Weighted sums by name on this rank, on the device where the values are: nothing waits for them.

    Sums are in double precision. `means` and `state` gather from all ranks, so every
    rank calls them together; the figures that have come are the same on all of them.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, weight: int, figures: Mapping[str, Tensor]) -> None:
        """Count each of `figures` (scalars) `weight` times."""
        for name, value in figures.items():
            found = value.detach().double()
            one = torch.stack([found * weight, torch.full_like(found, weight)])
            before = self._sums.get(name)
            self._sums[name] = one if before is None else before + one

    def means(self) -> dict[str, float]:
        """The mean of each figure over all ranks, summed in the order of the ranks."""
        found = {}
        for name, rows in self.state().items():
            total, weight = (sum(column) for column in zip(*rows, strict=True))
            if weight:
                found[name] = total / weight
        return found

    def clear(self) -> None:
        """Forget everything: an epoch is over."""
        self._sums = {}

    def state(self) -> dict[str, list[list[float]]]:
        """By name, (rank, [sum, weight]) as plain numbers."""
        names = sorted(self._sums)
        if not names:
            return {}
        mine = torch.stack([self._sums[name] for name in names])
        rows = [mine]
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            rows = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
            dist.all_gather(rows, mine)
        table = torch.stack(rows, dim=1).tolist()
        return dict(zip(names, table, strict=True))

    def load(self, state: Mapping[str, Any], rank: int, ranks: int, device: torch.device) -> None:
        """Go on from `state`: each rank from its own sums; with other ranks, the first one from all.

        device: where the figures will be.
        """
        self.clear()
        for name, rows in state.items():
            kept = torch.tensor(rows, dtype=torch.float64, device=device)
            mine = kept[rank] if len(rows) == ranks else kept.sum(dim=0) * (rank == 0)
            self._sums[name] = mine
