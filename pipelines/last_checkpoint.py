"""When last.ckpt is written and where a run goes on from it: after any step, on every rank the same."""

import logging
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from datamodules.errors import InputError
from lightning_modules.pace import Pace
from pipelines import interrupts
from pipelines.rundir import RunDir

log = logging.getLogger(__name__)

STOP, SAVE = "stop", "save"
PLACE = "place"
"""The key in a checkpoint of what Lightning's own counters do not tell."""


class LastCheckpoint(Checkpoint):
    """Writes last.ckpt every `minutes`, after an epoch's last step, at a bound, and when a signal has come.

    It is always written at the end of a step of the optimiser, before any validation: what a validation finds
    is found again. So there are two kinds of place to go on from: between two steps, and before the
    validation that ends an epoch or a run (see `on_load_checkpoint`). A signal raises `Stopped` on every rank
    at the end of the same step, with the checkpoint written; during a validation at once, for the checkpoint
    is there already.
    """

    def __init__(
        self, run: RunDir, pace: Pace, minutes: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run, self._pace = run, pace
        self._seconds, self._clock = 60 * minutes, clock
        self._saved = clock()
        self._writing = False
        pace.wishes[STOP] = lambda: interrupts.received() is not None
        pace.wishes[SAVE] = lambda: clock() - self._saved >= self._seconds

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on signals wait for the end of a step; with other ranks, the epoch has other batches."""
        interrupts.defer()
        self._saved = self._clock()
        first = trainer.strategy.broadcast(trainer.global_step)
        if first != trainer.global_step:
            raise InputError(
                f"{self._run.last}: this rank has step {trainer.global_step} of it, the first one {first}; "
                "paths.runs must be the same folder for all ranks: give the same command again"
            )
        place = getattr(trainer.train_dataloader, "place", None)
        steps = trainer.fit_loop.epoch_loop.batch_progress
        if place is not None and trainer.fit_loop.restarting:
            place = int(trainer.num_training_batches) if steps.is_last_batch else place
            missing = steps.current.ready - steps.current.completed
            steps.current.load_state_dict(dict.fromkeys(("ready", "started", "processed"), place))
            steps.current.completed = place - missing

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time to, stop where a signal has come."""
        if trainer.fit_loop._should_accumulate():
            return  # gradients of a step that is not complete are in no checkpoint
        stop = self._pace.agreed(STOP)
        ends = trainer.fit_loop.epoch_loop._num_ready_batches_reached() or trainer.should_stop
        if stop or ends or self._pace.agreed(SAVE):
            self._save(trainer)
        if stop:
            self._stop(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the batches of a validation that is begun again once."""
        if trainer.state.fn == "fit":
            trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.reset()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop where a signal has come."""
        if trainer.state.fn == "fit" and self._pace.agreed(STOP):
            self._stop(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on signals raise where they come; so does one that came after the last step."""
        self._resume()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Signals raise where they come again."""
        interrupts.resume()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note whether the epoch's last step was taken, and how many steps it has."""
        if self._writing:
            loop = trainer.fit_loop.epoch_loop
            checkpoint[PLACE] = {
                "epoch_ends": loop._num_ready_batches_reached(),
                "batches": int(trainer.num_training_batches),
                "ranks": trainer.world_size,
            }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Have Lightning go on with the validation that was left, where the epoch or the run was to end.

        Lightning takes a checkpoint from the end of an epoch's last step for one whose validation is done. It
        begins a validation from its first batch where the counters say that it was stopped in that batch.
        """
        place, loops = checkpoint.get(PLACE), checkpoint["loops"]["fit_loop"]
        if place is None:
            return
        elapsed = float(checkpoint["callbacks"].get(self._pace.state_key, {}).get("elapsed", 0.0))
        if not place["epoch_ends"] and not self._pace.at_bound(int(checkpoint["global_step"]), elapsed):
            return
        steps = loops["epoch_loop.batch_progress"]
        steps["is_last_batch"] = True
        steps["total"]["completed"] = steps["total"]["processed"]
        steps["current"] = dict.fromkeys(steps["current"], place["batches"])
        validation = loops["epoch_loop.val_loop.batch_progress"]
        validation["is_last_batch"] = False
        for count in ("total", "current"):
            validation[count] = {"ready": 1, "started": 1, "processed": 0, "completed": 0}

    def _save(self, trainer: pl.Trainer) -> None:
        self._writing = True
        try:
            trainer.save_checkpoint(self._run.last, weights_only=False)
        finally:
            self._writing = False
        self._saved = self._clock()

    def _stop(self, trainer: pl.Trainer) -> None:
        """Raise what has come; on a rank that it has not reached, what the others are stopped by."""
        if trainer.is_global_zero:
            log.info(
                "stopped after step %d, which %s holds; the same command goes on from there",
                trainer.global_step,
                self._run.last.name,
            )
        interrupts.resume()
        raise interrupts.Stopped(interrupts.received() or interrupts.STOPPING[0])

    def _resume(self) -> None:
        interrupts.resume()
        if (signum := interrupts.received()) is not None:
            raise interrupts.Stopped(signum)
