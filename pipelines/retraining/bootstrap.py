"""How sure a figure is: circular moving-block resampling of cases that follow one another in time.

Blocks of neighbouring cases are drawn with replacement and laid end to end, so that what neighbours share
stays together: Kunsch (1989), Annals of Statistics 17, 1217-1241. The series is closed to a circle (Politis
and Romano 1992, in Exploring the Limits of Bootstrap), so that each case is drawn equally often and the
resamples centre on the figure itself. Blocks of one case are the ordinary bootstrap.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

FEWEST_BLOCKS = 8
"""With fewer blocks the spread between them says too little of how sure a figure is."""
COUNT_BYTES = 1 << 24


@dataclass(frozen=True)
class Interval:
    """A figure and what it may as well be, by chance: `low` to `high` at a confidence told beside it."""

    value: float
    low: float
    high: float

    def as_plain(self) -> dict[str, float | None]:
        """value, low, high; None for what is not defined (JSON knows no NaN)."""
        found = {"value": self.value, "low": self.low, "high": self.high}
        return {name: value if math.isfinite(value) else None for name, value in found.items()}


def block_length(series: np.ndarray, least: int = 1) -> int:
    """Cases a block: long enough for what neighbours share, at least `least` and at least cases^(1/3).

    series: (case,) the differences whose mean is judged, NaN where a case has none (it counts as the mean).
    The length comes from their autocorrelation as in Politis and White (2004), Econometric Reviews 23, 53-70,
    with the correction of Patton, Politis and White (2009), for the circular bootstrap: the lags up to the
    first five in a row that are no more than chance, in a flat-top window; at most a third of the cases or
    3 cases^(1/2), as there. That length is best for a variance; the ends of an interval want a longer one, so
    it is half as long again where at least FEWEST_BLOCKS of them fit.
    """
    known = np.isfinite(series)
    count = len(series)
    if count < 4 or not known.any():
        return max(least, 1)
    departures = np.where(known, series - series[known].mean(), 0.0)
    rule = math.ceil(count ** (1 / 3))
    largest = np.abs(departures).max()
    if not largest:
        return max(least, rule)
    departures = departures / largest  # the length is that of any multiple, and no square of it is too small
    covariance = _autocovariance(departures, min(count - 1, 2 * math.ceil(math.sqrt(count)) + 10))
    longest = math.ceil(min(3 * math.sqrt(count), count / 3))
    best = min(_politis_white(covariance, count), longest)
    return max(least, rule, best, min(math.ceil(1.5 * best), count // FEWEST_BLOCKS))


def _autocovariance(departures: np.ndarray, lags: int) -> np.ndarray:
    """Autocovariances of lags 0 to `lags`, each divided by the number of all cases."""
    count = len(departures)
    return np.array([departures[: count - lag] @ departures[lag:] for lag in range(lags + 1)]) / count


def _politis_white(covariance: np.ndarray, count: int) -> int:
    """The optimal length of a block by the autocovariances of lags 0, 1, ..."""
    correlation = covariance / covariance[0]
    chance = 2 * math.sqrt(math.log10(count) / count)
    in_a_row = max(5, math.ceil(math.sqrt(math.log10(count))))
    small = np.concatenate([np.abs(correlation[1:]) < chance, np.ones(in_a_row, dtype=bool)])
    runs = np.convolve(small, np.ones(in_a_row), "valid") == in_a_row
    last = max(int(np.argmax(runs)), 1)
    lags = np.arange(1, min(2 * last, len(covariance) - 1) + 1)
    window = np.clip(2 * (1 - lags / (2 * last)), 0, 1)
    weighted = window * covariance[lags]
    spread = covariance[0] + 2 * weighted.sum()
    slope = 2 * (lags * weighted).sum()
    if spread <= 0:
        return 1
    return math.ceil((2 * slope**2 / (4 / 3 * spread**2)) ** (1 / 3) * count ** (1 / 3))


def resampled_sums(columns: np.ndarray, block: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sums over the cases of each resample, float64 (resample, column); as many cases each as there are.

    columns: (case, column), finite: a value that is missing is 0 here and counted in a column of its own.
    """
    cases = len(columns)
    found = np.empty((resamples, columns.shape[1]))
    at_once = max(1, COUNT_BYTES // (8 * cases))
    for first in range(0, resamples, at_once):
        some = slice(first, min(first + at_once, resamples))
        found[some] = _counts(cases, block, some.stop - some.start, rng) @ columns
    return found


def _counts(cases: int, block: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each resample holds each case, float64 (resample, case); the last block is cut to fit."""
    blocks = -(-cases // block)
    starts = rng.integers(0, cases, (resamples, blocks, 1))
    drawn = ((starts + np.arange(block)) % cases).reshape(resamples, -1)[:, :cases]
    places = drawn + cases * np.arange(resamples)[:, None]
    found = np.bincount(places.ravel(), minlength=resamples * cases)
    return found.reshape(resamples, cases).astype(np.float64)


def intervals(
    values: np.ndarray, resampled: np.ndarray, blocks: float, confidence: float = 0.95
) -> list[Interval]:
    """An interval a figure from its resamples: percentiles, moved outwards because blocks are few.

    values: (figure,); resampled: (resample, figure), NaN where a resample had nothing to count.
    blocks: how many blocks fit into the cases. The percentiles are those of Hesterberg (2015), The American
    Statistician 69, 371-386, section 5.3, with blocks in place of cases: at
    Phi(-sqrt(k / (k - 1)) t), t the quantile of Student's distribution with k - 1 degrees of freedom.
    """
    share = _tail(blocks, confidence)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(resampled).any(axis=0) & np.isfinite(values)
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if known.any():
        low[known], high[known] = np.nanquantile(resampled[:, known], [share, 1 - share], axis=0)
    return [
        Interval(float(value), float(one), float(other))
        for value, one, other in zip(values, low, high, strict=True)
    ]


def _tail(blocks: float, confidence: float) -> float:
    """The share of resamples beyond each end of an interval of this confidence."""
    freedom = max(blocks - 1, 1.0)
    reach = math.sqrt((freedom + 1) / freedom) * student_quantile((1 + confidence) / 2, freedom)
    return NormalDist().cdf(-reach)


@lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's distribution, of a probability from 0.5 to below 1.

    With tan(a) = t / sqrt(freedom) the density goes with cos(a)^(freedom - 1): summed on a fine grid.
    """
    angle = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angle) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    found = float(np.interp(2 * probability - 1, mass / mass[-1], angle))
    return math.sqrt(freedom) * math.tan(found)
