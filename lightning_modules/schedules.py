"""What changes while training, as pure functions of how far the run is."""

import math

from lightning_modules.caption_options import WordSamplingOptions
from lightning_modules.options import CurriculumOptions, OptimizerOptions, ScheduledSamplingOptions


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
