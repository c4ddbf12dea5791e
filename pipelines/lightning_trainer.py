"""A Lightning trainer from settings: device, precision, bounds, checkpoints, averaging, progress."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    Timer,
    WeightAveraging,
)
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

from datamodules.errors import InputError
from pipelines.rundir import RunDir
from pipelines.settings import Settings, TrainerOptions
from pipelines.tracking.logger import JournalLogger
from pipelines.training_progress import progress_callbacks

log = logging.getLogger(__name__)

Chosen = tuple[str, Literal["min", "max"]]
LOSS: Chosen = ("validation/loss", "min")


def precision_of(options: TrainerOptions) -> str:
    """Lightning's name of the precision; "auto" is bf16 where the processor multiplies it natively."""
    on_gpu = options.accelerator == "gpu" or (options.accelerator == "auto" and torch.cuda.is_available())
    if options.precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if fast else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed"}[options.precision]


def build_trainer(
    settings: Settings,
    run: RunDir,
    logger: JournalLogger | None,
    chosen_by: Chosen | None = None,
    **more: Any,
) -> pl.Trainer:
    """The trainer of one run. `logger` None leaves nothing behind (evaluation).

    chosen_by: the figure that chooses the best checkpoint, and whether "min" or "max" of it is best.

    Errors: InputError when the machine lacks the GPUs that the settings ask for.
    """
    options = settings.trainer
    _require_gpus(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    callbacks = [*progress_callbacks(options), RandomSteps(settings.seed)]
    callbacks += _keepers(settings, run, chosen_by or LOSS) if logger else []
    return pl.Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=_strategy(options),
        precision=precision_of(options),  # type: ignore[arg-type]
        max_epochs=options.max_epochs or -1,
        max_steps=options.max_steps or -1,
        gradient_clip_val=settings.optimizer.gradient_clip,
        deterministic=options.deterministic,
        logger=logger or False,
        callbacks=callbacks,
        default_root_dir=run.path,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=logger is not None,
        enable_model_summary=False,
        enable_progress_bar=any("ProgressBar" in type(callback).__name__ for callback in callbacks),
        **more,
    )


def _require_gpus(options: TrainerOptions) -> None:
    """Return when the machine has the GPUs that `options` ask for."""
    there = torch.cuda.device_count()
    wanted = 1 if options.devices == "auto" else options.devices
    if options.accelerator == "gpu" and wanted > there:
        raise InputError(
            f"trainer.accelerator=gpu with trainer.devices={options.devices}: this machine has {there} GPUs "
            "that PyTorch can use; choose trainer=cpu, trainer=auto or fewer devices"
        )


def _strategy(options: TrainerOptions) -> str | DDPStrategy:
    """Lightning's own choice, or DDP with the process group's backend."""
    if options.strategy == "ddp":
        return DDPStrategy(process_group_backend=options.backend)
    return "auto"


def _keepers(settings: Settings, run: RunDir, chosen_by: Chosen) -> list[Callback]:
    """What ends a run, averages its weights, and keeps its checkpoints.

    Checkpoints are whole: Lightning puts the averaged weights, which are the validated ones, into no other.
    """
    options, found = settings.trainer, list[Callback]()
    if options.max_minutes is not None:
        found.append(Timer(timedelta(minutes=options.max_minutes), interval="step", verbose=False))
    if options.patience is not None:
        found.append(EarlyStopping(chosen_by[0], mode=chosen_by[1], patience=options.patience))
    if settings.optimizer.ema is not None:
        found.append(MovingAverage(settings.optimizer.ema))
    keep = partial(ModelCheckpoint, dirpath=str(run.checkpoints), enable_version_counter=False)
    every = timedelta(minutes=options.checkpoint_minutes)
    found += [
        keep(filename="best", monitor=chosen_by[0], mode=chosen_by[1], save_on_train_epoch_end=False),
        keep(filename="last", every_n_epochs=1, save_on_train_epoch_end=True),
        keep(filename="last", train_time_interval=every),
    ]
    return found


class RandomSteps(Callback):
    """What is random within a step (dropout, noise) follows from the seed, the step and the rank alone.

    There is no generator's state to save: a run that was stopped goes on as if it had not been.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the step."""
        place = np.random.SeedSequence([self.seed, trainer.global_rank, trainer.global_step])
        torch.manual_seed(int(place.generate_state(1)[0]))


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights (Polyak and Juditsky 1992), short at first: it is what is
    validated, kept and used."""

    def __init__(self, decay: float) -> None:
        def average(kept: Tensor, current: Tensor, count: Tensor) -> Tensor:
            now = torch.clamp((1 + count) / (4 + count), max=decay)
            return kept + (1 - now) * (current - kept)

        super().__init__(use_buffers=False, avg_fn=average)
