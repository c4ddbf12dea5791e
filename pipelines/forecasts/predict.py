"""From a run and the newest maps to a forecast, as CF NetCDF."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.errors import InputError
from datamodules.gridded.clock import dates
from datamodules.gridded.store import Store
from pipelines import provenance
from pipelines.forecasts.kept import kept_model
from pipelines.forecasts.model import build_module, domain_of
from pipelines.forecasts.netcdf_file import StationForecast, write_forecast
from pipelines.forecasts.newest_maps import NewestMaps, read_newest
from pipelines.redact import command_line
from pipelines.rundir import RunDir
from pipelines.verbs import Call
from pipelines.weights import load_weights

log = logging.getLogger(__name__)


def predict_maps(call: Call) -> dict[str, Any]:
    """Forecast from the newest whole history in `input=` (else the run's own data) into `output=`.

    The file has the source's grid, order and units; without `output=` it lies in the run's predictions/.
    Returns output, forecast_reference_time, leads.
    """
    settings, run = call.settings, RunDir(Path(call.run or "").absolute())
    trained, fitted = kept_model(run)
    task = settings.forecast
    source = call.input or settings.maps.path
    newest = read_newest(source, settings.maps, trained, fitted, task.history, task.horizon)
    for warning in newest.warnings:
        log.warning(warning)
    module = build_module(settings, domain_of(trained, task.horizon), fitted)
    load_weights(module, Path(call.checkpoint) if call.checkpoint else run.best)
    with torch.inference_mode():
        forecast = module.model(newest.batch)
    issued = dates(np.array([newest.issued]), trained.calendar)[0]
    output = Path(call.output) if call.output else run.predictions / f"{issued.replace(':', '')}.nc"
    if not output.parent.is_dir():
        raise InputError(
            f"output={output}: the folder {output.parent} does not exist; make it, or name another"
        )
    write_forecast(
        output,
        forecast=_in_order(forecast.maps, newest),
        spread=None if forecast.spread is None else _in_order(forecast.spread, newest),
        reference_times=np.array([newest.issued], dtype=np.int64),
        channels=trained.channels,
        grid=newest.grid,
        step=trained.step,
        calendar=trained.calendar,
        history=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join(command_line(['skyreel', *call.argv]))}",
        run_id=(provenance.read(run).get("mlflow") or {}).get("run_id") or "",
        title=f"Forecast of {', '.join(trained.names)} from {issued}",
        stations=_stations(trained, forecast.series),
    )
    if not call.json:
        log.info("forecast from %s, %d leads: %s", issued, task.horizon, output)
    return {"output": str(output), "forecast_reference_time": issued, "leads": task.horizon}


def _in_order(maps: torch.Tensor, newest: NewestMaps) -> np.ndarray:
    """Maps (1, lead, channel, lat, lon) in the order of the files they were made from."""
    return np.ascontiguousarray(maps.numpy()[..., newest.rows, :][..., newest.columns])


def _stations(trained: Store, series: torch.Tensor | None) -> StationForecast | None:
    """The forecast at stations, where the model makes one."""
    if series is None or trained.series is None:
        return None
    found = trained.series
    return StationForecast(found.names, found.units, series.numpy(), found.lat, found.lon)
