"""What changes while training, as pure functions of how far the run is."""

import math
from datetime import timedelta

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from lightning_modules.caption_options import WordSamplingOptions
from lightning_modules.options import CurriculumOptions, OptimizerOptions, ScheduledSamplingOptions


def training_share(trainer: pl.Trainer) -> float:
    """How far the run is, 0 to 1: of its steps, or of its minutes where those will end it sooner."""
    steps = float(trainer.estimated_stepping_batches)
    share = trainer.global_step / steps if math.isfinite(steps) and steps > 0 else 0.0
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):
            left = callback.time_remaining()
            whole = timedelta(seconds=callback.time_elapsed() + (left or 0.0)).total_seconds()
            if left is not None and whole > 0:
                share = max(share, callback.time_elapsed() / whole)
    return min(share, 1.0)


def learning_rate(options: OptimizerOptions, share: float) -> float:
    """The rate when `share` of the run has passed: a linear warm-up, then a cosine to 0, or constant."""
    if share < options.warmup:
        return options.learning_rate * max(share / options.warmup, 1e-2)
    if options.schedule == "constant":
        return options.learning_rate
    after = (share - options.warmup) / max(1 - options.warmup, 1e-9)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * min(after, 1.0)))


def rollout_steps(options: CurriculumOptions, horizon: int, epoch: int) -> int:
    """How many leads are rolled out in `epoch`: from `start` to the horizon, evenly over `epochs`."""
    if options.start is None:
        return horizon
    grown = (horizon - options.start) * epoch / max(options.epochs, 1)
    return max(1, min(horizon, options.start + math.floor(grown)))


def truth_share(options: ScheduledSamplingOptions, share: float) -> float:
    """The probability that a step of the rollout reads the truth, linear from `start` to `end`."""
    return options.start + (options.end - options.start) * share


def own_share(options: WordSamplingOptions, share: float) -> float:
    """The probability that a word is read from the model's own sentence, linear from `start` to `end`."""
    return options.start + (options.end - options.start) * share
