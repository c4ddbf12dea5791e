"""What happened, map by map at the times that forecasts ask for, on the cells that they share."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import GREGORIAN_FROM, month_number
from datamodules.gridded.clock import DAY, dates
from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.source import GriddedSource, open_source
from datamodules.gridded.units import plain_units
from pipelines.verification.forecast_file import ForecastFile
from pipelines.verification.places import SharedCells, shared_cells

Key = TypeVar("Key")
KEPT_BYTES = 1 << 28
"""Maps that are kept because the next forecasts are judged by them too."""


class Recent(Generic[Key]):
    """Maps by their key, read once; the longest unused go when more than KEPT_BYTES are kept."""

    def __init__(self, read: Callable[[Key], np.ndarray]) -> None:
        self._read = read
        self._kept: OrderedDict[Key, np.ndarray] = OrderedDict()

    def __call__(self, key: Key) -> np.ndarray:
        """The maps of this key."""
        if key not in self._kept:
            found = self._read(key)
            while self._kept and (len(self._kept) + 1) * found.nbytes > KEPT_BYTES:
                self._kept.popitem(last=False)
            self._kept[key] = found
        self._kept.move_to_end(key)
        return self._kept[key]


class Truth:
    """Maps (channel, lat, lon) of what happened, for the variables and cells of one kind of forecast file.

    channels: as the truth names them.     chosen: positions of the forecast's channels, in the same order.
    cells: shared with the forecast.       warnings: sentences for the user.
    """

    def __init__(self, path: str, forecast: ForecastFile) -> None:
        """Open the files. InputError where they lack a variable, its units, its cells or its calendar."""
        whole = _opened(path, forecast, None)
        try:
            pairs, told = matched(forecast.channels, whole.channels, str(forecast.path), f"truth={path}")
        finally:
            whole.close()
        wanted = [whole.channels[place] for _, place in pairs]
        self._source = _opened(path, forecast, sorted({channel.variable for channel in wanted}))
        there = {channel.name: place for place, channel in enumerate(self._source.channels)}
        self._places = [there[channel.name] for channel in wanted]
        self.channels = tuple(wanted)
        self.chosen = tuple(place for place, _ in pairs)
        self.warnings = (*self._source.warnings, *told)
        self.calendar = self._source.calendar
        _same_calendar(self.calendar, forecast, self._source.time, path)
        self.cells = self.place(forecast)
        self._monthly = self._source.step.months is not None
        self._index = {key: place for place, key in enumerate(self._keys(self._source.time).tolist())}
        step_bytes = 4 * len(self._source.channels) * self._source.grid.cell_area.size
        self._block = max(1, min(self._source.block, KEPT_BYTES // 8 // step_bytes))
        self._recent: Recent[int] = Recent(self._read)

    def place(self, forecast: ForecastFile) -> SharedCells:
        """The cells that the truth shares with a forecast file."""
        grid = self._source.grid
        return shared_cells(grid, forecast.lat, forecast.lon, "forecast", str(forecast.path))

    @property
    def span(self) -> str:
        """The first and the last moment."""
        first, last = dates(self._source.time[[0, -1]], self.calendar)
        return f"{first} to {last}"

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of the shared cells."""
        lat, lon = self._source.grid.lat, self._source.grid.lon
        if lat.ndim == 2:
            return lat, lon
        return lat[self.cells.rows], lon[self.cells.columns]

    def at(self, time: int) -> np.ndarray | None:
        """Maps (channel, lat, lon) float32 at a moment, NaN where missing; None where there is no map.

        Monthly maps are found by their month, wherever in it they are dated.
        """
        place = self._index.get(int(self._keys(np.array([time]))[0]))
        if place is None:
            return None
        number, inside = divmod(place, self._block)
        return np.asarray(self._recent(number)[inside])

    def close(self) -> None:
        """Close the files."""
        self._source.close()

    def _keys(self, time: np.ndarray) -> np.ndarray:
        return month_number(time // DAY, self.calendar) if self._monthly else time

    def _read(self, number: int) -> np.ndarray:
        """Some steps in a row, as many as one read of the files gives anyway: (step, channel, lat, lon)."""
        first = number * self._block
        maps = self._source.read(first, first + self._block)[:, self._places]
        return self.cells.of_truth(maps)


def _opened(path: str, forecast: ForecastFile, variables: list[str] | None) -> GriddedSource:
    """The truth; where it holds a single moment, the step is taken from the forecast."""
    try:
        return open_source(path, variables=variables)
    except InputError:
        hours = np.diff([0.0, *forecast.times.lead_hours])
        step = Step(seconds=max(1, round(float(hours[hours > 0].min(initial=24.0)) * 3600)))
        try:
            return open_source(path, variables=variables, step=step)
        except InputError as error:
            raise InputError(str(error).replace("data.path", "truth")) from error


def matched(
    forecast: Sequence[Channel], truth: Sequence[Channel], whose: str, key: str
) -> tuple[list[tuple[int, int]], list[str]]:
    """Pairs of positions of what is forecast and what happened, and warnings.

    By name, else by variable and level, else by the standard name, else the only one by the only one.
    Variables that have no partner are left out with a warning. InputError where none has, or units differ.
    """
    pairs: list[tuple[int, int]] = []
    told, alone = [], []
    for place, channel in enumerate(forecast):
        other = _partner(channel, truth)
        if other is None and len(forecast) == len(truth) == 1:
            other = 0
            told.append(
                f"'{channel.name}' of {whose} is judged by '{truth[0].name}', the only variable of {key}"
            )
        if other is None:
            alone.append(channel.name)
        else:
            pairs.append((place, other))
    names = ", ".join(channel.name for channel in truth)
    if not pairs:
        raise InputError(
            f"{key} has none of {', '.join(alone)}, which {whose} forecasts; it has {names}. Rename the "
            "variables to be alike (ncrename -v OLD,NEW)"
        )
    if alone:
        told.append(f"not judged, for {key} lacks them: {', '.join(alone)}")
    for place, other in pairs:
        ours, theirs = forecast[place].units, truth[other].units
        if ours and theirs and plain_units(ours) != plain_units(theirs):
            raise InputError(
                f"'{forecast[place].name}' is in '{ours}' in {whose}, in '{theirs}' in {key}; convert one of "
                "them (cdo mulc, addc and setunit)"
            )
        if bool(ours) != bool(theirs):
            told.append(f"'{truth[other].name}' has units on one side only; they are taken to be equal")
    return pairs, told


def _partner(channel: Channel, truth: Sequence[Channel]) -> int | None:
    """The position of what a channel forecasts."""
    tests: tuple[Callable[[Channel], bool], ...] = (
        lambda other: other.name == channel.name,
        lambda other: other.name.lower() == channel.name.lower(),
        lambda other: other.variable == channel.variable and channel.level in (None, other.level),
        lambda other: (
            bool(channel.standard_name)
            and other.standard_name == channel.standard_name
            and channel.level in (None, other.level)
        ),
    )
    for test in tests:
        found = [place for place, other in enumerate(truth) if test(other)]
        if len(found) == 1:
            return found[0]
    return None


def _same_calendar(calendar: str, forecast: ForecastFile, time: np.ndarray, path: str) -> None:
    """InputError where the forecast counts its days in another calendar."""
    theirs = forecast.times.calendar
    modern = min(int(time.min()), int(forecast.times.reference.min())) >= GREGORIAN_FROM * DAY
    if calendar != theirs and not (modern and {calendar, theirs} == {"standard", "proleptic_gregorian"}):
        raise InputError(
            f"{forecast.path} counts in the calendar '{theirs}', truth={path} in '{calendar}'; convert one "
            "of them (cdo setcalendar)"
        )
