"""How much of today's anomaly is left after each lead time: the damped-persistence reference.

Per cell, the regression through the origin of the anomaly at lead l on the last observed anomaly, over the
windows of the training range. Needs one block of time in memory, and two sums per lead and cell.
"""

import numpy as np

from datamodules.gridded.climatology import BLOCK_BYTES, anomalies, time_blocks
from datamodules.gridded.windows import valid_starts

SHARED_WINDOWS = 100.0
"""How many windows the common factor of a channel weighs in the factor of a cell."""
POOL_BYTES = 1_000_000_000
"""Maps whose sums would take more than this share one factor per row of cells."""


def fit_damping(
    values: np.ndarray,
    basis: np.ndarray,
    coefficients: np.ndarray,
    tick: np.ndarray,
    history: int,
    horizon: int,
    block: int | None = None,
    shared: float = SHARED_WINDOWS,
) -> np.ndarray:
    """Factors in [0, 1] of the last observed anomaly at each lead, float32 (horizon, ...cells).

    values: (time, ...cells) of the training range; basis: (time, basis); coefficients: (basis, ...cells);
    tick: (time,). Only pairs of whole windows count, and of those the ones with both values seen. A cell
    without one pair gets 0: its climatology. `shared` windows more are counted for every cell, as if they had
    shown the factor that its channel has in common: a short record cannot tell the cells apart.

    Where `horizon` x cells x 8 bytes exceeds 1 GB, the last axis is pooled (one factor for each row of
    cells) and comes back with length 1, to be broadcast.
    """
    cells = values.shape[1:]
    size = int(np.prod(cells))
    pool = horizon * size * 8 > POOL_BYTES
    kept = (*cells[:-1], 1) if pool else cells
    products = np.zeros((horizon, *kept))
    squares = np.zeros((horizon, *kept))
    issued = np.zeros(len(values), dtype=bool)
    issued[valid_starts(tick, history, horizon) + history - 1] = True
    bytes_each = 8 * max(size, 1)
    length = block or max(min(horizon, 4 * BLOCK_BYTES // bytes_each), BLOCK_BYTES // (4 * bytes_each), 1)
    for part in time_blocks(len(values), size, length):
        base = np.flatnonzero(issued[part])
        if len(base) == 0:
            continue
        reach = slice(part.start, min(part.stop + horizon, len(values)))
        departure = anomalies(values[reach], basis[reach], coefficients)
        seen = np.isfinite(departure)
        departure[~seen] = 0.0
        last = departure[base]
        power = last**2
        fixed = bool((seen.any(axis=0) == seen.all(axis=0)).all())
        same = _total(power, None, pool) if fixed else None
        for lead in range(1, horizon + 1):
            products[lead - 1] += _total(last, departure[base + lead], pool)
            squares[lead - 1] += _total(power, seen[base + lead], pool) if same is None else same
    factor = _shrunk(products, squares, shared / max(int(issued.sum()), 1))
    return np.clip(factor, 0.0, 1.0).astype(np.float32)


def _shrunk(products: np.ndarray, squares: np.ndarray, share: float) -> np.ndarray:
    """Regressions (lead, channel, ...cells), drawn towards their channel's common one by `share`."""
    over = tuple(range(2, products.ndim))
    total = squares.sum(axis=over, keepdims=True)
    common = np.divide(
        products.sum(axis=over, keepdims=True), total, out=np.zeros_like(total), where=total > 0
    )
    drawn = products + share * squares * common
    return np.divide(drawn, squares * (1 + share), out=np.zeros_like(products), where=squares > 0)


def _total(one: np.ndarray, other: np.ndarray | None, pool: bool) -> np.ndarray:
    """Sum over time of `one` x `other` (time, ...cells), (...cells); also over the last axis with `pool`."""
    total = one.sum(axis=0) if other is None else np.einsum("t...,t...->...", one, other)
    return np.asarray(total.sum(axis=-1, keepdims=True) if pool else total)
