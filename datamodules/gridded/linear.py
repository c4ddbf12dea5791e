"""The linear reference: ridge regression on principal components of the last few steps, fitted by blocks.

The state of the atmosphere at one step is reduced to its leading principal components (area-weighted,
each channel in units of its anomaly's deviation) and the station series beside it; the states of the last
`lags` steps forecast the state at each lead by ridge regression (Hoerl and Kennard 1970, eq. 2.1) of what
damped persistence leaves over, so that a heavy penalty means damped persistence, not the climatology. What
the components leave out decays by itself, one factor for each lead and channel. The penalty of each lead is
the one that forecasts held-out blocks of the training range best. A missing value is taken to be the last one
that was seen in the window, a missing target says nothing.

One model is fitted on the whole training range, for validation, test and use; and one for each block of the
training windows, on the other blocks alone, so that a network trained on this prior never sees a prior that
has seen its window.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, replace

import numpy as np

from datamodules.gridded.climatology import anomalies, climatology_basis, time_blocks
from datamodules.gridded.fitted import Fitted, load, save
from datamodules.gridded.store import Store
from datamodules.gridded.windows import fold_of, split_starts
from datamodules.locking import alone

log = logging.getLogger(__name__)

VERSION = 3
"""Raised whenever the fit changes, so that older files are not taken for new ones."""
PENALTIES = np.array([1.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0])
"""Ridge penalties tried, for predictors of unit variance."""
PATTERN_BYTES = 1 << 30
SAMPLE_BYTES = 1 << 29
SAMPLE_STEPS = 1500


@dataclass(frozen=True)
class LinearOptions:
    """components: principal components kept. lags: last steps that the regression reads."""

    components: int = 30
    lags: int = 4


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Arrays of the linear model. Axis `fold`: the cross-fitting blocks, then the model of the whole range.

    patterns: float32 (fold, component, channel, lat, lon): what a component's unit state adds, in units of
              the channel's anomaly deviation
    reader:   float32 (fold, component, channel, lat, lon): weights that read a component's state from maps
    weights:  float32 (fold, lag x state, horizon x state), state = components then series; lag 0 is newest
    decay:    float32 (fold, horizon, channel): factors of what the components leave out
    lags:     last steps read
    """

    patterns: np.ndarray
    reader: np.ndarray
    weights: np.ndarray
    decay: np.ndarray
    lags: int

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, for `Fitted.with_arrays`."""
        return {
            "linear_patterns": self.patterns,
            "linear_reader": self.reader,
            "linear_weights": self.weights,
            "linear_decay": self.decay,
            "linear_lags": np.array(self.lags),
        }


class _Anomalies:
    """Scaled anomalies of the training range, read in blocks: (time, cell) of all channels.

    A missing one is the last that was seen in `history` steps, 0 where there is none.
    """

    def __init__(self, store: Store, fitted: Fitted) -> None:
        self.store, self.fitted = store, fitted
        self.first = fitted.train.first
        self.count = len(fitted.train)
        inside = slice(fitted.train.first, fitted.train.stop)
        self.basis = climatology_basis(fitted.kind, store.time[inside], store.calendar)
        weights = np.broadcast_to(store.grid.cell_area, fitted.coefficients.shape[1:])
        seen = np.isfinite(fitted.coefficients[0])
        self.root = np.sqrt(np.where(seen, weights, 0.0)).ravel()
        self.cells = self.root.size

    def read(self, steps: slice | np.ndarray) -> np.ndarray:
        """Anomalies / deviation x sqrt(area) at `steps` of the range, float64 (time, cell)."""
        earlier = 0
        if isinstance(steps, slice):
            earlier = min(self.fitted.history, steps.start)
            steps = slice(steps.start - earlier, steps.stop)
        index = np.arange(self.count)[steps] + self.first
        found = anomalies(self.store.values[index], self.basis[steps], self.fitted.coefficients)
        found /= self.fitted.anomaly_std[:, None, None]
        if isinstance(steps, slice):
            found = _filled(found, self.fitted.history)[earlier:]
        return np.nan_to_num(found).reshape(len(found), -1) * self.root

    def series(self) -> tuple[np.ndarray, np.ndarray]:
        """Scaled anomalies of the series, float64 (time, series), and where they were seen."""
        if self.store.series is None:
            return np.zeros((self.count, 0)), np.ones((self.count, 0), dtype=bool)
        values = self.store.series.values[self.first : self.first + self.count]
        found = anomalies(values, self.basis, self.fitted.series_coefficients)
        found /= self.fitted.series_anomaly_std
        return np.nan_to_num(_filled(found, self.fitted.history)), np.isfinite(found)


def fit_linear(store: Store, fitted: Fitted, options: LinearOptions) -> LinearFit:
    """The linear model of each cross-fitting block and of the whole training range.

    Errors: none of its own; with too few windows the penalties make it damped persistence.
    """
    source = _Anomalies(store, fitted)
    starts = split_starts(fitted.train, store.tick, fitted.history, fitted.horizon) - fitted.train.first
    lags = min(options.lags, fitted.history)
    blocks = fold_of(starts, fitted.folds)
    models = fitted.folds + 1
    room = max(3, PATTERN_BYTES // (8 * models * source.cells))
    kept = min(options.components, room, max(1, len(starts) // 4))
    if kept < options.components:
        log.warning("linear model: %d principal components instead of %d", kept, options.components)
    window = fitted.history + fitted.horizon
    fits, errors = [], np.zeros((len(PENALTIES), fitted.horizon))
    for block in range(models):
        held = starts[blocks == block]
        near = (starts[:, None] if len(held) else np.empty((len(starts), 0))) - held[:1]
        clear = np.ones(len(starts), dtype=bool)
        if len(held):
            clear = (near[:, 0] <= -window) | (starts - held[-1] >= window)
        fit = _Model(source, starts[clear], fitted.history, fitted.horizon, lags, kept)
        if len(held):
            errors += fit.errors(held)
        fits.append(fit)
    best = errors.argmin(axis=0) if fitted.folds > 1 else np.full(fitted.horizon, len(PENALTIES) // 2)
    log.info("linear model: %d components, %d lags, penalties %s", kept, lags, PENALTIES[best].tolist())
    shape = (models, -1, *fitted.coefficients.shape[1:])
    inverse = np.divide(1.0, source.root, out=np.zeros_like(source.root), where=source.root > 0)
    return LinearFit(
        patterns=np.stack([f.scale[:, None] * f.patterns.T * inverse for f in fits])
        .reshape(shape)
        .astype(np.float32),
        reader=np.stack([f.patterns.T * source.root / f.scale[:, None] for f in fits])
        .reshape(shape)
        .astype(np.float32),
        weights=np.stack([f.chosen(best) for f in fits]).astype(np.float32),
        decay=np.stack([f.decay for f in fits]).astype(np.float32),
        lags=lags,
    )


def _filled(values: np.ndarray, most: int) -> np.ndarray:
    """`values` (time, ...), each missing one replaced by the last seen, at most `most` steps before."""
    if np.isfinite(values).all():
        return values
    steps = np.arange(len(values)).reshape(-1, *(1,) * (values.ndim - 1))
    seen = np.maximum.accumulate(np.where(np.isfinite(values), steps, -1), axis=0)
    found = np.take_along_axis(values, np.maximum(seen, 0), axis=0)
    return np.where((seen >= 0) & (steps - seen <= most), found, np.nan)


class _Model:
    """Patterns, ridge weights for every penalty, and decay, from the windows that begin at `starts`."""

    def __init__(
        self, source: _Anomalies, starts: np.ndarray, history: int, horizon: int, lags: int, components: int
    ) -> None:
        self.lags, self.horizon, self.history = lags, horizon, history
        last = starts + history - 1
        used = np.unique((starts[:, None] + np.arange(history + horizon)).ravel())
        self.patterns, self.scale = _principal(source, used, components)
        self.state, self.decay = self._read_states(source, last)
        beside, seen = source.series()
        self.state = np.concatenate([self.state, beside], axis=1)
        self.seen = np.concatenate([np.ones((len(seen), len(self.scale)), dtype=bool), seen], axis=1)
        inputs, targets = self._pairs(starts)
        fading = self._fading(inputs, targets)
        targets = np.where(np.isfinite(targets), targets, inputs @ fading)
        gram, cross = inputs.T @ inputs, inputs.T @ (targets - inputs @ fading)
        eye = np.eye(len(gram))
        self.weights = np.stack(
            [fading + np.linalg.solve(gram + penalty * eye, cross) for penalty in PENALTIES]
        )

    def _fading(self, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Weights (lag x state, horizon x state) of damped persistence, by lead.

        The components share a factor, by their variance; each series has its own.
        """
        size, components = self.state.shape[1], len(self.scale)
        now, ahead = inputs[:, None, :size], targets.reshape(len(targets), self.horizon, size)
        product = np.nansum(now * ahead, axis=0)
        power = (now**2 * np.isfinite(ahead)).sum(axis=0)
        for sums in (product, power):
            sums[:, :components] = (sums[:, :components] @ self.scale**2)[:, None]
        factor = np.divide(product, power, out=np.zeros_like(product), where=power > 0)
        weights = np.zeros((inputs.shape[1], self.horizon, size))
        weights[np.arange(size), :, np.arange(size)] = factor.T
        return weights.reshape(inputs.shape[1], -1)

    def _power(self, size: int) -> np.ndarray:
        """How much each state counts, (state,): the variance of a component, their mean for a series."""
        power = np.full(size, (self.scale**2).mean())
        power[: len(self.scale)] = self.scale**2
        return power

    def _read_states(self, source: _Anomalies, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States (time, state) of all steps of the range, and decay (horizon, channel) over `last` steps."""
        channels = len(source.fitted.anomaly_std)
        reach = np.zeros(source.count, dtype=bool)
        reach[last] = True
        state = np.empty((source.count, self.patterns.shape[1]))
        product = np.zeros((self.horizon, channels))
        power = np.full((self.horizon, channels), 1e-12)
        for part in time_blocks(source.count, 4 * source.cells):
            wide = slice(part.start, min(part.stop + self.horizon, source.count))
            maps = source.read(wide)
            inner = maps @ self.patterns
            state[wide] = inner / self.scale
            rest = (maps - inner @ self.patterns.T).reshape(len(maps), channels, -1)
            base = np.flatnonzero(reach[part])
            for lead in range(1, self.horizon + 1):
                product[lead - 1] += np.einsum("tcx,tcx->c", rest[base], rest[base + lead])
                power[lead - 1] += np.einsum("tcx,tcx->c", rest[base], rest[base])
        return state, np.clip(product / power, 0.0, 1.0)

    def _pairs(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictors (window, lag x state) and targets (window, horizon x state), NaN where missing."""
        last = starts + self.history - 1
        truth = np.where(self.seen, self.state, np.nan)
        inputs = [self.state[last - lag] for lag in range(self.lags)]
        targets = [truth[last + lead] for lead in range(1, self.horizon + 1)]
        return np.concatenate(inputs, axis=1), np.concatenate(targets, axis=1)

    def errors(self, starts: np.ndarray) -> np.ndarray:
        """Squared errors of held-out windows, summed over the components' variance: (penalty, horizon)."""
        inputs, targets = self._pairs(starts)
        size = self.state.shape[1]
        scale = np.sqrt(self._power(size))
        found = []
        for weights in self.weights:
            miss = (inputs @ weights - targets).reshape(len(starts), self.horizon, size) * scale
            found.append(np.nansum(miss**2, axis=(0, 2)))
        return np.stack(found)

    def chosen(self, best: np.ndarray) -> np.ndarray:
        """Weights (lag x state, horizon x state) with penalty `best[lead]` at each lead."""
        size = self.state.shape[1]
        whole = self.weights.reshape(len(PENALTIES), -1, self.horizon, size)
        columns = [whole[penalty, :, lead] for lead, penalty in enumerate(best)]
        return np.stack(columns, axis=1).reshape(whole.shape[1], -1)


def _principal(source: _Anomalies, steps: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading patterns (cell, component), orthonormal, and the deviation (component,) of their states.

    From the Gram matrix of at most 1500 of the steps, evenly chosen (method of snapshots, Sirovich 1987).
    """
    most = max(2 * components, min(SAMPLE_STEPS, SAMPLE_BYTES // (8 * source.cells)))
    stride = -(-len(steps) // most) or 1
    sample = source.read(steps[::stride])
    power, vectors = np.linalg.eigh(sample @ sample.T)
    power = np.maximum(power[::-1][:components], 1e-12 * max(power[-1], 1e-30))
    vectors = vectors[:, ::-1][:, :components]
    patterns = sample.T @ vectors / np.sqrt(power)
    return patterns, np.sqrt(power / len(sample))


def load_or_fit_linear(store: Store, fitted: Fitted, options: LinearOptions) -> Fitted:
    """`fitted` with the arrays of the linear model, read from the store's folder, or fitted and put there.

    Of several processes that ask at once one fits and the others wait.
    """
    key = json.dumps([VERSION, fitted.digest, options.components, options.lags])
    digest = hashlib.sha256(key.encode()).hexdigest()
    path = store.path / f"linear-{digest[:12]}.npz"
    if not path.exists():
        with alone(store.path / f".linear-{digest[:12]}.lock", f"fits the linear model on {store.path}"):
            if not path.exists():
                log.info("fitting the linear model on %d training steps", len(fitted.train))
                arrays = fit_linear(store, fitted, options).arrays()
                save(replace(fitted, arrays=arrays, digest=digest), path)
    return fitted.with_arrays(**load(path).arrays)
