"""Station values and indices on the clock of the maps: `read_series` reads a file and aligns it.

Alignment never lets a value of the future reach an earlier map, and never fills one in:
  same step  a value belongs to the map of the same time (within a minute); dates without a time of day
             belong to the map of that day where maps are a day apart, values of months to that month's map
  finer      values are averaged over the step that ends at the map's time, (time - step, time], where at
             least half of the expected values are there
  coarser    refused, as is a series that shares no time with the maps
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import month_number, months_later
from datamodules.gridded.clock import DAY, dates
from datamodules.gridded.describe import Step
from datamodules.gridded.options import SeriesOptions
from datamodules.gridded.station_csv import read_csv
from datamodules.gridded.station_netcdf import read_netcdf
from datamodules.gridded.station_table import Table, absent

MINUTE = 60
NETCDF_MAGIC = (b"CDF", b"\x89HDF")
SUSPECTS = (
    -99.0,
    -99.9,
    -999.0,
    -999.9,
    -9999.0,
    -9999.9,
    -32768.0,
    999.0,
    999.9,
    9999.0,
    9999.9,
    99999.0,
    1e20,
)
"""Numbers that files use for "missing" without saying so: told to the user, never removed unasked."""


@dataclass(frozen=True, eq=False)
class Series:
    """Series on the maps' clock.

    values:   float32 (time, series), in `units`, NaN = missing
    lat, lon: float64 (series,), degrees, NaN where the file gives none
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    lat: np.ndarray
    lon: np.ndarray

    def take(self, steps: np.ndarray) -> "Series":
        """The same series at the chosen steps: indices or a mask over time."""
        return replace(self, values=self.values[steps])


def read_series(
    options: SeriesOptions, time: np.ndarray, step: Step, calendar: str
) -> tuple[Series, list[str]]:
    """The series of `options.path` on the clock `time` (int64 seconds, in `calendar`), and warnings.

    InputError: an unreadable file, no time axis, an absent column, a coarser step, no time in common.
    """
    table = _cleaned(_read_table(options, calendar), options)
    values = _on_clock(options.path, table, time, step, calendar)
    present = ~np.isnan(values)
    if not present.any():
        raise InputError(
            f"{options.path} {_no_common(table, time, calendar)}; give a series of the same years"
        )
    names, units, empty = table.names, table.units, ~present.any(axis=0)
    warnings = list(table.warnings)
    if empty.any():
        lost = ", ".join(name for name, none in zip(names, empty, strict=True) if none)
        if options.columns is not None:
            raise InputError(
                f"{options.path}: {lost}: no value at any of the maps' times; choose other columns"
            )
        warnings.append(f"{options.path}: {lost}: no value at any of the maps' times; left out")
        names = tuple(name for name, none in zip(names, empty, strict=True) if not none)
        units = tuple(unit for unit, none in zip(units, empty, strict=True) if not none)
    for name in options.units:
        if name not in names:
            raise absent(options.path, "data.series.units", name, names)
    warnings += [
        f"{options.path}: '{name}' has a value at {share:.0%} of the maps' times only; the rest is missing"
        for name, share in zip(names, present.mean(axis=0)[~empty], strict=True)
        if share < 0.5
    ]
    units = tuple(options.units.get(name, unit) for name, unit in zip(names, units, strict=True))
    kept = values[:, ~empty].astype(np.float32)
    return Series(names, units, kept, table.lat[~empty], table.lon[~empty]), warnings


def series_at(
    options: SeriesOptions, names: Sequence[str], time: np.ndarray, step: Step, calendar: str
) -> tuple[np.ndarray, list[str]]:
    """The series `names` at `time`, float32 (time, series), NaN where the file has no value; and warnings.

    For a forecast: a station that is silent just now is missing, not a mistake. InputError: as `read_series`,
    and a series that the file lacks.
    """
    table = _cleaned(_read_table(options, calendar), options)
    for name in names:
        if name not in table.names:
            raise absent(options.path, "the series", name, table.names)
    columns = [table.names.index(name) for name in names]
    values = _on_clock(options.path, table, time, step, calendar)[:, columns]
    silent = np.isnan(values).all(axis=0)
    if silent.all() and (table.time[-1] < time[0] or time[-1] < table.time[0]):
        raise InputError(
            f"{options.path} {_no_common(table, time, calendar)}; give data.series.path a series of the same "
            "time"
        )
    warnings = list(table.warnings)
    if silent.any():
        lost = ", ".join(name for name, none in zip(names, silent, strict=True) if none)
        warnings.append(f"{options.path}: {lost}: no value at the times that the forecast reads; missing")
    return values.astype(np.float32), warnings


def fingerprint(path: str) -> str:
    """SHA-256 of the file's bytes, hexadecimal: a series that changes packs anew."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"data.series.path: {path}: {error.strerror}; give one CSV or NetCDF file"
        ) from error


def _read_table(options: SeriesOptions, calendar: str) -> Table:
    """The file's series, by the reader that its first bytes call for."""
    try:
        with Path(options.path).open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise InputError(
            f"data.series.path: {options.path}: {error.strerror}; give one CSV or NetCDF file"
        ) from error
    read: Callable[..., Table] = read_netcdf if magic.startswith(NETCDF_MAGIC) else read_csv
    table = read(options.path, calendar, options.columns, options.time_column)
    if not len(table.time):
        raise InputError(
            f"{options.path} holds no time of the maps' calendar ({calendar}); give another file"
        )
    return table


def _cleaned(table: Table, options: SeriesOptions) -> Table:
    """The table with the declared missing values gone, and a warning where undeclared ones are likely."""
    values = np.where(np.isin(table.values, options.missing), np.nan, table.values)
    warnings = list(table.warnings)
    for name, column in zip(table.names, values.T, strict=True):
        found = column[~np.isnan(column)]
        for extreme in {found.min(), found.max()} if len(found) else ():
            rest = found[found != extreme]
            spread = np.ptp(rest) if len(rest) else 0.0
            if extreme in SUSPECTS and len(rest) and np.abs(rest - extreme).min() > 2 * spread:
                warnings.append(
                    f"{options.path}: '{name}' holds {extreme:g} {len(found) - len(rest)} times, far from "
                    f"all else; if that means missing, set data.series.missing=[{extreme:g}]"
                )
    return replace(table, values=values, warnings=warnings)


def _on_clock(path: str, table: Table, time: np.ndarray, step: Step, calendar: str) -> np.ndarray:
    """The values at the maps' times, float64 (time, series), NaN = missing; see the module for the rules."""
    length = step.hours * 3600
    spacing = float(np.median(np.diff(table.time))) if len(table.time) > 1 else length
    if spacing > 1.5 * length:
        raise InputError(
            f"{path} has a value every {spacing / 3600:g} h, the maps a frame every {step.hours:g} h: values "
            f"are not made up between; give a series that is as fine as the maps "
            f"(series {_span(table.time, calendar)}, maps {_span(time, calendar)})"
        )
    if spacing < 0.75 * length:
        return _averaged(table, time, step, calendar)
    rows = _matching_rows(table, time, step, calendar)
    return np.where(rows[:, None] >= 0, table.values[rows], np.nan)


def _matching_rows(table: Table, time: np.ndarray, step: Step, calendar: str) -> np.ndarray:
    """The table's row for every map, int64 (time,), -1 where it has none."""
    clock, wanted, tolerance = table.time, time, MINUTE
    if step.months is not None:
        clock, wanted, tolerance = (
            month_number(clock // DAY, calendar),
            month_number(time // DAY, calendar),
            0,
        )
    elif table.dates_only and step.hours >= 24:
        clock, wanted, tolerance = clock // DAY, time // DAY, 0
    after = np.minimum(np.searchsorted(clock, wanted), len(clock) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(clock[before] - wanted) < np.abs(clock[after] - wanted), before, after)
    return np.where(np.abs(clock[nearest] - wanted) <= tolerance, nearest, -1)


def _averaged(table: Table, time: np.ndarray, step: Step, calendar: str) -> np.ndarray:
    """Means over (time - step, time], float64 (time, series), NaN where over half is missing."""
    start = _step_before(time, step, calendar)
    first, stop = (np.searchsorted(table.time, edge, side="right") for edge in (start, time))
    zero = np.zeros((1, table.values.shape[1]))
    sums = np.concatenate([zero, np.cumsum(np.nan_to_num(table.values), axis=0)])
    counts = np.concatenate([zero, np.cumsum(~np.isnan(table.values), axis=0)])
    total, count = sums[stop] - sums[first], counts[stop] - counts[first]
    expected = (time - start) / float(np.median(np.diff(table.time)))
    enough = (count >= np.maximum(1.0, expected[:, None] / 2)) & (count > 0)
    return np.where(enough, total / np.maximum(count, 1), np.nan)


def _step_before(time: np.ndarray, step: Step, calendar: str) -> np.ndarray:
    """The time one step earlier, seconds; a month before 31 March is the last of February."""
    if step.seconds is not None:
        return time - step.seconds
    return months_later(time // DAY, -(step.months or 0), calendar) * DAY + time % DAY


def _span(time: np.ndarray, calendar: str) -> str:
    """ "first to last" of some times, as ISO dates."""
    return " to ".join(dates(time[[0, -1]], calendar))


def _no_common(table: Table, time: np.ndarray, calendar: str) -> str:
    """What to tell about a series that shares no time with the maps."""
    return (
        f"shares no time with the maps (series {_span(table.time, calendar)}, maps {_span(time, calendar)}, "
        "compared to the minute, in UTC)"
    )
