"""Records of all files put in order: one time axis, and for each of its moments the record that holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.calendars import month_number
from datamodules.gridded.clock import DAY, dates, parse_period
from datamodules.gridded.describe import Step
from datamodules.gridded.steps import count_ticks, find_step, irregular_fraction
from datamodules.gridded.survey import Part


@dataclass(frozen=True, eq=False)
class Places:
    """Where one group of channels lies at each moment: `part` (time,), -1 where nowhere, and `record`
    (time,)."""

    part: np.ndarray
    record: np.ndarray


@dataclass(frozen=True)
class Twice:
    """A moment that a group of channels has in two records: the place kept and the place dropped (part,
    record)."""

    group: int
    time: int
    kept: tuple[int, int]
    dropped: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Timeline:
    """The common time axis, strictly increasing, and where each group lies on it.

    time, tick: int64 (time,), see `count_ticks`. notes: counts for the report.
    """

    time: np.ndarray
    tick: np.ndarray
    step: Step
    places: tuple[Places, ...]
    twice: tuple[Twice, ...]
    warnings: tuple[str, ...]
    notes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Run:
    """The moments of one group, sorted, without repeats."""

    time: np.ndarray
    part: np.ndarray
    record: np.ndarray


def build_timeline(
    groups: Sequence[Sequence[Part]], calendar: str, start: str | None, end: str | None, step: Step | None
) -> Timeline:
    """The moments at which any group has a map, from `start` to `end` (ISO dates, both included).

    groups: the parts of each set of channels that lie together, in the order of the files. Of two records of
    one moment the one of the later file (in a file, the later record) counts. Monthly groups meet in their
    month, wherever in it they are dated. step: taken instead of the found one, and needed where there is one
    moment only.
    """
    warnings: list[str] = []
    twice: list[Twice] = []
    runs = [_sort(number, group, twice, warnings) for number, group in enumerate(groups)]
    time, keys = _join(runs, calendar)
    inside = _within(time, calendar, start, end, str(groups[0][0].path))
    time = time[inside]
    places = []
    for run, key in zip(runs, keys, strict=True):
        part = np.full(inside.size, -1, dtype=np.int64)
        record = np.full(inside.size, -1, dtype=np.int64)
        part[key], record[key] = run.part, run.record
        places.append(Places(part[inside], record[inside]))
    step = step or _found_step(time, calendar, groups)
    tick = count_ticks(time, step, calendar)
    _tell_coverage(groups, places, time, warnings)
    warnings += _irregularities(time, step, calendar)
    jumps = np.diff(tick)
    notes = {
        "first": dates(time[:1], calendar)[0],
        "last": dates(time[-1:], calendar)[0],
        "duplicated": len(twice),
        "gaps": int((jumps > 1).sum()),
        "missing_steps": int((jumps - 1)[jumps > 1].sum()),
        "unsorted_files": sum(_is_unsorted(part.time) for group in groups for part in group),
    }
    return Timeline(time, tick, step, tuple(places), tuple(twice), tuple(warnings), notes)


def _sort(number: int, group: Sequence[Part], twice: list[Twice], warnings: list[str]) -> _Run:
    """The moments of one group in order, each once."""
    time = np.concatenate([part.time for part in group])
    owner = np.concatenate([np.full(part.time.size, index) for index, part in enumerate(group)])
    record = np.concatenate([part.record for part in group])
    for part in group:
        if _is_unsorted(part.time):
            message = f"{part.path}: its moments are not in order; they are sorted."
            warnings += [] if message in warnings else [message]
    order = np.lexsort((record, owner, time))
    time, owner, record = time[order], owner[order], record[order]
    last = np.append(np.diff(time) != 0, True)
    for position in np.flatnonzero(~last):
        kept = int(position + np.argmax(last[position:]))
        twice.append(
            Twice(
                number,
                int(time[position]),
                (int(owner[kept]), int(record[kept])),
                (int(owner[position]), int(record[position])),
            )
        )
    return _Run(time[last], owner[last], record[last])


def _join(runs: Sequence[_Run], calendar: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """All moments of all groups, and the positions of each group's moments among them."""
    different = any(not np.array_equal(run.time, runs[0].time) for run in runs)
    monthly = different and all(
        run.time.size > 1 and find_step(run.time, calendar).months is not None for run in runs
    )
    clocks = [month_number(run.time // DAY, calendar) if monthly else run.time for run in runs]
    everything = np.unique(np.concatenate(clocks))
    keys = [np.searchsorted(everything, clock) for clock in clocks]
    time = np.zeros(everything.size, dtype=np.int64)
    for run, key in reversed(list(zip(runs, keys, strict=True))):
        time[key] = run.time
    return time, keys


def _within(time: np.ndarray, calendar: str, start: str | None, end: str | None, where: str) -> np.ndarray:
    inside = np.ones(time.size, dtype=bool)
    if start is not None:
        inside &= time >= parse_period(start, calendar, "data.start")[0]
    if end is not None:
        inside &= time < parse_period(end, calendar, "data.end")[1]
    if not inside.any():
        first, last = dates(time[[0, -1]], calendar)
        raise InputError(
            f"data.start, data.end: nothing lies in {start or 'the beginning'} to {end or 'the end'}; "
            f"the data ({where}) go from {first} to {last}."
        )
    return inside


def _found_step(time: np.ndarray, calendar: str, groups: Sequence[Sequence[Part]]) -> Step:
    if time.size < 2:
        raise InputError(
            f"{groups[0][0].path}: no time axis to speak of: the one moment is "
            f"{dates(time, calendar)[0]}, and one map "
            "has no step. Give more files of the series together, or widen data.start and data.end."
        )
    return find_step(time, calendar)


def _tell_coverage(
    groups: Sequence[Sequence[Part]], places: Sequence[Places], time: np.ndarray, warnings: list[str]
) -> None:
    """Warn of variables that lack many of the moments that others have; InputError where one has none
    left."""
    for group, place in zip(groups, places, strict=True):
        share = float((place.part >= 0).mean())
        name = group[0].field.name
        if share == 0:
            raise InputError(
                f"data.variables: {name!r} ({group[0].path}) has no moment between data.start and "
                "data.end, where other "
                "variables have some. Leave it out, or choose dates that it covers."
            )
        if share < 1:
            warnings.append(
                f"{name!r} has maps at {share:.1%} of the {time.size} moments; elsewhere it is missing."
            )


def _irregularities(time: np.ndarray, step: Step, calendar: str) -> list[str]:
    if time.size < 2:
        return []
    irregular = irregular_fraction(time, step, calendar)
    clock = time if step.months is None else month_number(time // DAY, calendar)
    broken = int((np.diff(clock) % (step.seconds or step.months or 1) != 0).sum())
    found = []
    if irregular > 0.5:
        found.append(
            f"time is irregular: only {1 - irregular:.0%} of neighbouring maps are one step "
            f"({step.lead_name(1)}) apart; "
            "whole windows will be few."
        )
    if broken:
        found.append(
            f"{broken} distances between maps are no whole number of steps ({step.lead_name(1)}); "
            "each counts as a gap."
        )
    return found


def _is_unsorted(time: np.ndarray) -> bool:
    return bool((np.diff(time) < 0).any())
