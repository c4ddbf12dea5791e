"""Source files packed once into a store, which every later call, rank and worker re-uses.

A store's folder carries a digest of the sources and of every choice that shapes it. Packing works in
`<folder>.part`, is resumed there after a kill, and publishes by rename. Of processes that call at once, one
packs under a lock and the others wait for its store.
"""

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded import report
from datamodules.gridded.describe import Channel
from datamodules.gridded.filling import fill
from datamodules.gridded.options import GriddedOptions
from datamodules.gridded.series import fingerprint as series_fingerprint
from datamodules.gridded.series import read_series
from datamodules.gridded.store import FORMAT, Store, plain, write_description
from datamodules.locking import alone

if TYPE_CHECKING:
    from datamodules.gridded.source import GriddedSource

log = logging.getLogger(__name__)

SHAPING = ("variables", "levels", "region", "start", "end", "coarsen")
"""Choices that change what is packed; splits and batches, for instance, do not."""

Progress = Callable[[int, int], None]


def pack(options: GriddedOptions, stores: Path, progress: Progress | None = None) -> Store:
    """The store of these sources and choices under `stores`: opened when it is there, packed first when not.

    Safe to call from any number of processes at once. Memory stays flat however large the files are.
    progress: called with (frames done, frames in all) after every block.

    Errors: InputError when the sources or the series cannot be used, a channel has no value, two channels
    share a name, or the disk has no room.
    """
    from datamodules.gridded.source import open_source

    source = open_source(
        options.path,
        variables=options.variables,
        levels=options.levels,
        region=options.region,
        start=options.start,
        end=options.end,
        coarsen=options.coarsen,
        static_path=options.static_path,
    )
    with closing(source):
        return pack_source(source, options, stores, progress)


def pack_source(
    source: "GriddedSource", options: GriddedOptions, stores: Path, progress: Progress | None = None
) -> Store:
    """The store of a source that is open already; see `pack`."""
    digest = _digest(options, source)
    folder = Path(stores).resolve() / f"{options.name}-{digest[:12]}"
    if _published(folder):
        log.info("re-using the store %s", folder)
        return Store.open(folder)
    _refuse_equal_names(source.channels)
    with alone(folder.with_name(f"{folder.name}.lock"), f"packs {folder}"):
        if not _published(folder):
            _pack(options, source, digest, folder, progress)
    return Store.open(folder)


def _pack(
    options: GriddedOptions, source: "GriddedSource", digest: str, folder: Path, progress: Progress | None
) -> None:
    """Fill `<folder>.part`, and publish it as `folder`."""
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    if _published(part):
        _publish(part, folder)
        return
    log.info("packing %d frames into %s", len(source.time), folder)
    series, warnings = None, list(source.warnings)
    if options.series is not None:
        series, told = read_series(options.series, source.time, source.step, source.calendar)
        warnings += told
    shape = (len(source.time), len(source.channels), *source.grid.shape)
    kept, tally = fill(part, source, digest, shape, source.grid.cell_area, progress)
    try:
        variables = report.describe_channels(
            source.channels, tally, int(kept.sum()) * source.grid.cell_area.size
        )
    except InputError:
        shutil.rmtree(part)
        raise
    time, tick = source.time[kept], source.tick[kept] - source.tick[kept][0]
    series = None if series is None else series.take(kept)
    if tally.infinite:
        warnings.append(f"{tally.infinite} infinite values count as missing")
    if empty := int((~kept).sum()):
        warnings.append(f"{empty} frames hold no value in any variable and are left out as gaps")
    np.save(part / "time.npy", time)
    np.save(part / "tick.npy", tick)
    write_description(
        part,
        channels=tuple(source.channels),
        grid=source.grid,
        step=source.step,
        calendar=source.calendar,
        static=source.static,
        series=series,
        digest=digest,
        report={
            "variables": variables,
            "time": report.describe_time(time, tick, source.step, source.calendar, empty),
            "grid": report.describe_grid(source.grid),
            "series": report.describe_series(series),
            "static": sorted(source.static),
            "files": len(source.files),
            "bytes": len(time) * int(np.prod(shape[1:])) * 4,
            "notes": dict(source.notes),
            "warnings": warnings,
        },
    )
    _publish(part, folder)


def _digest(options: GriddedOptions, source: "GriddedSource") -> str:
    """SHA-256 over the sources, the static maps, the series, and every choice that shapes the store."""
    choices = options.model_dump(mode="json", include=set(SHAPING))
    series: dict[str, Any] | None = None
    if options.series is not None:
        series = options.series.model_dump(mode="json", exclude={"path", "target"})
        series["file"] = series_fingerprint(options.series.path)
    recipe = {
        "format": FORMAT,
        "sources": source.fingerprint(),
        "static": {name: hashlib.sha256(one.tobytes()).hexdigest() for name, one in source.static.items()},
        "choices": choices,
        "series": series,
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, default=plain).encode()).hexdigest()


def _refuse_equal_names(channels: Sequence[Channel]) -> None:
    """Return when every channel has its own name; InputError otherwise."""
    counts = Counter(channel.name for channel in channels)
    for name, count in counts.items():
        if count > 1:
            origins = [
                channel.variable + ("" if channel.level is None else f" at level {channel.level:g}")
                for channel in channels
                if channel.name == name
            ]
            raise InputError(
                f"data.variables: {count} channels would be named '{name}' ({', '.join(origins)}); "
                "choose one of them with data.variables or data.levels"
            )


def _published(folder: Path) -> bool:
    """Whether `folder` holds a whole store."""
    return (folder / "store.json").exists()


def _publish(part: Path, folder: Path) -> None:
    """Rename a finished store to its place, everything on the disk before."""
    for name in ("journal.json", "kept.bin"):
        (part / name).unlink(missing_ok=True)
    for path in [*part.iterdir(), part]:
        _sync(path)
    try:
        part.rename(folder)
    except OSError as error:
        raise InputError(f"{folder} is in the way and is no store ({error}); move it elsewhere") from error
    _sync(folder.parent)
    log.info("published the store %s", folder)


def _sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
