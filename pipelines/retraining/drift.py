"""How far new data are from those that the champion learned from: PSI and Kolmogorov-Smirnov.

Maps are compared as departures from the climatology, in standard deviations, so that a season is no drift.
Neighbouring steps and cells say nearly the same, so the textbook p-value of the Kolmogorov-Smirnov test would
call every month a drift. What is told instead is how many stretches of the training years, as long as the new
data, depart as far from the rest of them: an empirical null that keeps all correlation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from datamodules.options import Options
from pipelines.rundir import RunDir
from pipelines.settings import Settings

if TYPE_CHECKING:
    from datamodules.gridded.store import Store

CELLS, STEPS = 240, 1500
"""Cells and steps at most that are compared, evenly chosen (cells by their area)."""
BINS = 10
FEWEST = 20
"""Values of a sample below which nothing is told."""
FREQUENT = 50
"""Words of the training captions that have a class of their own; the rest share one."""


class DriftOptions(Options):
    """From when on a change of the data counts as drift; all three must say so.

    psi: population stability index; 0.1 is usually called small, 0.25 large.
    ks: largest distance of the two distribution functions, 0 to 1.
    p: share of the training stretches of the same length that depart as far.
    """

    psi: float = Field(default=0.25, gt=0)
    ks: float = Field(default=0.15, gt=0, lt=1)
    p: float = Field(default=0.1, gt=0, le=1)


@dataclass(frozen=True)
class DriftRow:
    """How far one variable has moved; ks_p is None where the past is too short to tell.

    old, new: means, in the units of the row ("deviations from the climatology", "words").
    """

    variable: str
    psi: float
    ks: float
    ks_p: float | None
    drifted: bool
    old: float
    new: float


@dataclass(frozen=True)
class DriftReport:
    """A row a variable; `note` says why there are none, or what was compared with what."""

    rows: tuple[DriftRow, ...]
    note: str

    @property
    def drifted(self) -> bool:
        """Whether anything has drifted."""
        return any(row.drifted for row in self.rows)

    def as_plain(self) -> dict[str, Any]:
        """JSON values: drifted, note, rows."""
        return {"drifted": self.drifted, "note": self.note, "rows": [asdict(row) for row in self.rows]}


def drift_report(champion: RunDir, settings: Settings, options: DriftOptions) -> DriftReport:
    """What has arrived since the champion was made, against what it learned from. Errors: InputError."""
    if settings.task.kind == "forecast":
        return _of_maps(champion, settings, options)
    return _of_clips(champion, settings, options)


def psi(old: np.ndarray, new: np.ndarray) -> float:
    """Population stability index over the deciles of `old`: sum of (p - q) log(p / q); 0 where nothing moved.

    Half a value is added to each class, so that an empty one stays finite (Siddiqi 2006, Credit Risk
    Scorecards, names the index and its usual bounds).
    """
    edges = np.unique(np.quantile(old, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in (old, new)]
    return psi_of_counts(*counts)


def psi_of_counts(old: np.ndarray, new: np.ndarray) -> float:
    """The index of two histograms over the same classes."""
    p, q = ((one + 0.5) / (one + 0.5).sum() for one in (np.asarray(old, float), np.asarray(new, float)))
    return float(((q - p) * np.log(q / p)).sum())


def ks_distance(old: np.ndarray, new: np.ndarray) -> float:
    """The two-sample Kolmogorov-Smirnov statistic: the largest distance of the distribution functions."""
    old, new = np.sort(old), np.sort(new)
    every = np.concatenate([old, new])
    shares = [np.searchsorted(one, every, side="right") / len(one) for one in (old, new)]
    return float(np.abs(shares[0] - shares[1]).max())


def _of_maps(champion: RunDir, settings: Settings, options: DriftOptions) -> DriftReport:
    """Departures of the new steps against those of the champion's years."""
    from pipelines.forecasts.data import packed
    from pipelines.forecasts.kept import kept_model
    from pipelines.retraining.champion_data import seen_maps

    store = packed(settings.maps, Path(settings.paths.stores))
    kept, fitted = kept_model(champion)
    if kept.names != store.names or not _same_places(kept, store):
        return DriftReport((), "the champion knows other variables or another grid: nothing can be compared")
    seen = seen_maps(champion, store)
    old, new = (np.flatnonzero(chosen) for chosen in (store.time <= seen.learnt, store.time > seen.end))
    if len(new) == 0:
        return DriftReport((), "nothing has arrived since the champion was made")
    climate = _climate(store, fitted.kind, fitted.coefficients, old)
    if climate is None:
        return DriftReport(
            (), "the champion's data are no whole year: a season could not be told from a drift"
        )
    kind, coefficients = climate
    thin = max(1, -(-len(old) // STEPS))
    cells = _cells(store.grid.cell_area)
    departures = [_departures(store, kind, coefficients, one[::thin], cells) for one in (old, new)]
    rows = []
    for number, name in enumerate(store.names):
        before, after = (one[:, number] for one in departures)
        scale = float(np.nanstd(before)) if np.isfinite(before).any() else 0.0
        found = _row(name, before / (scale or 1.0), after / (scale or 1.0), options)
        rows += [found] if found is not None else []
    return DriftReport(tuple(rows), f"{len(new)} new steps, departures from the climatology in deviations")


def _same_places(kept: "Store", store: "Store") -> bool:
    """Whether the cells lie where they lay, but for the rounding of coordinates."""
    return all(
        one.shape == other.shape and bool((np.abs((one - other + 180) % 360 - 180) < 1e-3).all())
        for one, other in ((kept.grid.lat, store.grid.lat), (kept.grid.lon, store.grid.lon))
    )


def _climate(
    store: "Store", kind: str, coefficients: np.ndarray, old: np.ndarray
) -> tuple[str, np.ndarray] | None:
    """A climatology that knows the season: the champion's, or one of all it learned; None without one."""
    from datamodules.gridded.climatology import choose_climatology, climatology_basis, fit_climatology

    if kind in ("annual", "harmonic", "monthly"):
        return kind, coefficients
    if len(old) == 0:
        return None
    best = choose_climatology(store.step, store.time, store.calendar, 0, int(old[-1]) + 1)
    if best in ("mean", "daily"):
        return None
    basis = climatology_basis(best, store.time[: len(old)], store.calendar)
    return best, fit_climatology(store.values[: len(old)], basis, best)


def _cells(cell_area: np.ndarray) -> np.ndarray:
    """Flat places of at most `CELLS` cells, evenly spaced in summed area, so that each stands for as much."""
    summed = np.cumsum(np.asarray(cell_area, dtype=np.float64).ravel())
    count = min(CELLS, len(summed))
    wanted = (np.arange(count) + 0.5) / count * summed[-1]
    return np.unique(np.minimum(np.searchsorted(summed, wanted), len(summed) - 1))


def _departures(
    store: "Store", kind: str, coefficients: np.ndarray, steps: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """Departures of chosen cells from the climatology, float64 (step, channel, cell); NaN where missing."""
    from datamodules.gridded.climatology import climatology_basis

    basis = climatology_basis(kind, store.time[steps], store.calendar)  # type: ignore[arg-type]
    chosen = coefficients.reshape(*coefficients.shape[:2], -1)[:, :, cells].astype(np.float64)
    maps = np.stack([store.values[step].reshape(len(store.channels), -1)[:, cells] for step in steps])
    return np.asarray(maps - np.einsum("tb,bcx->tcx", basis, chosen))


def _row(name: str, old: np.ndarray, new: np.ndarray, options: DriftOptions) -> DriftRow | None:
    """The row of one variable from samples (step, cell) in order of time; None where values are too few."""
    flat = [one[np.isfinite(one)] for one in (old, new)]
    if min(map(len, flat)) < FEWEST:
        return None
    distance, index = ks_distance(*flat), psi(*flat)
    usual = _usual_distances(old, len(new))
    share = (1 + sum(one >= distance for one in usual)) / (1 + len(usual)) if len(usual) >= 9 else None
    drifted = index > options.psi and distance > options.ks and (share is None or share <= options.p)
    return DriftRow(name, index, distance, share, drifted, float(flat[0].mean()), float(flat[1].mean()))


def _usual_distances(old: np.ndarray, length: int) -> list[float]:
    """How far each stretch of `length` steps of the past is from the rest of it; at most 40 stretches."""
    count = len(old) // max(length, 1)
    if count < 2:
        return []
    distances = []
    for begin in np.linspace(0, len(old) - length, min(40, count)).round().astype(int):
        inside = np.zeros(len(old), dtype=bool)
        inside[begin : begin + length] = True
        parts = [old[chosen][np.isfinite(old[chosen])] for chosen in (~inside, inside)]
        if min(map(len, parts)) >= FEWEST:
            distances.append(ks_distance(*parts))
    return distances


def _of_clips(champion: RunDir, settings: Settings, options: DriftOptions) -> DriftReport:
    """Lengths and words of the captions of new clips against those of the champion's training clips."""
    from datamodules.video.words import split_words
    from pipelines.captions.data import read_corpus
    from pipelines.retraining.champion_data import clips_of, learnt_clips

    corpus = read_corpus(settings.clips)
    learnt, known = learnt_clips(champion, corpus), clips_of(champion, corpus)
    said: list[list[list[str]]] = [[], []]
    for clip in corpus.clips.values():
        if clip.id in learnt or clip.id not in known:
            said[clip.id not in learnt] += [split_words(caption) for caption in clip.captions]
    old, new = said
    if min(len(old), len(new)) < FEWEST:
        return DriftReport(
            (), f"{len(new)} captions have arrived since the champion was made: too few to tell"
        )
    lengths = [np.array([len(words) for words in one], dtype=float) for one in (old, new)]
    rows = (
        _plain_row("caption length", lengths[0], lengths[1], options),
        _vocabulary(old, new, options),
    )
    return DriftReport(rows, f"{len(new)} captions of new clips against {len(old)} of training clips")


def _plain_row(name: str, old: np.ndarray, new: np.ndarray, options: DriftOptions) -> DriftRow:
    """The row of samples without an order in time; p by the asymptotic law (Smirnov 1948)."""
    distance, index = ks_distance(old, new), psi(old, new)
    p = kolmogorov(distance * (len(old) * len(new) / (len(old) + len(new))) ** 0.5)
    drifted = index > options.psi and distance > options.ks and p <= options.p
    return DriftRow(name, index, distance, p, drifted, float(old.mean()), float(new.mean()))


def kolmogorov(value: float) -> float:
    """The chance that sqrt(n) times the statistic is above `value`: 2 sum (-1)^(k-1) exp(-2 k^2 value^2)."""
    if value < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * np.exp(-2 * (k * value) ** 2) for k in range(1, 101))
    return float(np.clip(2 * sum(terms), 0.0, 1.0))


def _vocabulary(
    old: Sequence[Sequence[str]], new: Sequence[Sequence[str]], options: DriftOptions
) -> DriftRow:
    """Words as classes: the frequent ones of training each, all others together.

    ks is half the summed change of their shares (the total variation, the distance for what has no order);
    old and new are the shares of words that training captions do not have.
    """
    counts = [_counted(one) for one in (old, new)]
    frequent = [word for word, _ in sorted(counts[0].items(), key=lambda one: (-one[1], one[0]))[:FREQUENT]]
    classes = []
    for one in counts:
        few = [one[word] for word in frequent]
        classes.append(np.array([*few, sum(one.values()) - sum(few)], dtype=float))
    p, q = (one / max(one.sum(), 1.0) for one in classes)
    index, distance = psi_of_counts(*classes), float(np.abs(p - q).sum() / 2)
    unseen = sum(count for word, count in counts[1].items() if word not in counts[0])
    share = unseen / max(sum(counts[1].values()), 1)
    drifted = index > options.psi and distance > options.ks
    return DriftRow("vocabulary", index, distance, None, drifted, 0.0, share)


def _counted(captions: Iterable[Iterable[str]]) -> Mapping[str, int]:
    """How often each word occurs."""
    return Counter(word for words in captions for word in words)
