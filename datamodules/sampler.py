"""Which samples each rank reads, batch by batch: every sample once, as many batches on every rank.

Ranks with different numbers of batches wait for each other for ever, and padding with repeated samples makes
the figures depend on the number of ranks. So a rank's samples are cut into as many, nearly equal batches.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.errors import InputError

Batch = TypeVar("Batch")


def batches_per_rank(count: int, batch_size: int, world: int) -> int:
    """How many batches every rank makes of `count` samples. Errors: ValueError when a rank would have none.

    Batches hold `batch_size` samples at most; only where `batch_size` is 1 and the ranks cannot share the
    samples evenly does one batch of a rank hold 2.
    """
    if count < world:
        raise ValueError(
            f"{count} samples cannot be shared by {world} ranks: use at most {max(count, 1)} "
            f"(trainer.devices), or give the split more of the data"
        )
    most, least = -(-count // world), count // world
    return min(-(-most // batch_size), least)


class _RankBatches(Sampler[list[int]]):
    """Lists of positions for one rank; subclasses say in which order the samples stand."""

    def __init__(self, count: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        """Fix which share of `count` samples this rank takes, and in how many batches."""
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
    """Samples in order, for evaluation: rank r takes samples r, r + world, ... each once, none twice."""


class ShuffledBatches(_RankBatches):
    """Samples in an order that (seed, epoch) alone decide, the same on every rank, for training."""

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


class EpochBatches(ShuffledBatches):
    """Shuffled samples, numbered through all epochs: sample s of epoch e stands at e x count + s.

    So the epoch reaches whoever reads, in this process or in one that has been running for several epochs.
    """

    def order(self) -> np.ndarray:
        """All positions of the epoch, shuffled."""
        return self.epoch * self.count + super().order()


def as_is(batch: Any) -> Any:
    """The batch itself: what the data sets here return is collated already."""
    return batch


class BatchLoader(DataLoader[Batch]):
    """A loader of ready batches; a mistake that a reading process finds is told in that one's own words."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The batches; none is kept here while the caller works on it. Errors: InputError."""
        try:
            yield from super().__iter__()
        except InputError as error:
            told = str(error)
            _, _, words = told.rpartition(f"{InputError.__module__}.{InputError.__qualname__}: ")
            if words == told:
                raise
            raise InputError(words.strip()) from error  # without the traceback of the other process


class ResumableLoader(BatchLoader[Batch]):
    """A loader over `ShuffledBatches` whose place within the epoch is saved and restored.

    The trainer keeps `state_dict` in its checkpoint: a run that was killed goes on with the batch after the
    last one it saw. The place is counted in batches handed out, so workers that read ahead do no harm.
    """

    batches: ShuffledBatches
    _handed: int = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
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


def training_loader(data: Dataset[Batch], batches: ShuffledBatches, workers: int) -> ResumableLoader[Batch]:
    """A loader of the lists of positions that `batches` makes of `data`; its workers live for all epochs."""
    loader: ResumableLoader[Batch] = ResumableLoader(
        data,
        sampler=batches,
        batch_size=None,  # the sampler makes the batches
        collate_fn=as_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    loader.batches = batches
    return loader


def judging_loader(data: Dataset[Batch], batches: OrderedBatches, workers: int) -> BatchLoader[Batch]:
    """A loader of the lists of positions that `batches` makes of `data`, in order."""
    return BatchLoader(
        data,
        sampler=batches,
        batch_size=None,
        collate_fn=as_is,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
