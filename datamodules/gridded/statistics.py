"""Mean and spread of each channel over the training steps, weighted by cell area, in one float64 pass."""

from collections.abc import Iterable

import numpy as np

FLAT = 1e-7
"""A spread below this share of the mean is float32 noise: the channel does not vary."""


def weighted_moments(blocks: Iterable[np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each channel, two float64 arrays (channel,).

    blocks:  arrays (time, channel, ...cells), in any float type, NaN where a value is missing
    weights: (...cells), not negative: the share of the area of each cell

    Each step of a cell counts with the weight of the cell; missing values do not count. A channel without
    one value gets NaN for both. Blocks are merged as in Chan, Golub and LeVeque (1983), so that no large
    numbers are subtracted. Errors: ValueError when there is no block.
    """
    area = weights.ravel().astype(np.float64)
    total: np.ndarray | None = None
    for block in blocks:
        values = block.reshape(block.shape[0], block.shape[1], area.size).astype(np.float64)
        seen = np.isfinite(values)
        weight = seen.astype(np.float64) @ area
        filled = np.where(seen, values, 0.0)
        count = weight.sum(axis=0)
        middle = (filled @ area).sum(axis=0) / np.where(count > 0, count, 1.0)
        filled -= middle[:, None]
        filled *= seen
        filled *= filled
        here = np.stack([count, middle, (filled @ area).sum(axis=0)])
        total = here if total is None else _merge(total, here)
    if total is None:
        raise ValueError("no block of values to take moments of")
    count, middle, squares = total
    safe = np.where(count > 0, count, 1.0)
    return np.where(count > 0, middle, np.nan), np.where(count > 0, np.sqrt(squares / safe), np.nan)


def _merge(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Moments (weight, mean, sum of squares; each (channel,)) of two sets of values taken together."""
    count = one[0] + other[0]
    share = other[0] / np.where(count > 0, count, 1.0)
    apart = other[1] - one[1]
    return np.stack([count, one[1] + apart * share, one[2] + other[2] + apart**2 * one[0] * share])


def usable_scale(std: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """`std` to divide by: 1 where a channel does not vary, so that it normalises to 0 and not to noise."""
    return np.where(std > FLAT * np.maximum(np.abs(mean), np.finfo(np.float32).tiny), std, 1.0)
