"""What a gridded data set is made of: frozen, validated settings. Imports nothing slow."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from datamodules.options import DownloadOptions, Options, Paths, check_name, sentence

DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"([T ](?P<hour>\d{2})(:(?P<minute>\d{2})(:\d{2})?)?Z?)?)?)?"
)


def _as_text(value: Any) -> Any:
    """A year that YAML read as a number, or a date that it read as a date, as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:04d}"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value


def _check_date(text: str) -> str:
    """`text`, when it is an ISO date of any calendar (so 30 February passes)."""
    found = DATE.fullmatch(text)
    if found is None:
        raise sentence(f"'{text}' is no date; write 2001, 2001-06, 2001-06-30 or 2001-06-30T12:00 (UTC)")
    limits = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59)}
    for part, (low, high) in limits.items():
        if found[part] is not None and not low <= int(found[part]) <= high:
            raise sentence(f"'{text}' is no date: the {part} is {found[part]}, allowed are {low} to {high}")
    return text


def _check_pair(pair: tuple[str, str]) -> tuple[str, str]:
    """A period that does not end before it starts; a short date stands for all that it covers."""
    shared = min(len(pair[0]), len(pair[1]))
    if pair[1][:shared].replace(" ", "T") < pair[0][:shared].replace(" ", "T"):
        raise sentence(f"the period ({pair[0]}, {pair[1]}) ends before it starts; write (start, end)")
    return pair


IsoDate = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_date)]
"""An ISO date. As an end it is inclusive and covers all it names: 2001-06 includes 30 June, 23:59."""


def _check_share(value: Any) -> Any:
    """A fraction of the steps, or a period as two ISO dates."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        raise sentence(
            f"'{value}' is neither a fraction such as 0.7 nor a period such as [2001-01-01, 2008-12-31]"
        )
    if isinstance(value, (int, float)):
        if not 0 < value < 1:
            raise sentence(f"a fraction of the steps lies above 0 and below 1; found {value:g}")
        return float(value)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise sentence(f"a period is two dates, such as [2001-01-01, 2008-12-31]; found {value}")
    start, end = (_check_date(str(_as_text(date))) for date in value)
    return _check_pair((start, end))


Share = Annotated[float | tuple[str, str], BeforeValidator(_check_share)]


def _check_once(values: list[Any]) -> list[Any]:
    """Values of which none is named twice, at least one."""
    if not values:
        raise sentence("this list is empty; leave the key unset to keep all")
    if twice := sorted({str(value) for value in values if values.count(value) > 1}):
        raise sentence(f"named twice: {', '.join(twice)}")
    return values


Names = Annotated[list[str], AfterValidator(_check_once)]


class Region(Options):
    """The part of the globe to keep: `lat` (south, north) and `lon` (west, east), degrees.

    Longitudes may be written in either convention; a region across the date line or Greenwich is given as
    (west, east) going eastwards, such as (-20, 30), (340, 30) or (170, -170).
    """

    lat: tuple[float, float] | None = None
    lon: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Region":
        if self.lat is not None and not -90 <= self.lat[0] < self.lat[1] <= 90:
            raise sentence(
                f"lat is (south, north), within -90 to 90; found ({self.lat[0]:g}, {self.lat[1]:g})"
            )
        if self.lon is not None:
            west, east = self.lon
            if not (-360 <= west <= 720 and -360 <= east <= 720):
                raise sentence(f"lon is (west, east), within -360 to 720; found ({west:g}, {east:g})")
            if west == east:
                raise sentence(f"lon is (west, east) and the two differ; found ({west:g}, {east:g})")
        return self


class SeriesOptions(Options):
    """Station values or indices on the same clock as the maps, from one CSV or NetCDF file.

    columns: the series to keep, by name; all of them when unset.     time_column: found by itself when unset.
    missing: numbers that stand for a missing value in the file, such as -9999.
    units:   what the file does not say, by series name.              target: forecast the series too.
    """

    path: str = Field(min_length=1)
    columns: Names | None = None
    time_column: str | None = None
    target: bool = False
    units: dict[str, str] = Field(default={})
    missing: list[float] = Field(default=[])


class SplitOptions(Options):
    """How time is divided: three fractions of the steps in order of time, or three periods of dates.

    The end of a period is inclusive. Periods closer than a window are refused when windows are made.
    """

    train: Share = 0.7
    validation: Share = 0.15
    test: Share = 0.15

    @model_validator(mode="after")
    def _check(self) -> "SplitOptions":
        parts = (self.train, self.validation, self.test)
        fractions = [part for part in parts if isinstance(part, float)]
        if fractions and len(fractions) < 3:
            raise sentence("train, validation and test are all fractions or all periods, not a mixture")
        if (total := sum(fractions)) > 1 + 1e-9:
            raise sentence(f"train, validation and test are fractions that sum to 1 at most; found {total:g}")
        return self


class SampleWeatherOptions(Options):
    """The generated sample set: how long it is, and the seed that fixes it."""

    days: int = Field(default=913, ge=10)
    seed: int = Field(default=0, ge=0)


class GriddedOptions(Options):
    """Maps on a grid: the source files, what to keep of them, how to split and batch them.

    path:        a file, a folder, a glob, or a list of those (NetCDF or Zarr).
    variables:   names to keep, all gridded ones when unset.     levels: vertical levels to keep.
    start, end:  ISO dates, both inclusive.                      coarsen: cells averaged along each axis.
    static_path: file(s) with maps that do not change.           sample: made at `path` if absent.
    """

    kind: Literal["gridded"] = "gridded"
    name: Annotated[str, AfterValidator(check_name)]
    path: Paths
    variables: Names | None = None
    levels: Annotated[list[float], AfterValidator(_check_once)] | None = None
    region: Region | None = None
    start: IsoDate | None = None
    end: IsoDate | None = None
    coarsen: int = Field(default=1, ge=1)
    static_path: Paths | None = None
    series: SeriesOptions | None = None
    split: SplitOptions = SplitOptions()
    batch_size: int = Field(default=32, ge=1)
    workers: int = Field(default=0, ge=0)
    download: DownloadOptions | None = None
    sample: SampleWeatherOptions | None = None

    @model_validator(mode="after")
    def _check(self) -> "GriddedOptions":
        if self.start is not None and self.end is not None:
            _check_pair((self.start, self.end))
        return self
