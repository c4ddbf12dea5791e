"""The moments of a file's records: its time axis read, its calendar named, the odd old conventions
understood."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import ALIASES, GREGORIAN_FROM, calendar_name, date_from_days
from datamodules.gridded.clock import DAY, decode_time
from datamodules.gridded.files import Contents, Files
from datamodules.gridded.steps import find_step, irregular_fraction
from datamodules.gridded.unpack import unpack


def read_moments(
    files: Files, contents: Contents, name: str, warnings: list[str]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Seconds since 1970 (record,), the positions of these records, and the calendar, of a time variable.

    Records whose time is missing are left out, with a warning. `time_origin` (Ferret's) gives the date where
    units have none.
    """
    clock = contents.fields[name]
    where = f"{contents.path}: {name!r}"
    raw = files.read_all(contents.path, clock).reshape(-1)
    plain = {key: value for key, value in clock.attributes.items() if not key.startswith("valid_")}
    known = np.isfinite(unpack(raw, plain))
    if not known.any():
        raise InputError(f"{where} has no valid moment. Repair the time axis.")
    if not known.all():
        warnings.append(f"{where}: {int((~known).sum())} records have no time; they are left out.")
    if "scale_factor" in clock.attributes or "add_offset" in clock.attributes:
        raw = unpack(raw, plain)
    units, origin = clock.text("units"), clock.text("time_origin")
    if " since " not in units and origin and "%" not in units:
        units = f"{units} since {origin}"
        warnings.append(f"{where}: units {clock.text('units')!r} are read with `time_origin` as {units!r}.")
    calendar = calendar_name(clock.text("calendar") or None, where)
    time = decode_time(raw[known], units, calendar, where)
    if "calendar" not in clock.attributes:
        calendar, time = _model_calendar(raw[known], units, time, where, warnings)
    return time, np.flatnonzero(known), calendar


def _model_calendar(
    raw: np.ndarray, units: str, time: np.ndarray, where: str, warnings: list[str]
) -> tuple[str, np.ndarray]:
    """The calendar of an axis that names none: the standard one, except for model years near year 0.

    Years 0 and 1 are no dates of the standard calendar that anyone measured in; where the frames are exact
    calendar months in one of the models' calendars only, that one is taken, with a warning.
    """
    year = int(date_from_days(np.int64(time[0] // DAY), "standard")[0])
    if year > 1 or time.size < 3 or (np.diff(time) <= 0).any():
        return "standard", time
    for calendar in ("standard", "noleap", "360_day"):
        moments = decode_time(raw, units, calendar, where)
        step = find_step(moments, calendar)
        days = date_from_days(moments // DAY, calendar)[2]
        if step.months is not None and irregular_fraction(moments, step, calendar) == 0 and np.ptp(days) == 0:
            warnings.append(
                f"{where} names no calendar; its model months are exact in {calendar!r}, which is used."
            )
            return calendar, moments
    return "standard", time


def shared_calendar(found: Sequence[tuple[Path, str, np.ndarray]]) -> str:
    """The one calendar of (file, calendar, time); standard and proleptic Gregorian agree from 1582-10-15
    on."""
    names = {calendar for _, calendar, _ in found}
    if len(names) == 1:
        return names.pop()
    modern = all(time.min() >= GREGORIAN_FROM * DAY for _, _, time in found)
    if names == {"standard", "proleptic_gregorian"} and modern:
        return "standard"
    first = found[0]
    other = next(one for one in found if one[1] != first[1])
    raise InputError(
        f"calendars disagree: {first[1]!r} in {first[0]}, {other[1]!r} in {other[0]}. "
        f"Give files of one calendar (one of {', '.join(sorted(set(ALIASES.values())))})."
    )
