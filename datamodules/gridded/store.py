"""The packed store: maps as one memory-mapped array, with all that is known about them beside it.

Its files: `store.json` (format, channels, grid attributes, report), `values.npy`, `time.npy`, `tick.npy`,
`grid.npz`, `static.npz`, and `series.npz` when there is one. A folder with `store.json` is a
whole store: stores are published by rename, so that half a store is never seen.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.describe import Channel, Step
from datamodules.gridded.grid import Grid
from datamodules.gridded.series import Series

FORMAT = 1
"""Version of the files of a store; part of the digest, so that another version packs anew."""

WAY_OUT = "delete the folder and run `skyreel prepare` again"
GRID_ARRAYS = ("lat", "lon", "cell_area", "y", "x")


@dataclass(frozen=True, eq=False)
class Store:
    """An opened store, read-only; it pickles as its path and is safe to fork.

    values: float32 (time, channel, lat, lon), physical units, NaN = missing, paged in from disk as it is read
    time:   int64 (time,), seconds since 1970-01-01 00:00 in `calendar`, strictly increasing
    tick:   int64 (time,), number of steps since the first frame: consecutive ticks <=> no gap between the two
    static: float32 (lat, lon) maps found in the files      series: stations on the same clock, or None
    report: what packing found, as plain JSON values (see `datamodules.gridded.report`)
    """

    path: Path
    channels: tuple[Channel, ...]
    grid: Grid
    step: Step
    calendar: str
    time: np.ndarray
    tick: np.ndarray
    values: np.ndarray
    static: dict[str, np.ndarray]
    series: Series | None
    digest: str
    report: dict[str, Any]

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """The store in folder `path`; InputError when it is absent, of another version, or damaged."""
        folder = Path(path).resolve()
        about = _read_description(folder)
        values = _load(folder / "values.npy", mmap=True)
        time, tick = _load(folder / "time.npy"), _load(folder / "tick.npy")
        channels = tuple(Channel(**channel) for channel in about["channels"])
        grid = _read_grid(folder, about["grid"])
        expected = (len(time), len(channels), *grid.shape)
        if values.shape != expected or values.dtype != np.float32 or tick.shape != time.shape:
            raise InputError(
                f"{folder}: values.npy holds {values.dtype} {values.shape}, store.json and time.npy promise "
                f"float32 {expected}; {WAY_OUT}"
            )
        return cls(
            path=folder,
            channels=channels,
            grid=grid,
            step=Step(**about["step"]),
            calendar=about["calendar"],
            time=time,
            tick=tick,
            values=values,
            static=_load_all(folder / "static.npz"),
            series=_read_series(folder, about["series"], len(time)),
            digest=about["digest"],
            report=about["report"],
        )

    def __reduce__(self) -> tuple[Callable[[Path], "Store"], tuple[Path]]:
        """Pickle as the path: a worker maps the same file instead of receiving a copy."""
        return (Store.open, (self.path,))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the `channel` axis."""
        return tuple(channel.name for channel in self.channels)


def write_description(
    folder: Path,
    *,
    channels: tuple[Channel, ...],
    grid: Grid,
    step: Step,
    calendar: str,
    static: Mapping[str, np.ndarray],
    series: Series | None,
    digest: str,
    report: Mapping[str, Any],
) -> None:
    """Everything of a store but `values.npy`, `time.npy` and `tick.npy`; `store.json` comes last, whole."""
    found = {name: getattr(grid, name) for name in GRID_ARRAYS}
    _save_all(folder / "grid.npz", {name: array for name, array in found.items() if array is not None})
    _save_all(folder / "static.npz", {name: np.asarray(one, np.float32) for name, one in static.items()})
    if series is not None:
        _save_all(folder / "series.npz", {"values": series.values, "lat": series.lat, "lon": series.lon})
    about = {
        "format": FORMAT,
        "digest": digest,
        "channels": [channel.to_dict() for channel in channels],
        "step": step.to_dict(),
        "calendar": calendar,
        "grid": {
            "wraps": grid.wraps,
            "lat_name": grid.lat_name,
            "lon_name": grid.lon_name,
            "dims": list(grid.dims),
            "attributes": grid.attributes,
        },
        "series": None if series is None else {"names": list(series.names), "units": list(series.units)},
        "report": report,
    }
    unfinished = folder / "store.json.part"
    unfinished.write_text(json.dumps(about, indent=1, default=plain), encoding="utf-8")
    unfinished.rename(folder / "store.json")


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numpy scalars, arrays and mappings as Python's own."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value: {value!r}")


def _read_description(folder: Path) -> dict[str, Any]:
    """The contents of `store.json`, of a version that this code reads."""
    file = folder / "store.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} is no store: store.json is not there; run `skyreel prepare`") from error
    except ValueError as error:
        raise InputError(f"{file} cannot be read ({error}); {WAY_OUT}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else None
        raise InputError(f"{file}: format {found}, this version reads format {FORMAT}; {WAY_OUT}")
    return about


def _load(file: Path, mmap: bool = False) -> np.ndarray:
    """The array in `file`; mapped read-only as a plain ndarray, whose slices are cheaper than a memmap's."""
    try:
        return np.asarray(np.load(file, mmap_mode="r" if mmap else None, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file} is absent or damaged ({error}); {WAY_OUT}") from error


def _save_all(file: Path, arrays: dict[str, Any]) -> None:
    """Write arrays by name into an npz file."""
    np.savez(file, **arrays)


def _load_all(file: Path) -> dict[str, np.ndarray]:
    """Every array in an npz file, by name."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{file} is absent or damaged ({error}); {WAY_OUT}") from error


def _read_grid(folder: Path, about: Mapping[str, Any]) -> Grid:
    """The grid, from its arrays and its description."""
    fields: dict[str, Any] = {**about, **_load_all(folder / "grid.npz"), "dims": tuple(about["dims"])}
    return Grid(**fields)


def _read_series(folder: Path, about: Mapping[str, Any] | None, steps: int) -> Series | None:
    """The station series beside the maps, when the store has some."""
    if about is None:
        return None
    arrays = _load_all(folder / "series.npz")
    if arrays["values"].shape != (steps, len(about["names"])):
        raise InputError(f"{folder}/series.npz does not fit the maps' {steps} steps; {WAY_OUT}")
    return Series(names=tuple(about["names"]), units=tuple(about["units"]), **arrays)
