"""Which samples each rank reads, batch by batch: every sample once, as many batches on every rank.

Ranks with different numbers of batches wait for each other for ever, and padding with repeated samples makes
the figures depend on the number of ranks. So a rank's samples are cut into as many, nearly equal batches.
"""

import atexit
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.errors import InputError

Batch = TypeVar("Batch")


def batches_per_rank(count: int, batch_size: int, world: int) -> int:
    """How many batches every rank makes of `count` samples. Errors: InputError when a rank would have none.

    Batches hold `batch_size` samples at most; only where `batch_size` is 1 and the ranks cannot share the
    samples evenly does one batch of a rank hold 2.
    """
    if count < world:
        raise InputError(
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


class Pass(NamedTuple):
    """A part of an epoch that some number of ranks has read: batches of each rank, and how many are done."""

    world: int
    batches: int
    done: int


class ShuffledBatches(_RankBatches):
    """Samples in an order that (seed, epoch) alone decide, the same on every rank, for training.

    passes: what was read of the epoch before; those samples are not read again, also by other ranks
    skip:   batches of the pass that goes on that this rank has read
    """

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        """Start at epoch 0, batch 0."""
        super().__init__(count, batch_size, rank, world)
        self.seed, self.epoch, self.skip = seed, 0, 0
        self.passes: tuple[Pass, ...] = ()

    def set_epoch(self, epoch: int) -> None:
        """Take the order of `epoch` next; a place to resume at in another epoch is forgotten."""
        if epoch != self.epoch:
            self.epoch, self.skip, self.passes = epoch, 0, ()

    def go_on(self, epoch: int, seed: int, passes: Sequence[Pass]) -> None:
        """Read next what `passes` have left of `epoch`.

        By as many ranks and in as many batches as in the last of them, its batches go on; else what is left
        is shared out anew.
        """
        self.epoch, self.seed, self.skip, self.passes = epoch, seed, 0, tuple(passes)
        if not passes:
            return
        *before, last = self.passes
        if (last.world, last.batches) == (self.world, self._batches_of(len(self._left(before)))):
            self.passes, self.skip = tuple(before), last.done

    @property
    def batches_of_pass(self) -> int:
        """Batches of this rank in the pass that goes on, those that are done included."""
        return self._batches_of(len(self._left(self.passes)))

    def order(self) -> np.ndarray:
        """All positions, shuffled."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.count)

    def __iter__(self) -> Iterator[list[int]]:
        """This rank's batches that are left of the pass; the next one is whole."""
        mine, count, skip = self._left(self.passes)[self.rank :: self.world], self.batches_of_pass, self.skip
        self.passes, self.skip = (), 0
        for batch in np.array_split(mine, count or 1)[skip:count]:
            yield batch.tolist()

    def _left(self, passes: Sequence[Pass]) -> np.ndarray:
        """The positions of the epoch, in order, that `passes` have not read."""
        left = self.order()
        for world, batches, done in passes:
            read = [
                batch
                for rank in range(world)
                for batch in np.array_split(left[rank::world], batches or 1)[:done]
            ]
            left = left[~np.isin(left, np.concatenate(read))] if read else left
        return left

    def _batches_of(self, count: int) -> int:
        """Batches that each rank makes of `count` samples; none where there are fewer samples than ranks."""
        return batches_per_rank(count, self.batch_size, self.world) if count >= self.world else 0


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

    waited: seconds that whoever trains has waited here for a batch
    place:  batches that count as read where a restored loader goes on, of `len` in an epoch; None before that
    """

    batches: ShuffledBatches
    waited: float = 0.0
    place: int | None = None
    _here: tuple[Pass, ...] = ()

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The batches that are left of the epoch; none is kept here while the caller works on it."""
        before, done, count = self.batches.passes, self.batches.skip, self.batches.batches_of_pass
        reading = super().__iter__()
        for number in range(done, count):
            self._here = (*before, Pass(self.batches.world, count, number + 1))
            began = time.perf_counter()
            batch = next(reading)
            self.waited += time.perf_counter() - began
            yield batch
            del batch

    def state_dict(self) -> dict[str, Any]:
        """The epoch, and what has been read of it."""
        return {
            "epoch": self.batches.epoch,
            "seed": self.batches.seed,
            "passes": [list(one) for one in self._here],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the samples that `state` has seen, also with another number of ranks."""
        passes = [Pass(*(int(number) for number in one)) for one in state["passes"]]
        self.batches.go_on(int(state["epoch"]), int(state["seed"]), passes)
        self._here = tuple(passes)
        self.place = len(self.batches) - self.batches.batches_of_pass + self.batches.skip


def outlast_signals(parent: int, worker: int) -> None:
    """Have a reading process outlast a signal to all processes of a run by ten seconds.

    Torchrun, srun and terminals signal every process at once; whoever trains has still to end in order, which
    it cannot once its reader is gone. A reader whose parent is gone ends at once, a new one too.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, _end_soon)
    if os.getppid() != parent:
        os._exit(1)


@atexit.register
def end_readers() -> None:
    """Kill the reading processes that are left when this one ends: they only read, and outlast signals."""
    for reader in multiprocessing.active_children():
        reader.kill()


def _end_soon(signum: int, frame: FrameType | None) -> None:
    signal.alarm(10)  # ends the process, unless it has ended before


def training_loader(data: Dataset[Batch], batches: ShuffledBatches, workers: int) -> ResumableLoader[Batch]:
    """A loader of the lists of positions that `batches` makes of `data`; its workers live for all epochs."""
    loader: ResumableLoader[Batch] = ResumableLoader(
        data,
        sampler=batches,
        batch_size=None,  # the sampler makes the batches
        collate_fn=as_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=partial(outlast_signals, os.getpid()),
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
        worker_init_fn=partial(outlast_signals, os.getpid()),
        pin_memory=torch.cuda.is_available(),
    )
