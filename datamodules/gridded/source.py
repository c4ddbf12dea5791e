"""`open_source`: gridded files of any layout seen as one array (time, channel, lat, lon), read block by
block."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.blocks import BUDGET, suggest_block
from datamodules.gridded.channels import Group, choose_channels
from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.discover import find_sources, fingerprint
from datamodules.gridded.files import Files
from datamodules.gridded.grid import Grid, Placement, place_maps, read_places, same_places
from datamodules.gridded.moments import shared_calendar
from datamodules.gridded.records import RecordReader
from datamodules.gridded.region import Region
from datamodules.gridded.static import read_static, require_static
from datamodules.gridded.stills import stills_of
from datamodules.gridded.survey import survey_files
from datamodules.gridded.timeline import Timeline, Twice, build_timeline

_MOST_COMPARED = 32


@dataclass(eq=False)
class GriddedSource:
    """Maps over time as the files hold them, after the choices of `open_source`.

    files:    the NetCDF files and Zarr stores that were read, sorted
    time:     int64 (time,), seconds since 1970-01-01 in `calendar`, strictly increasing
    tick:     int64 (time,), neighbours differ by 1 exactly if they are one `step` apart
    static:   "orography" (m), "land_mask" (0 to 1) where the files have them, float32 (lat, lon)
    block:    steps to read at once: within BUDGET bytes, a multiple of the files' chunks where that fits
    warnings: sentences for the user; notes: counts for the report (JSON-able)
    """

    files: tuple[Path, ...]
    channels: tuple[Channel, ...]
    grid: Grid
    step: Step
    calendar: str
    time: np.ndarray
    tick: np.ndarray
    static: dict[str, np.ndarray]
    block: int
    warnings: list[str]
    notes: dict[str, Any]
    _handles: Files
    _readers: list[tuple[RecordReader, tuple[int, ...]]]

    def read(self, first: int, stop: int) -> np.ndarray:
        """Frames first to stop: float32 (time, channel, lat, lon), physical units, NaN where missing.

        InputError where the bytes of a file cannot be read.
        """
        first, stop, _ = slice(first, stop).indices(self.time.size)
        maps = np.full((max(stop - first, 0), len(self.channels), *self.grid.shape), np.nan, dtype=np.float32)
        for reader, places in self._readers:
            reader.fill(maps, first, places)
        return maps

    def fingerprint(self) -> list[tuple[str, int, int, str]]:
        """(path, bytes, modification time in ns, digest of head and tail) of every file, in order."""
        return [entry for path in self.files for entry in fingerprint(path)]

    def close(self) -> None:
        """Close the files; a later `read` opens them again."""
        self._handles.close()


def open_source(
    path: str | Path | Sequence[str | Path],
    *,
    variables: Sequence[str] | None = None,
    levels: Sequence[float] | None = None,
    region: Region | None = None,
    start: str | None = None,
    end: str | None = None,
    coarsen: int = 1,
    static_path: str | Path | Sequence[str | Path] | None = None,
    step: Step | None = None,
    budget: int = BUDGET,
) -> GriddedSource:
    """The maps over time of a file, list, glob or folder of NetCDF files and Zarr stores.

    variables: names as in the files, or of one level ("u_500"); None takes all floating and packed ones
    levels:    values of the level axis in its own unit; a level becomes the channel VARIABLE_LEVEL
    region:    `lat` (south, north), `lon` (west, east) in either convention; may cross the files' seam
    start, end: ISO dates, both included ("2010" is the whole year)
    coarsen:   this many cells along each axis are averaged by area
    step:      overrides the step found from the times; needed where there is a single moment

    InputError names file or key, what is wrong and the way out. One moment that two records hold is taken
    from the later file in sorted order (within a file from the later record), and a warning says whether they
    differ.
    """
    if coarsen < 1:
        raise InputError(f"data.coarsen={coarsen}: give a whole number of cells to average, 1 or more.")
    files = Files()
    try:
        paths = find_sources(path)
        survey = survey_files(files, paths, variables)
        calendar = shared_calendar([(part.path, part.calendar, part.time) for part in survey.parts])
        groups, warnings = choose_channels(survey.parts, variables, levels)
        placement = _place(files, groups, region, coarsen, variables, warnings)
        parts = [group.parts for group in groups]
        timeline = build_timeline(parts, calendar, start, end, step)
        readers = [
            RecordReader(files, group.parts, group.picks, where, placement)
            for group, where in zip(groups, timeline.places, strict=True)
        ]
        warnings = [*survey.warnings, *warnings, *placement.warnings, *timeline.warnings]
        warnings += _compare_twice(readers, timeline)
        asked = (
            [files.inspect(one) for one in find_sources(static_path, "data.static_path")]
            if static_path
            else []
        )
        static, told = read_static(
            files, [still for one in asked for still in stills_of(one)], placement, asked=True
        )
        require_static(asked, static)
        incidental, more = read_static(files, survey.stills, placement, asked=False)
        block, slow = suggest_block(groups, placement, budget)
        return GriddedSource(
            files=paths,
            channels=tuple(channel for group in groups for channel in group.channels),
            grid=placement.grid,
            step=timeline.step,
            calendar=calendar,
            time=timeline.time,
            tick=timeline.tick,
            static=incidental | static,
            block=block,
            warnings=list(dict.fromkeys([*warnings, *told, *more, *slow])),
            notes=timeline.notes,
            _handles=files,
            _readers=_numbered(readers, groups),
        )
    except BaseException:
        files.close()
        raise


def _numbered(
    readers: Sequence[RecordReader], groups: Sequence[Group]
) -> list[tuple[RecordReader, tuple[int, ...]]]:
    """Each reader with the places of its channels on the channel axis."""
    numbered, count = [], 0
    for reader, group in zip(readers, groups, strict=True):
        numbered.append((reader, tuple(range(count, count + len(group.channels)))))
        count += len(group.channels)
    return numbered


def _place(
    files: Files,
    groups: list[Group],
    region: Region | None,
    coarsen: int,
    variables: Sequence[str] | None,
    warnings: list[str],
) -> Placement:
    """The one grid of all parts; groups on another one are dropped with a warning when nobody asked for
    them."""
    first = groups[0].parts[0]
    placement = place_maps(files, first.contents, first.layout.axes, first.field, region, coarsen)
    known: dict[tuple[Path, str, str], bool] = {}
    for group in list(groups):
        for part in group.parts:
            axes = part.layout.axes
            key = (part.path, axes.lat, axes.lon)
            if key not in known:
                known[key] = same_places(read_places(files, part.contents, axes), placement.places)
            if known[key]:
                continue
            if variables is None and part.path == first.path:
                groups.remove(group)
                warnings.append(
                    f"{part.path}: {part.field.name!r} is on another grid than {first.field.name!r}; "
                    "left out."
                )
                break
            raise InputError(
                f"the grid changes between files: {part.field.name!r} in {part.path} has other "
                "latitudes or longitudes "
                f"than {first.field.name!r} in {first.path}. Remap one to the other (cdo "
                "remapbil,FIRST IN OUT), or "
                "give only files of one grid."
            )
    return placement


def _compare_twice(readers: Sequence[RecordReader], timeline: Timeline) -> list[str]:
    """Sentences on moments that several records hold: whether the copies are equal."""
    by_files: dict[tuple[str, str], list[Twice]] = defaultdict(list)
    for twin in timeline.twice:
        paths = readers[twin.group].parts
        by_files[str(paths[twin.dropped[0]].path), str(paths[twin.kept[0]].path)].append(twin)
    sentences = []
    for (dropped, kept), twins in by_files.items():
        sample = twins[:: max(1, len(twins) // _MOST_COMPARED)]
        different = sum(
            not np.array_equal(
                readers[twin.group].frame(*twin.dropped),
                readers[twin.group].frame(*twin.kept),
                equal_nan=True,
            )
            for twin in sample
        )
        where = f"twice in {kept}" if kept == dropped else f"in both {dropped} and {kept}"
        verdict = (
            f"THEIR VALUES DIFFER in {different} of {len(sample)} compared; the later one counts"
            if different
            else "they are equal copies; one counts"
        )
        sentences.append(f"{len(twins)} moments are {where}: {verdict}.")
    return sentences
