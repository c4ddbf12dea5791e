"""Everything fitted on the training split of a store: made once, saved in the store, shared by all ranks."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.climatology import (
    Kind,
    anomalies,
    choose_climatology,
    climatology_basis,
    fit_climatology,
    time_blocks,
)
from datamodules.gridded.damping import fit_damping
from datamodules.gridded.statistics import usable_scale, weighted_moments
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split
from datamodules.locking import alone

log = logging.getLogger(__name__)

VERSION = 2
"""Raised whenever what is fitted changes, so that files of older versions are not taken for new ones."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What the training split says about a store, and the windows that it was fitted for.

    kind:    which climatology (see `climatology.Kind`); calendar: of the store's times
    train:   the split that everything comes from; nothing outside it was read
    history, horizon: steps of a window; folds: cross-fitting blocks of the training windows
    digest:  of all the above and the store: names the file `fitted-<digest>.npz` inside the store
    arrays:  what was fitted, by name; the properties below name what is always there
    """

    kind: Kind
    calendar: str
    train: Split
    history: int
    horizon: int
    folds: int
    digest: str
    arrays: Mapping[str, np.ndarray]

    @property
    def mean(self) -> np.ndarray:
        """Area-weighted mean of each channel, float64 (channel,), physical units."""
        return self.arrays["mean"]

    @property
    def std(self) -> np.ndarray:
        """Area-weighted standard deviation of each channel, float64 (channel,); 1 if it does not vary."""
        return self.arrays["std"]

    @property
    def anomaly_std(self) -> np.ndarray:
        """Area-weighted deviation of each channel's anomalies, float64 (channel,); 1 if there are none."""
        return self.arrays["anomaly_std"]

    @property
    def coefficients(self) -> np.ndarray:
        """Of the climatology, float32 (basis, channel, lat, lon); NaN where training saw no value."""
        return self.arrays["coefficients"]

    @property
    def damping(self) -> np.ndarray:
        """Factors of the last anomaly at each lead, float32 (horizon, channel, lat, lon or 1), 0 to 1."""
        return self.arrays["damping"]

    @property
    def series_mean(self) -> np.ndarray:
        """Mean of each series, float64 (series,), physical units."""
        return self.arrays["series_mean"]

    @property
    def series_std(self) -> np.ndarray:
        """Standard deviation of each series, float64 (series,); 1 if it does not vary."""
        return self.arrays["series_std"]

    @property
    def series_anomaly_std(self) -> np.ndarray:
        """Standard deviation of each series' anomalies, float64 (series,); 1 if there are none."""
        return self.arrays["series_anomaly_std"]

    @property
    def series_coefficients(self) -> np.ndarray:
        """Of the climatology of each series, float32 (basis, series)."""
        return self.arrays["series_coefficients"]

    @property
    def series_damping(self) -> np.ndarray:
        """Factors of the last anomaly of each series at each lead, float32 (horizon, series), 0 to 1."""
        return self.arrays["series_damping"]

    def basis(self, time: np.ndarray) -> np.ndarray:
        """The climatology's basis functions at `time` (seconds since 1970), float32 (time, basis)."""
        return climatology_basis(self.kind, time, self.calendar).astype(np.float32)

    def with_arrays(self, **more: np.ndarray) -> "Fitted":
        """A copy that holds `more` arrays too, for what others fit on the same split."""
        return replace(self, arrays={**self.arrays, **more})


def load_or_fit(store: Store, *, train: Split, history: int, horizon: int, folds: int) -> Fitted:
    """What was fitted on `train`, read from the store's folder, or fitted now and put there.

    Of several processes that ask at once one fits and the others wait. Errors: InputError when a channel or
    a series has no value in the training split, or when the saved file cannot be read.
    """
    digest = _digest(store, train, history, horizon, folds)
    path = store.path / f"fitted-{digest[:12]}.npz"
    if not path.exists():
        with alone(store.path / f".fitted-{digest[:12]}.lock", f"fits statistics on {store.path}"):
            if not path.exists():
                log.info("fitting climatology and statistics on %d training steps", len(train))
                save(fit(store, train, history, horizon, folds, digest), path)
    return load(path)


def _digest(store: Store, train: Split, history: int, horizon: int, folds: int) -> str:
    """A key of the data, the split, the window and the version of what is fitted."""
    parts = [VERSION, store.digest, train.first, train.stop, history, horizon, folds]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fit(store: Store, train: Split, history: int, horizon: int, folds: int, digest: str) -> Fitted:
    """Everything fitted on the steps of `train`, in passes over the store that stream."""
    kind = choose_climatology(store.step, store.time, store.calendar, train.first, train.stop)
    inside = slice(train.first, train.stop)
    basis = climatology_basis(kind, store.time[inside], store.calendar)
    tick = store.tick[inside]
    names = [channel.name for channel in store.channels]
    maps = _fit_values(
        store.values[inside], basis, kind, tick, history, horizon, store.grid.cell_area, names, "channel"
    )
    if store.series is None:
        beside = np.empty((len(tick), 0), dtype=np.float32)
        series_names: list[str] = []
    else:
        beside, series_names = store.series.values[inside], list(store.series.names)
    series = _fit_values(beside, basis, kind, tick, history, horizon, np.ones(()), series_names, "series")
    arrays = maps | {f"series_{name}": array for name, array in series.items()}
    return Fitted(kind, store.calendar, train, history, horizon, folds, digest, arrays)


def _fit_values(
    values: np.ndarray,
    basis: np.ndarray,
    kind: Kind,
    tick: np.ndarray,
    history: int,
    horizon: int,
    weights: np.ndarray,
    names: list[str],
    what: str,
) -> dict[str, np.ndarray]:
    """Climatology, statistics and damping of `values` (time, channel, ...cells), by name."""
    size = int(np.prod(values.shape[1:]))
    if len(values) == 0:
        raise InputError("data.split.train holds no step: give it a longer time")
    mean, std = weighted_moments((values[part] for part in time_blocks(len(values), size)), weights)
    for name, middle in zip(names, mean, strict=True):
        if np.isnan(middle):
            raise InputError(
                f"{what} '{name}' has no value in the training split ({len(values)} steps): leave it out, or "
                f"move data.split.train to a time when it was observed"
            )
    coefficients = fit_climatology(values, basis, kind)
    departures = (
        anomalies(values[part], basis[part], coefficients) for part in time_blocks(len(values), size)
    )
    _, anomaly_std = weighted_moments(departures, weights)
    return {
        "mean": mean,
        "std": usable_scale(std, mean),
        "anomaly_std": usable_scale(anomaly_std, mean),
        "coefficients": coefficients,
        "damping": fit_damping(values, basis, coefficients, tick, history, horizon),
    }


def save(fitted: Fitted, path: Path) -> None:
    """Writes `fitted` beside `path` and renames it: a reader sees all of it or nothing."""
    about = {
        "version": VERSION,
        "kind": fitted.kind,
        "calendar": fitted.calendar,
        "train": [fitted.train.name, fitted.train.first, fitted.train.stop],
        "history": fitted.history,
        "horizon": fitted.horizon,
        "folds": fitted.folds,
        "digest": fitted.digest,
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as handle:
            arrays = cast(dict[str, Any], dict(fitted.arrays))
            np.savez(handle, about=np.array(json.dumps(about)), **arrays)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> Fitted:
    """What `save` wrote. Errors: InputError when the file is damaged; pickles are never read."""
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as saved:
            about = json.loads(str(saved["about"]))
            arrays = {name: saved[name] for name in saved.files if name != "about"}
    except (BadZipFile, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); delete this file, it will be made again"
        ) from error
    return Fitted(
        about["kind"],
        about["calendar"],
        Split(*about["train"]),
        about["history"],
        about["horizon"],
        about["folds"],
        about["digest"],
        arrays,
    )
