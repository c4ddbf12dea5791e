"""How fast training is, and how much of its time it waits for data."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from pipelines.ranks import processors
from pipelines.settings import Settings

log = logging.getLogger(__name__)

HINT_ABOVE = 0.1
"""Share of the training time spent waiting for data from which on there is something to change."""
HINT_AFTER = 20.0
"""Seconds of training before that is judged: the first batches are slow everywhere."""
EVERY = 60.0
"""Seconds after which an epoch that is still going on is told of."""


@dataclass
class Span:
    """A stretch of training: seconds (without validation), those of them spent waiting, steps and samples."""

    seconds: float = 0.0
    waited: float = 0.0
    steps: int = 0
    samples: float = 0.0

    def add(self, other: "Span") -> None:
        """Make this one longer by another."""
        self.seconds += other.seconds
        self.waited += other.waited
        self.steps += other.steps
        self.samples += other.samples

    @property
    def share(self) -> float:
        """Seconds waited of all, 0 to 1."""
        return min(1.0, self.waited / self.seconds) if self.seconds else 0.0

    def metrics(self) -> dict[str, float]:
        """What is logged of it: samples of all ranks together, steps of the optimiser."""
        return {
            "speed/data_stall_share": self.share,
            "speed/samples_per_second": self.samples / self.seconds,
            "speed/step_seconds": self.seconds / self.steps,
        }


class DataStalls(Callback):
    """Logs the speed of training and its data-stall share, and says once what to change when data are late.

    After each epoch and, in a long one, once a minute; of the first rank, which waits for its own data only.
    The share is the time spent in the loader's `next` over the time of the steps; validation does not count.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = settings.data.workers
        self._of_pixels = settings.data.kind == "clips" and settings.data.features == "pixels"
        self._threads = settings.trainer.threads
        self._clock = clock
        self.whole = Span()
        self.now = Span()
        self._begun = self._waited = 0.0
        self._step = 0
        self._hinted = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to measure."""
        self._go_on(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave out what came between two epochs."""
        self._go_on(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave out the validation."""
        self._go_on(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a batch; tell of a long epoch."""
        now, waited = self._clock(), _waited(trainer)
        steps = trainer.global_step - self._step
        self.now.add(Span(now - self._begun, waited - self._waited, steps, _samples_of_a_batch(trainer)))
        self._go_on(trainer)
        if self.now.seconds >= EVERY:
            self._tell(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell of the epoch, or of what of it has not been told."""
        self._tell(trainer)

    def summary(self) -> str:
        """The speed since the last time that it was logged, for a line of the log; empty before a step."""
        if not self.now.steps or not self.now.seconds:
            return ""
        stalls = f", {self.now.share:.0%} of the time waiting for data" if self.now.share >= 0.01 else ""
        return f"{self.now.samples / self.now.seconds:.4g} samples/s{stalls}"

    def _go_on(self, trainer: pl.Trainer) -> None:
        self._begun, self._waited, self._step = self._clock(), _waited(trainer), trainer.global_step

    def _tell(self, trainer: pl.Trainer) -> None:
        if not self.now.steps or not self.now.seconds:
            return
        if trainer.logger is not None:
            trainer.logger.log_metrics(self.now.metrics(), step=trainer.global_step)
        self.whole.add(self.now)
        self.now = Span()
        late = self.whole.seconds >= HINT_AFTER and self.whole.share > HINT_ABOVE
        if late and not self._hinted and trainer.is_global_zero:
            self._hinted = True
            log.warning("%s", self._hint(trainer.num_devices))

    def _hint(self, ranks: int) -> str:
        """How much time goes to waiting, and what to change first."""
        free = processors() // ranks - (self._threads or 1)
        ways = []
        if self._workers < free:
            ways.append(f"raise data.workers (now {self._workers}; {free} fit beside each rank here)")
        if self._of_pixels:
            ways.append("read features that were written once (data.features=store with a frozen encoder)")
        ways.append("put paths.stores on a local disk, or in memory")
        if self._workers >= free:
            ways.append(f"use a machine with more processors (data.workers is {self._workers})")
        return f"{self.whole.share:.0%} of the training time went to waiting for data: {'; or '.join(ways)}"


def _waited(trainer: pl.Trainer) -> float:
    """Seconds that the loader of this rank has kept training waiting."""
    return float(getattr(trainer.train_dataloader, "waited", 0.0))


def _samples_of_a_batch(trainer: pl.Trainer) -> float:
    """Samples that all ranks together take in one batch each, on average over the epoch."""
    batches = getattr(trainer.train_dataloader, "batches", None)
    return float(batches.count) / len(batches) if batches is not None else 0.0
