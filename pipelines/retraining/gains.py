"""The gain of a challenger, cell by cell, and what it may as well be: both models drawn anew together."""

import numpy as np

from pipelines.retraining.bootstrap import block_length, resampled_sums
from pipelines.retraining.gate_options import GateOptions
from pipelines.retraining.paired import Paired

WHOLE = "all"
"""The part of a cell that stands for the whole: what the mean gain is taken over."""


def in_time(paired: Paired) -> bool:
    """Whether the cases are forecasts, which follow one another; clips do not."""
    return any(cell.lead for cell in paired.cells)


def block_of(paired: Paired, valid: np.ndarray, options: GateOptions) -> int:
    """Cases drawn together: as asked for, or as the differences hang together; never less than they share."""
    if options.block is not None or not in_time(paired):
        return max(options.block or 1, paired.least_block)
    whole = np.array([cell.part == WHOLE for cell in paired.cells])
    return block_length(_influence(paired, valid)[:, whole].mean(axis=1), paired.least_block)


def _influence(paired: Paired, valid: np.ndarray) -> np.ndarray:
    """How much each case moves the gain of each cell, (case, cell): the gain's first-order expansion."""
    share = valid / np.maximum(valid.mean(axis=0), 1e-12)
    (champion,), (challenger,) = (
        _means(values, valid, np.ones((1, len(values)))) for values in (paired.champion, paired.challenger)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = share * (
            np.where(valid, paired.challenger, 0.0) / challenger
            - np.where(valid, paired.champion, 0.0) / champion
        )
        ratio = challenger / champion
        found = moved * (ratio if paired.form == "mean" else -np.sqrt(ratio) / 2)
    return np.where(np.isfinite(found), found, 0.0)


def _means(values: np.ndarray, valid: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means over cases drawn `counts` (resample, case) times, (resample, cell); NaN where none counts."""
    with np.errstate(invalid="ignore"):
        return np.asarray(counts @ np.where(valid, values, 0.0) / (counts @ valid))


def gains_of(
    paired: Paired, valid: np.ndarray, block: int, options: GateOptions, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gains of the cells, (cell,), and of each resample, (resample, cell); NaN where nothing counts."""
    champion, challenger = (np.where(valid, one, 0.0) for one in (paired.champion, paired.challenger))
    columns = np.concatenate([champion, challenger, valid], axis=1)
    drawn = resampled_sums(columns, block, options.resamples, np.random.default_rng(seed))
    cells = len(paired.cells)
    whole, each = (
        relative_gain(sums[..., :cells], sums[..., cells : 2 * cells], sums[..., 2 * cells :], paired.form)
        for sums in (columns.sum(axis=0), drawn)
    )
    return whole, each


def relative_gain(champion: np.ndarray, challenger: np.ndarray, count: np.ndarray, form: str) -> np.ndarray:
    """The challenger's gain on the champion from sums over `count` cases; NaN where none counts.

    Where the champion makes no error (or scores nothing) a share of it means nothing: equal is a gain of 0,
    an error where it had none -1, a score where it had none 1. A score gains at most 1, so that one cell in
    which the champion hardly scored does not outweigh all others.
    """
    nothing = champion <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        if form == "mean":
            found = np.minimum(challenger / champion - 1, 1.0)
            edge = np.where(challenger > champion, 1.0, 0.0)
        else:
            found = 1 - np.sqrt(challenger / champion)
            edge = np.where(challenger > champion, -1.0, 0.0)
    return np.where(count > 0, np.where(nothing, edge, found), np.nan)


def mean_gain(
    figures: np.ndarray, resampled: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean over chosen cells that have a figure, (1,), and of each resample, (resample, 1)."""
    chosen = chosen & np.isfinite(figures)
    if not chosen.any():
        return np.array([np.nan]), np.full((len(resampled), 1), np.nan)
    inside = resampled[:, chosen]
    known = np.isfinite(inside)
    with np.errstate(invalid="ignore"):
        means = np.where(known, inside, 0.0).sum(axis=1) / known.sum(axis=1)
    return figures[chosen].mean(keepdims=True), means[:, None]
