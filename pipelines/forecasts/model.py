"""From settings, data and checkpoint to a forecasting module; and what of it a run directory keeps."""

import hashlib
import json
import logging
from dataclasses import replace

import numpy as np
import torch

from datamodules.errors import InputError
from datamodules.gridded.datamodule import GriddedDataModule
from datamodules.gridded.fitted import Fitted, load, save
from datamodules.gridded.grid import Grid
from datamodules.gridded.store import Store
from datamodules.locking import alone
from lightning_modules.calibration import departure_size
from lightning_modules.forecaster import Domain, Forecaster
from lightning_modules.forecasting import ForecastingModule
from pipelines.settings import Settings

log = logging.getLogger(__name__)

CALIBRATION_WINDOWS = 512
"""Training windows, evenly spread, that tell how far the truth departs from the prior."""


def domain_of(store: Store, horizon: int) -> Domain:
    """Where and when the maps of `store` are."""
    lat, lon = full_coordinates(store.grid)
    return Domain(
        lat=lat,
        lon=lon,
        cell_area=store.grid.cell_area,
        wraps=store.grid.wraps,
        step_hours=store.step.hours,
        static=store.static,
        channels=tuple(channel.name for channel in store.channels),
        series=tuple(store.series.names) if store.series is not None else (),
        lead_names=tuple(store.step.lead_name(lead) for lead in range(1, horizon + 1)),
    )


def full_coordinates(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of every cell, float64 degrees (lat, lon) each."""
    if grid.projected:
        return grid.lat, grid.lon
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return lat, lon


def calibrated(fitted: Fitted, settings: Settings, store: Store, windows: GriddedDataModule) -> Fitted:
    """`fitted` with the typical departures from the prior, read from the store's folder, or measured now.

    Of several processes that ask at once one measures and the others wait.
    """
    task = settings.forecast
    about = [fitted.digest, task.prior, task.history, task.horizon, task.linear.components, task.linear.lags]
    digest = hashlib.sha256(json.dumps([CALIBRATION_WINDOWS, *about]).encode()).hexdigest()
    path = store.path / f"departures-{digest[:12]}.npz"
    if not path.exists():
        with alone(store.path / f".departures-{digest[:12]}.lock", f"measures departures on {store.path}"):
            if not path.exists():
                found = _departures(fitted, settings, store, windows)
                save(replace(fitted, arrays=found, digest=digest), path)
    return fitted.with_arrays(**load(path).arrays)


def _departures(
    fitted: Fitted, settings: Settings, store: Store, windows: GriddedDataModule
) -> dict[str, np.ndarray]:
    """Typical departures from the prior over some of the training windows, spread over all of them."""
    data = windows.dataset("train")
    stride = max(1, len(data) // CALIBRATION_WINDOWS)
    chosen = list(range(0, len(data), stride))
    size = max(1, min(32, 2**26 // max(1, data[0].maps.nelement() * 4)))
    batches = (data[chosen[i : i + size]] for i in range(0, len(chosen), size))
    return departure_size(
        fitted.arrays, settings.forecast.prior, store.grid.cell_area, settings.forecast.history, batches
    )


def build_module(settings: Settings, domain: Domain, fitted: Fitted) -> ForecastingModule:
    """An untrained module: same settings and seed, same weights. Errors: InputError for unknown channels."""
    torch.manual_seed(settings.seed)
    target = settings.maps.series is not None and settings.maps.series.target
    model = Forecaster(settings.forecaster, settings.forecast, domain, fitted.arrays, series_target=target)
    try:
        module = ForecastingModule(model, settings.forecast, settings.optimizer, domain)
    except ValueError as error:
        raise InputError(str(error)) from error
    learnt = sum(parameter.numel() for parameter in module.parameters())
    log.info(
        "%s encoder, %s, departures from %s: %s parameters",
        settings.forecaster.encoder.kind,
        settings.forecaster.recurrent.kind,
        settings.forecast.prior,
        f"{learnt:,}",
    )
    return module
