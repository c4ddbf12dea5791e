"""Which windows each rank reads, batch by batch: every window once, as many batches on every rank.

Ranks with different numbers of batches wait for each other for ever, and padding with repeated windows makes
the figures depend on the number of ranks. So a rank's windows are cut into as many, nearly equal batches.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

from datamodules.batches import MapBatch


def batches_per_rank(count: int, batch_size: int, world: int) -> int:
    """How many batches every rank makes of `count` windows. Errors: ValueError when a rank would have none.

    Batches hold `batch_size` windows at most; only where `batch_size` is 1 and the ranks cannot share the
    windows evenly does one batch of a rank hold 2.
    """
    if count < world:
        raise ValueError(
            f"{count} windows cannot be shared by {world} ranks: use at most {max(count, 1)} "
            f"(trainer.devices), or give the split a longer time"
        )
    most, least = -(-count // world), count // world
    return min(-(-most // batch_size), least)


class _RankBatches(Sampler[list[int]]):
    """Lists of positions for one rank; subclasses say in which order the windows stand."""

    def __init__(self, count: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        """Fix which share of `count` windows this rank takes, and in how many batches."""
        if not 0 <= rank < world or batch_size < 1:
            raise ValueError(f"rank {rank} of {world} with batches of {batch_size} is not possible")
        self.count, self.batch_size, self.rank, self.world = count, batch_size, rank, world
        self._batches = batches_per_rank(count, batch_size, world)

    def order(self) -> np.ndarray:
        """All positions, in the order in which the ranks take turns."""
        return np.arange(self.count)

    def __len__(self) -> int:
        """Batches of this rank, the same on all ranks."""
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        """This rank's batches."""
        for batch in np.array_split(self.order()[self.rank :: self.world], self._batches):
            yield batch.tolist()


class OrderedBatches(_RankBatches):
    """Windows in order, for evaluation: rank r takes windows r, r + world, ... each once, none twice."""


class ShuffledBatches(_RankBatches):
    """Windows in an order that (seed, epoch) alone decide, the same on every rank, for training."""

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        """Start at epoch 0, batch 0."""
        super().__init__(count, batch_size, rank, world)
        self.seed, self.epoch, self.skip = seed, 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of `epoch` next; a place to resume at in another epoch is forgotten."""
        if epoch != self.epoch:
            self.epoch, self.skip = epoch, 0

    def order(self) -> np.ndarray:
        """All positions, shuffled."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.count)

    def __iter__(self) -> Iterator[list[int]]:
        """This rank's batches, without the first `skip` of them, which holds for one pass."""
        skip, self.skip = self.skip, 0
        for number, batch in enumerate(super().__iter__()):
            if number >= skip:
                yield batch


class ResumableLoader(DataLoader[MapBatch]):
    """A loader over `ShuffledBatches` whose place within the epoch is saved and restored.

    The trainer keeps `state_dict` in its checkpoint: a run that was killed goes on with the batch after the
    last one it saw. The place is counted in batches handed out, so workers that read ahead do no harm.
    """

    batches: ShuffledBatches
    _handed: int = 0

    def __iter__(self) -> Iterator[MapBatch]:  # type: ignore[override]
        """The batches that are left of the epoch; none is kept here while the caller works on it."""
        self._handed = self.batches.skip
        reading = super().__iter__()
        for _ in range(len(self.batches) - self._handed):
            self._handed += 1
            yield next(reading)

    def state_dict(self) -> dict[str, Any]:
        """Epoch, seed and batches handed out so far."""
        return {
            "epoch": self.batches.epoch,
            "seed": self.batches.seed,
            "batch": self._handed,
            "batches": len(self.batches),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batches that `state` has seen.

        An epoch that was finished, or that was cut into another number of batches, starts again whole.
        """
        self.batches.epoch = int(state["epoch"])
        self.batches.seed = int(state["seed"])
        same = int(state["batches"]) == len(self.batches)
        self.batches.skip = int(state["batch"]) % len(self.batches) if same else 0
