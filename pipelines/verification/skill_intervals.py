"""How sure a skill is: forecasts drawn anew in blocks, forecast and reference together."""

import math

import numpy as np

from pipelines.retraining.bootstrap import FEWEST_BLOCKS, Interval, block_length, intervals, resampled_sums

RESAMPLES = 2000


def skill(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """1 - rmse / rmse of the reference from squared errors on the same values; NaN where it makes none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(theirs > 0, 1 - np.sqrt(ours / theirs), np.nan)


def overlap(reference: np.ndarray, lead_hours: float) -> int:
    """How many consecutive forecasts, issued at `reference` (seconds, in order), cover a common moment."""
    if len(reference) < 2:
        return 1
    return max(1, math.ceil(lead_hours * 3600 / float(np.median(np.diff(reference)))))


def skill_block(ours: np.ndarray, theirs: np.ndarray, least: int) -> int:
    """Forecasts that are drawn together, from squared errors (case, figure): see `block_length`.

    At most an eighth of the forecasts, unless more than that cover common moments: a description may be a
    little too sure where errors hang together for very long, other than the gate of retraining.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(ours.sum(axis=0) / theirs.sum(axis=0))
        moved = ratio * (theirs / theirs.mean(axis=0) - ours / ours.mean(axis=0))
    known = np.isfinite(moved)
    series = np.where(known, moved, 0.0).sum(axis=1) / max(1, int(known.any(axis=0).sum()))
    return min(block_length(series, least), max(least, len(ours) // FEWEST_BLOCKS, 1))


def skill_intervals(
    ours: np.ndarray, theirs: np.ndarray, block: int, confidence: float, seed: int
) -> list[Interval]:
    """An interval a figure of the skill, from squared errors (case, figure) in order of time.

    low and high are NaN where fewer than eight blocks fit into the cases: they could not tell.
    """
    value = skill(ours.sum(axis=0), theirs.sum(axis=0))
    if len(ours) < FEWEST_BLOCKS * block:
        return [Interval(float(one), math.nan, math.nan) for one in value]
    columns = np.concatenate([ours, theirs], axis=1)
    drawn = resampled_sums(columns, block, RESAMPLES, np.random.default_rng(seed))
    half = ours.shape[1]
    return intervals(value, skill(drawn[:, :half], drawn[:, half:]), len(ours) / block, confidence)
