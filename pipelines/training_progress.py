"""What a person sees while a network trains: a bar on a terminal, plain lines elsewhere."""

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, RichProgressBar

from lightning_modules.pace import training_share
from pipelines.console import PLAIN_SECONDS, rank
from pipelines.data_stalls import DataStalls
from pipelines.settings import TrainerOptions

log = logging.getLogger(__name__)


def progress_callbacks(options: TrainerOptions) -> list[Callback]:
    """A rich bar where standard error is a terminal; a line each epoch and every ten seconds elsewhere."""
    lines: list[Callback] = [] if rank() else [EpochLines()]
    return [*lines, RichProgressBar()] if sys.stderr.isatty() and not rank() else lines


class EpochLines(Callback):
    """Logs a line after each epoch, and between them how far training is and how long it will take."""

    def __init__(self) -> None:
        self._told = self._started = time.monotonic()
        self._share = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; a run that goes on counts only what is left."""
        self._told = self._started = time.monotonic()
        self._share = training_share(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A line when ten seconds have passed since the last one, where there is no bar."""
        now = time.monotonic()
        if sys.stderr.isatty() or now - self._told < PLAIN_SECONDS:
            return
        self._told = now
        log.info("training: step %d, %s", trainer.global_step, self._left(trainer, now))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The figures of the epoch; those of the validation where there was one."""
        self._told = time.monotonic()
        validated = getattr(pl_module, "validated_at", None) == trainer.global_step
        figures = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if validated or not name.startswith("validation/")
        }
        shown = [f"{name} {value:.4g}" for name, value in sorted(figures.items())]
        shown += [one.summary() for one in trainer.callbacks if isinstance(one, DataStalls)]  # type: ignore[attr-defined]
        shown.append(self._left(trainer, self._told))
        log.info("epoch %d: %s", trainer.current_epoch, ", ".join(filter(None, shown)))

    def _left(self, trainer: pl.Trainer, now: float) -> str:
        """How far the run is, and how long it will take at its pace so far."""
        share = training_share(trainer)
        done = share - self._share
        if done <= 0:
            return f"{share:.0%} done"
        left = (now - self._started) / done * (1 - share)
        return f"{share:.0%} done, about {left // 60:.0f} min {left % 60:.0f} s left"
