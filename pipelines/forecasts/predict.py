"""From a run and the newest maps to a forecast, as CF NetCDF."""

import logging
from dataclasses import dataclass
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
from pipelines.settings import Settings
from pipelines.verbs import Call
from pipelines.weights import load_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class MapForecast:
    """A forecast in the order of the files that it was made from.

    issued: int64 seconds since 1970-01-01 in the model's calendar, the last observed step
    maps, spread: float32 (1, lead, channel, lat, lon), physical units; series: (1, lead, series)
    """

    issued: int
    maps: np.ndarray
    spread: np.ndarray | None
    series: np.ndarray | None


class MapForecaster:
    """The forecaster of a run directory, on the processor; what `predict` and a registered model both call.

    trained, fitted: the description of its training data, and what was fitted on them.
    """

    def __init__(self, settings: Settings, run: RunDir, checkpoint: Path) -> None:
        self.options = settings.maps
        self.history, self.horizon = settings.forecast.history, settings.forecast.horizon
        self.trained, self.fitted = kept_model(run)
        module = build_module(settings, domain_of(self.trained, self.horizon), self.fitted)
        self.module = load_weights(module, checkpoint)

    def newest(self, source: str | list[str], series: np.ndarray | None = None) -> NewestMaps:
        """The newest whole history in the files at `source`, as `read_newest` says. Errors: InputError."""
        newest = read_newest(
            source, self.options, self.trained, self.fitted, self.history, self.horizon, series
        )
        for warning in newest.warnings:
            log.warning(warning)
        return newest

    def forecast(self, newest: NewestMaps) -> MapForecast:
        """What follows `newest`."""
        with torch.inference_mode():
            found = self.module.model(newest.batch)
        return MapForecast(
            issued=newest.issued,
            maps=_in_order(found.maps, newest),
            spread=None if found.spread is None else _in_order(found.spread, newest),
            series=None if found.series is None else found.series.numpy(),
        )


def predict_maps(call: Call) -> dict[str, Any]:
    """Forecast from the newest whole history in `input=` (else the run's own data) into `output=`.

    The file has the source's grid, order and units; without `output=` it lies in the run's predictions/.
    Returns output, forecast_reference_time, leads.
    """
    settings, run = call.settings, RunDir(Path(call.run or "").absolute())
    task = settings.forecast
    forecaster = MapForecaster(settings, run, Path(call.checkpoint) if call.checkpoint else run.best)
    trained = forecaster.trained
    newest = forecaster.newest(call.input or settings.maps.path)
    forecast = forecaster.forecast(newest)
    issued = dates(np.array([newest.issued]), trained.calendar)[0]
    output = Path(call.output) if call.output else run.predictions / f"{issued.replace(':', '')}.nc"
    if not call.output:
        output.parent.mkdir(exist_ok=True)
    if not output.parent.is_dir():
        raise InputError(
            f"output={output}: the folder {output.parent} does not exist; make it, or name another"
        )
    write_forecast(
        output,
        forecast=forecast.maps,
        spread=forecast.spread,
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


def _stations(trained: Store, series: np.ndarray | None) -> StationForecast | None:
    """The forecast at stations, where the model makes one."""
    if series is None or trained.series is None:
        return None
    found = trained.series
    return StationForecast(found.names, found.units, series, found.lat, found.lon)
