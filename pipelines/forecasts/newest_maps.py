"""The newest whole history in somebody's files, checked against the maps that a model was trained on."""

from dataclasses import dataclass

import numpy as np
import torch

from datamodules.batches import MapBatch
from datamodules.errors import InputError
from datamodules.gridded.clock import clock_features, dates
from datamodules.gridded.fitted import Fitted
from datamodules.gridded.grid import Grid
from datamodules.gridded.options import GriddedOptions
from datamodules.gridded.series import series_at
from datamodules.gridded.source import GriddedSource, open_source
from datamodules.gridded.store import Store
from pipelines.forecasts.coordinates import valid_times


@dataclass(frozen=True, eq=False)
class NewestMaps:
    """One history as a batch of one window, and where in the files' own grid the model's cells are.

    batch:  maps of `history` steps, followed by missing ones for the steps to forecast
    issued: int64 seconds since 1970-01-01 in the model's calendar, the last observed step
    grid:   as the files have it; rows, columns: for each of its latitudes, longitudes, the model's index
    warnings: sentences for the user
    """

    batch: MapBatch
    issued: int
    grid: Grid
    rows: np.ndarray
    columns: np.ndarray
    warnings: tuple[str, ...]


def read_newest(
    path: str | list[str],
    options: GriddedOptions,
    trained: Store,
    fitted: Fitted,
    history: int,
    horizon: int,
    series: np.ndarray | None = None,
) -> NewestMaps:
    """The last `history` steps without a gap in the files at `path`.

    trained: the description of the training data; options: how they were chosen from files; series: of the
    stations (time, series) at those steps, else they are read from the file in the options.
    Errors: InputError when variables, units, step, calendar or grid are not those of the training data, or
    when no `history` consecutive steps are there.
    """
    source = open_source(
        path,
        variables=sorted({channel.variable for channel in trained.channels}),
        levels=options.levels,
        region=options.region,
        coarsen=options.coarsen,
        step=trained.step,
    )
    try:
        order = _same_channels(source, trained, path)
        _same_clock(source, trained, path)
        rows, columns = _same_places(source.grid, trained.grid, path)
        first = _last_whole(source.tick, history)
        if first is None:
            raise InputError(
                f"input={path}: holds {len(source.time)} steps, but no {history} in a row without a gap; the "
                "model reads so many before it forecasts (task.history): give files that reach further back"
            )
        times = source.time[first : first + history]
        maps = source.read(first, first + history)[:, order]
    finally:
        source.close()
    maps = maps[:, :, _inverse(rows)][:, :, :, _inverse(columns)]
    if not np.isfinite(maps).any():
        raise InputError(
            f"input={path}: the last {history} maps, to {dates(times, trained.calendar)[-1]}, are all missing"
        )
    warnings = list(source.warnings)
    stations = _stations(series, times, options, trained, warnings)
    batch = _batch(maps, times, stations, trained, fitted, horizon)
    return NewestMaps(batch, int(times[-1]), source.grid, rows, columns, tuple(warnings))


def newest_of(
    maps: np.ndarray,
    times: np.ndarray,
    options: GriddedOptions,
    trained: Store,
    fitted: Fitted,
    history: int,
    horizon: int,
    series: np.ndarray | None = None,
) -> NewestMaps:
    """The last `history` of maps (time, channel, lat, lon) in the model's order, at int64 seconds (time,).

    series: as in `read_newest`. Errors: InputError when they are not one step apart, or hold no value.
    """
    maps, times = maps[-history:], times[-history:]
    due = valid_times(times[:1], history - 1, trained.step, trained.calendar)[0]
    if history > 1 and not np.array_equal(due, times[1:]):
        told = ", ".join(dates(times, trained.calendar))
        raise InputError(f"time: {told} are not one step apart; the model's step is {trained.step.hours:g} h")
    if not np.isfinite(maps).any():
        raise InputError("maps: all values are missing")
    warnings: list[str] = []
    stations = _stations(series, times, options, trained, warnings)
    batch = _batch(maps, times, stations, trained, fitted, horizon)
    rows, columns = (np.arange(size) for size in trained.grid.shape)
    return NewestMaps(batch, int(times[-1]), trained.grid, rows, columns, tuple(warnings))


def _last_whole(tick: np.ndarray, steps: int) -> int | None:
    """Where the last stretch of `steps` without a gap begins; None when there is none."""
    starts = np.flatnonzero(tick[steps - 1 :] - tick[: len(tick) - steps + 1] == steps - 1)
    return int(starts[-1]) if len(starts) else None


def _inverse(order: np.ndarray) -> np.ndarray:
    """Where each of 0, 1, ... stands in `order`."""
    return np.argsort(order)


def _same_channels(source: GriddedSource, trained: Store, path: str | list[str]) -> list[int]:
    """For each channel of the training data, its position in the source."""
    there = {channel.name: position for position, channel in enumerate(source.channels)}
    absent = [channel.name for channel in trained.channels if channel.name not in there]
    if absent:
        raise InputError(
            f"input={path}: lacks {', '.join(absent)}; the model needs {', '.join(trained.names)}"
        )
    for channel in trained.channels:
        units = source.channels[there[channel.name]].units
        if units != channel.units:
            raise InputError(
                f"input={path}: '{channel.name}' is in '{units}', the model was trained on "
                f"'{channel.units}'; convert the files"
            )
    return [there[channel.name] for channel in trained.channels]


def _same_clock(source: GriddedSource, trained: Store, path: str | list[str]) -> None:
    """Refuse another calendar."""
    if source.calendar != trained.calendar:
        raise InputError(
            f"input={path}: calendar '{source.calendar}', the model was trained on '{trained.calendar}'; "
            "convert the files"
        )


def _same_places(here: Grid, trained: Grid, path: str | list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The model's row and column of each row and column of the files: they may be in another order.

    Errors: InputError when the cells are not the same ones.
    """
    problem = InputError(
        f"input={path}: a grid of {here.shape[0]} x {here.shape[1]} cells, latitude {_span(here.lat)}, "
        f"longitude {_span(here.lon)}; the model was trained on {trained.shape[0]} x {trained.shape[1]}, "
        f"latitude {_span(trained.lat)}, longitude {_span(trained.lon)}. Regrid the files to that grid"
    )
    if here.shape != trained.shape or here.projected != trained.projected:
        raise problem
    if here.projected:
        if not (np.allclose(here.lat, trained.lat, atol=1e-3) and _same_angle(here.lon, trained.lon).all()):
            raise problem
        return np.arange(here.shape[0]), np.arange(here.shape[1])
    near = np.abs(here.lat[:, None] - trained.lat[None]) < 1e-3
    beside = _same_angle(here.lon[:, None], trained.lon[None])
    if not ((near.sum(1) == 1).all() and (beside.sum(1) == 1).all()):
        raise problem
    return near.argmax(1), beside.argmax(1)


def _same_angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """True where two longitudes, in degrees of either convention, are the same."""
    return np.asarray(np.abs((one - other + 180.0) % 360.0 - 180.0) < 1e-3)


def _span(values: np.ndarray) -> str:
    return f"{values.min():g} to {values.max():g}"


def _stations(
    given: np.ndarray | None,
    times: np.ndarray,
    options: GriddedOptions,
    trained: Store,
    warnings: list[str],
) -> np.ndarray:
    """The stations' values at `times`, float32 (time, series): given, else from the file in the options."""
    names = () if trained.series is None else trained.series.names
    if given is not None:
        if given.shape != (len(times), len(names)):
            raise InputError(
                f"series: {given.shape}; the model reads {(len(times), len(names))} (time, series), "
                f"series {', '.join(names) or 'none'}"
            )
        return given.astype(np.float32)
    if not names or options.series is None:
        return np.full((len(times), 0), np.nan, np.float32)
    found, told = series_at(options.series, names, times, trained.step, trained.calendar)
    warnings.extend(told)
    return found


def _batch(
    maps: np.ndarray,
    times: np.ndarray,
    stations: np.ndarray,
    trained: Store,
    fitted: Fitted,
    horizon: int,
) -> MapBatch:
    """A window of one: the history, and missing values where the forecast will be."""
    ahead = valid_times(times[-1:], horizon, trained.step, trained.calendar)[0]
    clock = np.concatenate([times, ahead])
    whole = np.full((len(clock), *maps.shape[1:]), np.nan, np.float32)
    whole[: len(maps)] = maps
    series = np.full((len(clock), stations.shape[1]), np.nan, np.float32)
    series[: len(times)] = stations
    return MapBatch(
        maps=torch.from_numpy(whole)[None],
        basis=torch.from_numpy(fitted.basis(clock))[None],
        clock=torch.from_numpy(clock_features(clock, trained.calendar))[None],
        series=torch.from_numpy(series)[None],
        start=torch.zeros(1, dtype=torch.int64),
        fold=torch.full((1,), -1, dtype=torch.int64),
    )
