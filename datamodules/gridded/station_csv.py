"""Series from CSV, in either of two layouts.

  wide  a time column and one column a series:                  time,halifax,victoria
  long  a time column, a station column, one or more values:    time,station,tas,pr   (and lat, lon if known)

Long series are named after the station, with several value columns `<station>_<column>`.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.station_table import Table, absent, chosen, civil_seconds, lost_days, sort_times

TIME_NAMES = ("time", "date", "datetime", "timestamp", "valid_time", "date_time", "day", "month")
STATION_NAMES = (
    "station",
    "station_id",
    "station_name",
    "site",
    "stid",
    "id",
    "name",
    "location",
    "city",
    "series",
)
PLACES = {"lat": ("lat", "latitude"), "lon": ("lon", "longitude", "long")}
MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "--", "."}
STAMP = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d{2})(-?(?P<day>\d{2}))?"
    r"([T ](?P<hour>\d{2})(:?(?P<minute>\d{2})(:?(?P<second>\d{2})(\.\d+)?)?)?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d{2}(:?\d{2})?)?"
)
PARTS = (
    ("year", 1, 9999),
    ("month", 1, 12),
    ("day", 1, 31),
    ("hour", 0, 23),
    ("minute", 0, 59),
    ("second", 0, 59),
)


@dataclass(frozen=True)
class Sheet:
    """The cells of a CSV file, stripped; `lines` are the rows' line numbers, for messages."""

    path: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def rows_at(self, indices: Iterable[int]) -> "Sheet":
        """The same sheet with the chosen rows only."""
        chosen_rows = list(indices)
        return Sheet(
            self.path, self.header, [self.rows[i] for i in chosen_rows], [self.lines[i] for i in chosen_rows]
        )

    def is_text(self, column: int) -> bool:
        """Whether a column holds words: something, and never a number."""
        cells = {row[column] for row in self.rows} - {""}
        return bool(cells) and not any(_is_number(cell) for cell in cells)

    def numbers(self, column: int) -> np.ndarray:
        """A column as float64 (row,), NaN = missing."""
        for row, line in zip(self.rows, self.lines, strict=True):
            if not _is_number(row[column]):
                raise InputError(
                    f"{self.path}, line {line}, column '{self.header[column]}': '{row[column]}' is no "
                    "number; use a decimal point, leave missing values empty, and choose columns with "
                    "data.series.columns"
                )
        values = np.array([_number(row[column]) for row in self.rows])
        return np.where(np.isfinite(values), values, np.nan)


def read_csv(path: str, calendar: str, columns: Sequence[str] | None, time_column: str | None) -> Table:
    """The series of a CSV file (separated by comma, semicolon, tab or bar), times in `calendar`, read as UTC.

    InputError: no header, ragged rows, no time column, a time or number that cannot be read, absent columns.
    """
    sheet = _read_sheet(path)
    clock = _time_column(sheet, time_column)
    seconds, exists, dates_only = _parse_times(sheet, clock, calendar)
    sheet, time = sheet.rows_at(np.flatnonzero(exists)), seconds[exists]
    station = _station_column(sheet, clock, time)
    if station is None:
        table = _wide(sheet, clock, time, columns)
    else:
        table = _long(sheet, clock, station, time, columns)
    warnings = lost_days(path, exists, calendar) + table.warnings
    return replace(table, dates_only=dates_only, warnings=warnings)


def _read_sheet(path: str) -> Sheet:
    """The cells of the file; blank lines and lines after '#' left out."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip() and not line.startswith("#")), "")
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t|", key=first.count), strict=True)
            found = [
                (reader.line_num, [cell.strip() for cell in row])
                for row in reader
                if any(cell.strip() for cell in row) and not row[0].startswith("#")
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); give UTF-8 text with a header") from error
    if len(found) < 2 or len(found[0][1]) < 2:
        raise InputError(f"{path} needs a header line, at least two columns (comma, ; tab or |), and rows")
    header = found[0][1]
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise InputError(
            f"{path}: the header names {', '.join(repeated)} twice; give every column its own name"
        )
    for line, row in found[1:]:
        if len(row) != len(header):
            raise InputError(f"{path}, line {line}: {len(row)} cells, the header has {len(header)}")
    return Sheet(path, header, [row for _, row in found[1:]], [line for line, _ in found[1:]])


def _time_column(sheet: Sheet, wanted: str | None) -> int:
    """Which column is the time: the one asked for, one that is named so, or the first that holds dates."""
    header, first = sheet.header, sheet.rows[0]
    if wanted is not None:
        if wanted not in header:
            raise absent(sheet.path, "data.series.time_column", wanted, header)
        return header.index(wanted)
    lower = [name.lower() for name in header]
    named = [lower.index(name) for name in TIME_NAMES if name in lower]
    dated = [index for index, cell in enumerate(first) if "-" in cell]
    for index in named + dated:
        if STAMP.fullmatch(first[index]):
            return index
    raise InputError(
        f"{sheet.path}: no column of times among {', '.join(header)}; write ISO times such as "
        "2001-06-30T12:00Z, and name the column with data.series.time_column"
    )


def _parse_times(sheet: Sheet, column: int, calendar: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """(seconds in `calendar`, int64; mask of the dates that it has; whether no time of day is written)."""
    stamps = [row[column] for row in sheet.rows]
    places = {stamp: place for place, stamp in enumerate(dict.fromkeys(stamps))}
    found = [STAMP.fullmatch(stamp) for stamp in places]
    fields = np.array(
        [[int((one and one[part]) or least) for part, least, _ in PARTS] for one in found], dtype=np.int64
    )
    low, high = np.array([limits[1:] for limits in PARTS]).T
    wrong = np.array([one is None for one in found]) | ((fields < low) | (fields > high)).any(axis=1)
    if wrong.any():
        stamp = list(places)[int(wrong.argmax())]
        raise InputError(
            f"{sheet.path}, line {sheet.lines[stamps.index(stamp)]}: '{stamp}' in column "
            f"'{sheet.header[column]}' is no ISO time; write 2001-06-30T12:00Z"
        )
    year, month, day, hour, minute, second = fields.T
    ahead = np.array([_offset(one and one["zone"]) for one in found], dtype=np.int64)
    seconds, exists = civil_seconds((year, month, day), hour * 3600 + minute * 60 + second, calendar)
    rows = np.array([places[stamp] for stamp in stamps])
    dates_only = all(one is None or one["hour"] is None for one in found)
    return (seconds - ahead)[rows], exists[rows], dates_only


def _offset(zone: str | None) -> int:
    """Seconds by which a clock marked "+05:30", "-0800", "Z" or nothing is ahead of UTC."""
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    ahead = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return ahead if zone[0] == "+" else -ahead


def _number(text: str) -> float:
    """The number in a cell, NaN where it is missing; ValueError where it is neither."""
    return np.nan if text.lower() in MISSING else float(text)


def _is_number(text: str) -> bool:
    """Whether a cell holds a number or says that it is missing."""
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _station_column(sheet: Sheet, clock: int, time: np.ndarray) -> int | None:
    """Which column names the station of a long table; None for a wide one."""
    repeats = len(np.unique(time)) < len(time)
    text = [index for index in range(len(sheet.header)) if index != clock and sheet.is_text(index)]
    for index, name in enumerate(sheet.header):
        if index != clock and name.lower() in STATION_NAMES and (repeats or index in text):
            return index
    return text[0] if repeats and text else None


def _without_text(sheet: Sheet, columns: list[int]) -> tuple[list[int], list[str]]:
    """The columns that hold numbers, and a warning for each that does not; InputError when none does."""
    text = [index for index in columns if sheet.is_text(index)]
    kept = [index for index in columns if index not in text]
    if not kept:
        raise InputError(f"{sheet.path}: no column of numbers among {', '.join(sheet.header)}")
    return kept, [f"{sheet.path}: column '{sheet.header[i]}' holds no numbers; left out" for i in text]


def _wide(sheet: Sheet, clock: int, time: np.ndarray, columns: Sequence[str] | None) -> Table:
    """One series a column; columns of words are left out, and told."""
    others = [name for index, name in enumerate(sheet.header) if index != clock]
    kept = [sheet.header.index(name) for name in chosen(sheet.path, others, columns)]
    warnings: list[str] = []
    if columns is None:
        kept, warnings = _without_text(sheet, kept)
    time, values, told = sort_times(time, np.stack([sheet.numbers(i) for i in kept], axis=1), sheet.path)
    names = tuple(sheet.header[i] for i in kept)
    unknown = np.full(len(kept), np.nan)
    return Table(time, values, names, ("",) * len(kept), unknown, unknown, warnings=warnings + told)


def _long(sheet: Sheet, clock: int, station: int, time: np.ndarray, columns: Sequence[str] | None) -> Table:
    """One series a station and value column, on the union of the stations' times."""
    header, owners = sheet.header, np.array([row[station] for row in sheet.rows])
    lower = [name.lower() for name in header]
    places = {
        axis: next((lower.index(n) for n in names if n in lower), None) for axis, names in PLACES.items()
    }
    others = [i for i in range(len(header)) if i not in (clock, station, *places.values())]
    valued, warnings = _without_text(sheet, others)
    labels = {
        name if len(valued) == 1 else f"{name}_{header[i]}": (name, i)
        for name in dict.fromkeys(owners.tolist())
        for i in valued
    }
    kept = chosen(sheet.path, list(labels), columns)
    all_times = np.unique(time)
    values = np.full((len(all_times), len(kept)), np.nan)
    place = {axis: np.full(len(kept), np.nan) for axis in places}
    for slot, (name, column) in enumerate(labels[label] for label in kept):
        mine = np.flatnonzero(owners == name)
        own = sheet.rows_at(mine)
        when, found, told = sort_times(
            time[mine], own.numbers(column)[:, None], f"{sheet.path}, station {name}"
        )
        values[np.searchsorted(all_times, when), slot] = found[:, 0]
        warnings += [warning for warning in told if warning not in warnings]
        for axis, index in places.items():
            if index is not None:
                place[axis][slot] = own.rows_at([0]).numbers(index)[0]
    units = ("",) * len(kept)
    return Table(all_times, values, tuple(kept), units, place["lat"], place["lon"], warnings=warnings)
