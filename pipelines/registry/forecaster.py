"""A forecaster as MLflow calls it: tables of files or maps in, a row a lead time and variable out."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datamodules.errors import InputError
from datamodules.gridded.clock import dates, parse_moment
from pipelines.forecasts.coordinates import valid_times
from pipelines.forecasts.newest_maps import NewestMaps, newest_of
from pipelines.forecasts.predict import MapForecast, MapForecaster
from pipelines.registry.rows import as_array, naming_row, one_of, rows_of, values_for_answer
from pipelines.rundir import RunDir
from pipelines.settings import Settings


class RegisteredForecaster:
    """The forecaster of a run, loaded once; it forecasts with the functions that `skyreel predict` calls."""

    def __init__(self, settings: Settings, run: RunDir) -> None:
        self.forecaster = MapForecaster(settings, run, run.best)
        self._alone = threading.Lock()  # netCDF files must not be read by two threads at once

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """One row for each input row, lead time and variable; the columns are those of the signature.

        values and spread are float32 (lat, lon), NaN where missing, in the order of the file that was read
        (of the training data, for maps that were given). Errors: MLflow's, for a row that cannot be used.
        """
        found: list[dict[str, Any]] = []
        for number, row in rows_of(table):
            with naming_row(number), self._alone:
                newest = self._newest(row)
                found += self._rows(number, newest, self.forecaster.forecast(newest))
        return pd.DataFrame(found)

    def _newest(self, row: Mapping[str, Any]) -> NewestMaps:
        """The history that a row gives. Errors: InputError."""
        one_of(row, "path", "maps")
        maker = self.forecaster
        if "series" not in row:
            self._require_series()
        series = as_array(row["series"], "time, series", "series", np.float32) if "series" in row else None
        if "path" in row:
            return maker.newest(str(row["path"]), series)
        maps = as_array(row["maps"], "time, channel, lat, lon", "maps", np.float32)
        moments = [
            round(parse_moment(str(one), maker.trained.calendar, "time")) for one in row.get("time", ())
        ]
        wanted = (maker.history, len(maker.trained.channels), *maker.trained.grid.shape)
        if maps.shape[1:] != wanted[1:] or len(maps) != len(moments) or len(maps) < wanted[0]:
            raise InputError(
                f"maps: {maps.shape} with {len(moments)} times; the model reads {wanted} (time, channel, "
                "lat, lon), or more times, and a time for each"
            )
        time = np.array(moments, dtype=np.int64)
        return newest_of(
            maps, time, maker.options, maker.trained, maker.fitted, maker.history, maker.horizon, series
        )

    def _require_series(self) -> None:
        """Return when the stations that the model reads lie where its settings say. Errors: InputError."""
        stations, options = self.forecaster.trained.series, self.forecaster.options.series
        if stations is None or options is None or Path(options.path).expanduser().exists():
            return
        raise InputError(
            f"series: the model reads {', '.join(stations.names)} beside the maps, and {options.path}, where "
            f"training found them, is not there, seen from {Path.cwd()}. Give the column series: (time, "
            f"series), one row for each of the last {self.forecaster.history} maps; null where missing"
        )

    def _rows(self, number: int, newest: NewestMaps, found: MapForecast) -> Iterator[dict[str, Any]]:
        """The forecast of one input row, lead by lead, variable by variable."""
        trained, grid = self.forecaster.trained, newest.grid
        issued = np.array([found.issued], dtype=np.int64)
        ahead = valid_times(issued, found.maps.shape[1], trained.step, trained.calendar)[0]
        begun = dates(issued, trained.calendar)[0]
        for lead, valid in enumerate(dates(ahead, trained.calendar)):
            when = {
                "row": number,
                "forecast_reference_time": begun,
                "lead": trained.step.lead_name(lead + 1),
                "lead_hours": float(trained.step.hours * (lead + 1)),
                "valid_time": valid,
            }
            for c, channel in enumerate(trained.channels):
                spread = None if found.spread is None else found.spread[0, lead, c]
                place = (grid.lat.tolist(), grid.lon.tolist())
                yield {**when, **_cells(channel.name, channel.units, place, found.maps[0, lead, c], spread)}
            if found.series is not None and trained.series is not None:
                stations = trained.series
                for s, name in enumerate(stations.names):
                    place = ([float(stations.lat[s])], [float(stations.lon[s])])
                    value = found.series[0, lead, s].reshape(1, 1)
                    yield {**when, **_cells(name, stations.units[s], place, value, None)}


def _cells(
    variable: str,
    units: str,
    place: tuple[Sequence[Any], Sequence[Any]],
    values: np.ndarray,
    spread: np.ndarray | None,
) -> dict[str, Any]:
    """What a row says of one variable; a place that is unknown is empty."""
    known = bool(np.isfinite(np.array(place[0], dtype=float)).all())
    return {
        "variable": variable,
        "units": units,
        "lat": place[0] if known else [],
        "lon": place[1] if known else [],
        "values": values_for_answer(values),
        "spread": None if spread is None else values_for_answer(spread),
    }
