"""The climatology of every cell: what the season and the hour alone would forecast.

Least squares on harmonics of the year and the day, or the mean of each calendar month. Everything streams
over blocks of time in float64, so memory does not grow with the length of the record.
"""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from datamodules.gridded.clock import DAY, clock_features, months_of
from datamodules.gridded.describe import Step

Kind = Literal["mean", "daily", "annual", "harmonic", "monthly"]
"""mean: a constant; daily, annual: two harmonics of that cycle; harmonic: both; monthly: a mean per month."""
HARMONICS = 2
RIDGE = 1e-6
"""Share of the number of steps added to the normal equations, so that cycles that the steps cannot tell
apart (two harmonics of the day at 12-hourly steps) have one answer. The constant is left alone."""
WHOLE_YEAR = 330
"""Distinct days of the year that the training range must cover before an annual cycle is fitted."""
BLOCK_BYTES = 1 << 26
SOLVE_BYTES = 1 << 28


def choose_climatology(step: Step, time: np.ndarray, calendar: str, first: int, stop: int) -> Kind:
    """The richest kind of climatology that the training steps `first` to `stop` - 1 determine.

    "monthly" for steps of months. Else annual terms when the steps cover 330 distinct days of the year
    (longer steps count for all the days they span), daily terms when a step is shorter than a day.
    """
    if step.months is not None:
        return "monthly"
    days = max(1.0, step.hours / 24)
    of_year = clock_features(time[first:stop], calendar)[:, 1].astype(np.float64)
    rounding = 1e-3
    annual = len(np.unique(np.floor((of_year * 365 + rounding) / days))) * days >= WHOLE_YEAR
    daily = step.hours < 24
    if annual:
        return "harmonic" if daily else "annual"
    return "daily" if daily else "mean"


def climatology_basis(kind: Kind, time: np.ndarray, calendar: str) -> np.ndarray:
    """The basis functions of a climatology at each time, float64 (time, basis).

    time: (time,) int64 seconds since 1970 in `calendar`.
    "monthly" gives 12 indicators of the month; the others a constant first, then cosine and sine of each
    harmonic of the year and of the day, and, for "harmonic", the products of the two first harmonics: the
    daily cycle changes with the season. Errors: ValueError for another kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"no climatology '{kind}'; there are {', '.join(get_args(Kind))}")
    time = np.asarray(time, dtype=np.int64)
    if kind == "monthly":
        return np.asarray(np.eye(12)[months_of(time, calendar) - 1])
    year = _cycle(clock_features(time, calendar)[:, 1]) if kind in ("annual", "harmonic") else []
    day = _cycle(np.mod(time, DAY) / DAY) if kind in ("daily", "harmonic") else []
    both = [of_year * of_day for of_year in year[:2] for of_day in day[:2]]
    return np.stack([np.ones(len(time)), *year, *day, *both], axis=1)


def _cycle(fraction: np.ndarray) -> list[np.ndarray]:
    """Cosine and sine of each harmonic of a cycle, of which `fraction` (time,) has passed."""
    angle = 2 * np.pi * fraction.astype(np.float64)
    return [wave(k * angle) for k in range(1, HARMONICS + 1) for wave in (np.cos, np.sin)]


def time_blocks(count: int, cells: int, block: int | None = None) -> Iterator[slice]:
    """Slices that cover `count` steps in order, each `block` steps or some 64 MiB of float64 `cells`."""
    length = block or max(1, BLOCK_BYTES // (8 * max(cells, 1)))
    for start in range(0, count, length):
        yield slice(start, min(start + length, count))


def anomalies(values: np.ndarray, basis: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """`values` less their climatology, float64 (time, ...cells); NaN where either is missing.

    values: (time, ...cells); basis: (time, basis); coefficients: (basis, ...cells), same units as values.
    """
    flat = coefficients.reshape(len(coefficients), -1).astype(np.float64)
    return values.astype(np.float64) - (basis @ flat).reshape(values.shape)


def fit_climatology(
    values: np.ndarray, basis: np.ndarray, kind: Kind, block: int | None = None
) -> np.ndarray:
    """Least-squares coefficients of the climatology of every cell, float32 (basis, ...cells).

    values: (time, ...cells) float32 of the training range, NaN where missing; read `block` steps at a time
    basis:  (time, basis) float64 of `climatology_basis(kind, ...)`

    Steps at which a cell is missing do not count for it. A cell with fewer than two values for each basis
    function keeps only its mean; one that was never seen has NaN. "monthly" gives a month that a cell never
    saw the mean of all its values.
    """
    cells = values.shape[1:]
    size = int(np.prod(cells))
    flat = values.reshape(len(values), size)
    fit = _fit_months if kind == "monthly" else _fit_harmonics
    return fit(flat, basis, block).astype(np.float32).reshape(basis.shape[1], *cells)


def _fit_months(flat: np.ndarray, basis: np.ndarray, block: int | None) -> np.ndarray:
    """Means of each month, float64 (12, cell), of values (time, cell)."""
    total = np.zeros((basis.shape[1], flat.shape[1]))
    count = np.zeros_like(total)
    for part in time_blocks(len(flat), flat.shape[1], block):
        chunk = flat[part].astype(np.float64)
        seen = np.isfinite(chunk)
        total += basis[part].T @ np.where(seen, chunk, 0.0)
        count += basis[part].T @ seen
    overall = np.where(count.sum(0) > 0, total.sum(0) / np.maximum(count.sum(0), 1), np.nan)
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def _fit_harmonics(flat: np.ndarray, basis: np.ndarray, block: int | None) -> np.ndarray:
    """Normal equations for all cells at once; cells with holes of their own have their own matrix."""
    terms = basis.shape[1]
    moments = np.zeros((terms, flat.shape[1]))
    count = np.zeros(flat.shape[1])
    normal = np.zeros((terms, terms))
    frames = 0
    for part in time_blocks(len(flat), flat.shape[1], block):
        chunk = flat[part].astype(np.float64)
        seen = np.isfinite(chunk)
        some = seen.any(axis=1)
        frames += int(some.sum())
        normal += basis[part][some].T @ basis[part][some]
        moments += basis[part].T @ np.where(seen, chunk, 0.0)
        count += seen.sum(axis=0)
    enough = count >= 2 * terms
    whole = enough & (count == frames)
    found = np.full_like(moments, np.nan)
    few = (count > 0) & ~enough
    found[:, few] = 0.0
    found[0, few] = moments[0, few] / count[few]
    if whole.any():
        found[:, whole] = np.linalg.solve(normal + _ridge(terms, np.array(frames)), moments[:, whole])
    holed = np.flatnonzero(enough & ~whole)
    for some_cells in np.array_split(holed, -(-len(holed) * terms * terms * 16 // SOLVE_BYTES) or 1):
        if len(some_cells):
            found[:, some_cells] = _solve_holed(flat, basis, some_cells, moments, count, block)
    return found


def _ridge(terms: int, count: np.ndarray) -> np.ndarray:
    """What is added to normal matrices fitted on `count` (...) steps, (..., basis, basis)."""
    free_constant = np.diag([0.0] + [1.0] * (terms - 1))
    return np.asarray(RIDGE * count[..., None, None] * free_constant)


def _solve_holed(
    flat: np.ndarray,
    basis: np.ndarray,
    cells: np.ndarray,
    moments: np.ndarray,
    count: np.ndarray,
    block: int | None,
) -> np.ndarray:
    """Coefficients (basis, cell) of `cells`, each with the normal matrix of the steps it was seen at."""
    terms = basis.shape[1]
    row, column = np.triu_indices(terms)
    upper = np.zeros((len(row), len(cells)))
    for part in time_blocks(len(flat), flat.shape[1], block):
        seen = np.isfinite(flat[part][:, cells]).astype(np.float64)
        upper += (basis[part][:, row] * basis[part][:, column]).T @ seen
    normal = np.empty((len(cells), terms, terms))
    normal[:, row, column] = upper.T
    normal[:, column, row] = upper.T
    normal += _ridge(terms, count[cells])
    return np.asarray(np.linalg.solve(normal, moments[:, cells].T[..., None])[..., 0].T)
