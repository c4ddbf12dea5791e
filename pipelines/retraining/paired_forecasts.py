"""The same forecasts by champion and challenger: squared errors by variable, lead time and region."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from datamodules.errors import InputError
from datamodules.gridded.clock import dates, parse_period
from datamodules.gridded.dataset import WindowDataset
from datamodules.gridded.fitted import Fitted
from datamodules.gridded.options import Region
from datamodules.gridded.store import Store
from datamodules.gridded.windows import split_ranges, valid_starts
from lightning_modules.forecaster import Forecast
from lightning_modules.forecasting import ForecastingModule
from pipelines.console import progress
from pipelines.forecasts.data import packed
from pipelines.forecasts.kept import kept_model
from pipelines.forecasts.model import build_module, domain_of, full_coordinates
from pipelines.retraining.champion_data import settings_of
from pipelines.retraining.paired import Cell, Paired
from pipelines.retraining.splits import JudgeOptions
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from pipelines.weights import load_weights

log = logging.getLogger(__name__)

WHOLE = "all"


@dataclass(frozen=True, eq=False)
class Forecasting:
    """A run's best checkpoint, with what it has fitted itself."""

    module: ForecastingModule
    fitted: Fitted
    history: int
    horizon: int
    with_series: bool

    @classmethod
    def load(cls, run: RunDir, store: Store) -> "Forecasting":
        """The forecaster of `run`. Errors: InputError where it does not fit the maps of `store`."""
        settings = settings_of(run)
        kept, fitted = kept_model(run)
        mine, theirs = (
            (one.names, one.grid.shape, one.step.to_dict(), one.series and tuple(one.series.names))
            for one in (kept, store)
        )
        if mine != theirs or not _same_places(kept, store):
            raise InputError(
                f"{run.path}: trained on {_told(kept)}, and the data are {_told(store)} now; it cannot be "
                "judged on them. Train a new champion with a job of its own"
            )
        task = settings.forecast
        module = build_module(settings, domain_of(kept, task.horizon), fitted)
        series = settings.maps.series is not None and settings.maps.series.target
        return cls(load_weights(module, run.best), fitted, task.history, task.horizon, series)

    def windows(self, store: Store, issued: np.ndarray, horizon: int) -> WindowDataset:
        """Windows whose last known step is at `issued`, store indices."""
        starts = issued - self.history + 1
        return WindowDataset(store, self.fitted.basis(store.time), starts, self.history + horizon)


def judged_times(store: Store, settings: Settings, most_history: int, horizon: int) -> np.ndarray:
    """Store indices of the last known steps of the judged forecasts, int64 (case,), in order of time.

    Every step that any of the two forecasters reads or is judged by lies in the test split.
    """
    part, window = settings.maps.split.test, most_history + horizon
    if isinstance(part, float):
        split = split_ranges(store.time, settings.maps.split, window, store.calendar, store.tick)["test"]
        first, stop = split.first, split.stop
    else:
        low = parse_period(part[0], store.calendar, "data.split.test")[0]
        high = parse_period(part[1], store.calendar, "data.split.test")[1]
        first, stop = (int(one) for one in np.searchsorted(store.time, [low, high], side="left"))
    return valid_starts(store.tick[first:stop], most_history, horizon) + first + most_history - 1


def paired_forecasts(
    champion: RunDir, challenger: RunDir, settings: Settings, options: JudgeOptions
) -> Paired:
    """Area-weighted mean squared errors of both, over the test split of `settings`; they need not have the
    same history: forecasts are matched by the time they are issued.

    What counts is where the truth and both climatologies are known. Lead times are those that both have.
    """
    store = packed(settings.maps, Path(settings.paths.stores))
    rivals = [Forecasting.load(run, store) for run in (champion, challenger)]
    horizon = min(one.horizon for one in rivals)
    issued = judged_times(store, settings, max(one.history for one in rivals), horizon)
    if len(issued) == 0:
        raise InputError(
            f"data.split.test={settings.maps.split.test} holds no whole window of "
            f"{max(one.history for one in rivals)} + {horizon} steps: wait for more data"
        )
    areas = region_areas(store, options.regions)
    leads = [store.step.lead_name(lead) for lead in range(1, horizon + 1)]
    forecast_series = store.series is not None and all(one.with_series for one in rivals)
    series = list(store.series.names) if store.series is not None and forecast_series else []
    cells = [Cell(name, lead, part) for lead in leads for name in store.names for part in areas]
    cells += [Cell(name, lead, WHOLE) for lead in leads for name in series]
    weights = np.stack(list(areas.values()))
    rows = [
        _errors(pair, issued_now, store, weights, bool(series))
        for issued_now, pair in forecast_pairs(rivals, store, issued, settings.maps.batch_size, horizon)
    ]
    found = np.concatenate(rows, axis=1)  # (model, case, cell)
    found[:, np.isnan(found[0])] = np.nan  # what the challenger alone lacks stays to be seen
    units = {channel.name: channel.units for channel in store.channels}
    if store.series is not None:
        units |= dict(zip(store.series.names, store.series.units, strict=True))
    times = tuple(dates(store.time[issued], store.calendar))
    return Paired(times, tuple(cells), found[0], found[1], "root_mean_square", horizon, units)


def _same_places(kept: Store, store: Store) -> bool:
    """Whether both have their cells at the same places, to a thousandth of a degree; shapes are equal."""
    pairs = ((kept.grid.lat, store.grid.lat), (kept.grid.lon, store.grid.lon))
    return all(np.allclose(one, other, atol=1e-3, equal_nan=True) for one, other in pairs)


def _told(store: Store) -> str:
    """Variables, grid and step in words."""
    rows, columns = store.grid.shape
    ends = (
        np.nanmin(store.grid.lat),
        np.nanmax(store.grid.lat),
        np.nanmin(store.grid.lon),
        np.nanmax(store.grid.lon),
    )
    south, north, west, east = (f"{float(one):g}" for one in ends)
    place = f"{rows} x {columns} cells (latitude {south} to {north}, longitude {west} to {east})"
    return f"{', '.join(store.names)} on {place} every {store.step.hours:g} h"


def region_areas(store: Store, regions: Mapping[str, Region]) -> dict[str, np.ndarray]:
    """The area of each cell (lat, lon) within the whole and within each region, by name.

    Errors: InputError for a region without a cell.
    """
    lat, lon = full_coordinates(store.grid)
    areas = {WHOLE: np.asarray(store.grid.cell_area, dtype=np.float64)}
    for name, region in regions.items():
        inside = np.ones(lat.shape, dtype=bool)
        if region.lat is not None:
            inside &= (lat >= region.lat[0]) & (lat <= region.lat[1])
        if region.lon is not None:
            west, east = region.lon
            width = (east - west) % 360 or 360.0
            inside &= (lon - west) % 360 <= width
        if not inside.any():
            raise InputError(
                f"judge.regions.{name}: no cell of the grid lies in it (latitude {lat.min():g} to "
                f"{lat.max():g}, longitude {lon.min():g} to {lon.max():g}); correct it, or leave it out"
            )
        areas[name] = areas[WHOLE] * inside
    return areas


def forecast_pairs(
    rivals: Sequence[Forecasting], store: Store, issued: np.ndarray, batch: int, horizon: int
) -> Iterator[tuple[np.ndarray, list[Forecast]]]:
    """The forecasts of all rivals, a batch of issue times (store indices) at a time.

    A rival forecasts `horizon` steps, on the processor.
    """
    data = [one.windows(store, issued, horizon) for one in rivals]
    with progress("judging (forecasts)") as advance, torch.inference_mode():
        for start in range(0, len(issued), batch):
            places = list(range(start, min(start + batch, len(issued))))
            pair = [
                one.module.model(windows.__getitems__(places), horizon)
                for one, windows in zip(rivals, data, strict=True)
            ]
            yield issued[places], pair
            advance(places[-1] + 1, len(issued))


def _errors(
    pair: Sequence[Forecast], issued: np.ndarray, store: Store, weights: np.ndarray, with_series: bool
) -> np.ndarray:
    """Mean squared errors, float64 (model, case, cell); NaN where nothing counted, or a forecast is NaN."""
    leads = pair[0].maps.shape[1]
    steps = issued[:, None] + 1 + np.arange(leads)
    climates = [one.seen.climatology[:, -leads:].numpy() for one in pair]
    squared, counts = _squared([one.maps.numpy() for one in pair], store.values[steps], climates)
    area = np.einsum("blcyx,pyx->blcp", counts, weights)
    sums = np.stack([np.einsum("blcyx,pyx->blcp", one, weights) for one in squared])
    flat = [_mean(sums, area).reshape(len(pair), len(issued), -1)]
    if with_series and store.series is not None:
        climates = [one.seen.series_climatology[:, -leads:].numpy() for one in pair]
        series = [one.series.numpy() for one in pair if one.series is not None]
        squared, counts = _squared(series, store.series.values[steps], climates)
        flat.append(_mean(np.stack(squared), counts).reshape(len(pair), len(issued), -1))
    return np.concatenate(flat, axis=-1)


def _squared(
    forecasts: Sequence[np.ndarray], truth: np.ndarray, climates: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Squared errors, 0 where they do not count, and where they count, (case, lead, quantity, ...)."""
    counts = np.isfinite(truth)
    for climate in climates:
        counts &= np.isfinite(climate)
    errors = [np.where(counts, one.astype(np.float64) - truth, 0.0) for one in forecasts]
    return [one * one for one in errors], counts.astype(np.float64)


def _mean(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`sums` / `weight`, NaN where nothing counted."""
    return np.divide(sums, weight, out=np.full(sums.shape, np.nan), where=weight > 0)
