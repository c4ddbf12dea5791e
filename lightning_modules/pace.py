"""How far a run is and when it ends, the same on every rank at every step."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import Callback

Wish = Callable[[], bool]


class Pace(Callback):
    """Bounds a run by steps and minutes, and has all ranks agree on what only one of them knows.

    max_steps:   steps of the optimiser after which training ends, None for no bound
    max_minutes: of training, over all launches of the run; None for no bound
    wishes:      what a rank may wish for, by name; `agreed(name)` is True from the end of a step on, on every
                 rank, once any rank has wished for it
    elapsed:     seconds of training over all launches, by the clock of the first rank

    The ranks exchange a few numbers while a step computes, so that nobody waits for them: each of the step's
    ends knows what was wished for before the step began. Lightning's own bounds are not used: its `max_steps`
    counts an epoch twice when it goes on from an epoch's end, and its Timer lets ranks decide by their own
    clocks and sends a pickle at every step.
    """

    def __init__(
        self,
        max_steps: int | None = None,
        max_minutes: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_steps, self.max_minutes = max_steps, max_minutes
        self.wishes: dict[str, Wish] = {}
        self.elapsed = 0.0
        self._clock = clock
        self._started = 0.0
        self._before = 0.0
        self._heard: dict[str, bool] = {}
        self._group: Any = None
        self._numbers = torch.zeros(0)
        self._work: Any = None

    def agreed(self, name: str) -> bool:
        """Whether any rank wished for `name` before the present step, or the present validation batch."""
        return self._heard.get(name, False)

    def at_bound(self, step: int, elapsed: float) -> bool:
        """Whether a run that has taken `step` steps in `elapsed` seconds has nothing left to train."""
        by_steps = self.max_steps is not None and step >= self.max_steps
        by_time = self.max_minutes is not None and elapsed >= 60 * self.max_minutes
        return by_steps or by_time

    def share(self, trainer: pl.Trainer) -> float:
        """How far the run is, 0 to 1: of its steps, its epochs or its minutes, whichever ends it first.

        Epochs count by what is read of them: a run that goes on with another batch or other ranks is where it
        was. Where `max_steps` bounds the run minutes do not count: what follows from the share is the same
        on a slow day.
        """
        shares = [0.0]
        if self.max_steps is not None:
            shares.append(trainer.global_step / self.max_steps)
        if trainer.max_epochs is not None and trainer.max_epochs >= 0:
            batches = trainer.fit_loop.epoch_loop.batch_progress.current.completed
            epochs = trainer.current_epoch + batches / int(trainer.num_training_batches)
            shares.append(epochs / trainer.max_epochs)
        if self.max_minutes is not None and self.max_steps is None:
            shares.append(self.elapsed / (60 * self.max_minutes))
        return min(max(shares), 1.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started, self._before = self._clock(), self.elapsed
        if trainer.world_size > 1 and self._group is None:
            self._group = dist.new_group(backend="gloo")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that goes on from its bound ends after the validation that was left."""
        self._end_at_bound(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Send this rank's wishes."""
        self._send(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Hear what all ranks wish; the last step is the same on all of them, and whole."""
        self._hear(trainer)
        if not trainer.fit_loop._should_accumulate():
            self._end_at_bound(trainer)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Send this rank's wishes, where validation is part of training."""
        if trainer.state.fn == "fit":
            self._send(trainer)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hear what all ranks wish."""
        if trainer.state.fn == "fit":
            self._hear(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Seconds of training so far."""
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.elapsed = float(state_dict["elapsed"])

    def _wished(self, trainer: pl.Trainer) -> list[float]:
        """This rank's wishes, and the first rank's clock."""
        spent = self._before + self._clock() - self._started
        return [
            spent if trainer.global_rank == 0 else 0.0,
            *(float(wish()) for _, wish in sorted(self.wishes.items())),
        ]

    def _send(self, trainer: pl.Trainer) -> None:
        if trainer.world_size > 1:
            self._numbers = torch.tensor(self._wished(trainer), dtype=torch.float64)
            self._work = dist.all_reduce(
                self._numbers, op=dist.ReduceOp.MAX, group=self._group, async_op=True
            )

    def _hear(self, trainer: pl.Trainer) -> None:
        if trainer.world_size > 1:
            self._work.wait()
            found = self._numbers.tolist()
        else:
            found = self._wished(trainer)
        self.elapsed = found[0]
        self._heard = {name: value > 0 for name, value in zip(sorted(self.wishes), found[1:], strict=True)}

    def _end_at_bound(self, trainer: pl.Trainer) -> None:
        if self.at_bound(trainer.global_step, self.elapsed):
            trainer.should_stop = True


def training_share(trainer: pl.Trainer) -> float:
    """How far the run is, 0 to 1, by its `Pace`. ValueError when the trainer has none."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Pace):
            return callback.share(trainer)
    raise ValueError("the trainer needs a Pace among its callbacks: what changes in training follows from it")
