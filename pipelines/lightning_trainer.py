"""A Lightning trainer from settings: device, precision, bounds, checkpoints, averaging, progress."""

import logging
import random
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor

from datamodules.errors import InputError
from lightning_modules.optimization import EpochMeans
from lightning_modules.pace import Pace
from pipelines import interrupts
from pipelines.best_checkpoints import BestCheckpoints
from pipelines.checkpoint_files import CheckedFiles
from pipelines.data_stalls import DataStalls
from pipelines.last_checkpoint import LastCheckpoint
from pipelines.placement import cluster_environment
from pipelines.rundir import RunDir
from pipelines.settings import Settings, TrainerOptions
from pipelines.strategies import build_strategy, on_gpu
from pipelines.tell_plan import TellPlan
from pipelines.tracking.logger import JournalLogger
from pipelines.training_progress import progress_callbacks

log = logging.getLogger(__name__)

Chosen = tuple[str, Literal["min", "max"]]
LOSS: Chosen = ("validation/loss", "min")


def precision_of(options: TrainerOptions) -> str:
    """Lightning's name of the precision; "auto" is bf16 where the processor multiplies it natively."""
    if options.precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu(options) else torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if fast else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[options.precision]


def build_trainer(
    settings: Settings,
    run: RunDir,
    logger: JournalLogger | None,
    chosen_by: Chosen | None = None,
    goes_on: bool = False,
    **more: Any,
) -> pl.Trainer:
    """The trainer of one run. `logger` None leaves nothing behind (evaluation).

    chosen_by: the figure that chooses the best checkpoint, and whether "min" or "max" of it is best.
    goes_on:   whether steps were taken in an earlier launch.

    Errors: InputError when the machine lacks the GPUs that the settings ask for.
    """
    options = settings.trainer
    require_gpus(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    callbacks = progress_callbacks(options)
    if logger is None:
        callbacks.append(StopBetweenBatches())
    else:
        pace = Pace(options.max_steps, options.max_minutes)
        plan = TellPlan(settings, run, precision_of(options), goes_on=goes_on)
        callbacks = [pace, EpochMeans(), plan, *callbacks, RandomSteps(settings.seed), DataStalls(settings)]
        callbacks += _keepers(settings, run, pace, chosen_by or LOSS)
    trainer = pl.Trainer(
        accelerator="gpu" if on_gpu(options) else "cpu",
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=build_strategy(options),
        precision=precision_of(options),  # type: ignore[arg-type]
        max_epochs=options.max_epochs or -1,
        accumulate_grad_batches=options.accumulate,
        gradient_clip_val=settings.optimizer.gradient_clip,
        deterministic=options.deterministic,
        logger=logger or False,
        callbacks=callbacks,
        plugins=[cluster_environment(), CheckedFiles()],
        default_root_dir=run.path,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=logger is not None,
        enable_model_summary=False,
        enable_progress_bar=any("ProgressBar" in type(callback).__name__ for callback in callbacks),
        **more,
    )
    _leave_signals_alone(trainer)
    return trainer


def _leave_signals_alone(trainer: pl.Trainer) -> None:
    """Take Lightning's hands off signals: it broadcasts from within a handler, which can wait for ever, and
    once more before every step, which waits for the GPU. `pipelines.last_checkpoint` stops all ranks at the
    end of one step instead."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


def require_gpus(options: TrainerOptions) -> None:
    """Return when the machine has the GPUs that `options` ask for."""
    there = torch.cuda.device_count()
    wanted = 1 if options.devices == "auto" else options.devices
    if options.accelerator == "gpu" and wanted > there:
        raise InputError(
            f"trainer.accelerator=gpu with trainer.devices={options.devices}: this machine has {there} GPUs "
            "that PyTorch can use; choose trainer=cpu, trainer=auto or fewer devices"
        )


def _keepers(settings: Settings, run: RunDir, pace: Pace, chosen_by: Chosen) -> list[Callback]:
    """What ends a run, averages its weights, and keeps its checkpoints.

    Checkpoints are whole: Lightning puts the averaged weights, which are the validated ones, into no other.
    """
    options, found = settings.trainer, list[Callback]()
    if options.patience is not None:
        found.append(Patience(chosen_by[0], mode=chosen_by[1], patience=options.patience))
    if settings.optimizer.ema is not None:
        found.append(MovingAverage(settings.optimizer.ema))
    best = BestCheckpoints(run.checkpoints, *chosen_by, keep=options.keep_best)
    return [*found, best, LastCheckpoint(run, pace, options.checkpoint_minutes)]


class StopBetweenBatches(Callback):
    """Ends a test where a signal has come that Python lost: it drops what is raised in some of its hooks."""

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Raise `Stopped` again."""
        if (signum := interrupts.received()) is not None:
            raise interrupts.Stopped(signum)


class RandomSteps(Callback):
    """What is random within a step (dropout, noise) follows from the seed, the rank and the batch alone.

    There is no generator's state to save: a run that was stopped goes on as if it had not been. It holds for
    the generators of PyTorch (on all devices), NumPy and Python; those of data workers follow from the seed,
    the epoch and the sample.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed every generator for this batch, counted over the whole run."""
        batch_number = trainer.fit_loop.epoch_loop.total_batch_idx
        place = np.random.SeedSequence([self.seed, trainer.global_rank, batch_number])
        first, second, third = (int(number) for number in place.generate_state(3))
        torch.manual_seed(first)
        np.random.seed(second)
        random.seed(third)


class Patience(EarlyStopping):
    """Early stopping that is as patient as the settings say, also where a run goes on with other ones."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what has been waited, not how long to wait."""
        super().load_state_dict({**state_dict, "patience": self.patience})


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights (Polyak and Juditsky 1992), short at first: it is what is
    validated, kept and used."""

    def __init__(self, decay: float) -> None:
        def average(kept: Tensor, current: Tensor, count: Tensor) -> Tensor:
            now = torch.clamp((1 + count) / (4 + count), max=decay)
            return kept + (1 - now) * (current - kept)

        super().__init__(use_buffers=False, avg_fn=average)
