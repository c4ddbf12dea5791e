"""Features of clips that others computed, in one HDF5 file; through the optional package `h5py`."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.errors import InputError
from datamodules.video.foreign_features import ForeignFeatures, Place, digest_of, one_precision, one_shape


class Found(NamedTuple):
    """A data set of the file: its full name, shape and kind of values."""

    name: str
    shape: tuple[int, ...]
    kind: np.dtype


@dataclass(frozen=True, eq=False)
class Hdf5Features(ForeignFeatures):
    """Features of an HDF5 file; each process opens it for itself, when it first reads."""

    _opened: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, file: Path) -> "Hdf5Features":
        """The features in `file`, shapes checked, in one of the forms of `open_foreign_features`."""
        with _open(file) as opened:
            found = list(_datasets(opened, file))
            places = _rows_of_one_array(opened, found) or _one_dataset_a_clip(file, found)
        if not places:
            raise InputError(f"data.features: {file} holds no data set; one a clip is wanted")
        names = {place.name for place in places.values()}
        precision = one_precision((f"{file}: {one.name}", one.kind) for one in found if one.name in names)
        cells, width = one_shape(file, places)
        return cls(file, places, cells, width, precision, digest_of(file.parent, places, [file]))

    def _read(self, place: Place) -> np.ndarray:
        """The values at `place`, through this process's own handle."""
        process = os.getpid()
        if process not in self._opened:
            self._opened[process] = _open(self.path)
        try:
            return np.asarray(self._opened[process][place.name][() if place.row is None else place.row])
        except (OSError, KeyError) as error:
            raise InputError(f"{self.path}: {place.name} cannot be read ({error}); write it anew") from error

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the opened file."""
        return {**self.__dict__, "_opened": {}}


def _open(file: Path) -> Any:
    """The opened HDF5 file, for reading. Errors: InputError for another file, or without the extra."""
    try:
        library = import_module("h5py")
    except ImportError as error:
        raise InputError(
            f"data.features: {file} needs the package `h5py`, which is not installed: "
            "pip install 'skyreel[hdf5]', or give a folder of .npy files"
        ) from error
    try:
        return library.File(file, "r")
    except OSError as error:
        raise InputError(
            f"data.features: {file} is no whole HDF5 file ({error}); give one, or a folder of .npy files"
        ) from error


def _datasets(opened: Any, file: Path) -> Iterator[Found]:
    """All data sets at the top and one group deep, in order of their names; their values are in this file.

    Errors: InputError for a data set or link whose values lie in another file.
    """
    for name in sorted(opened):
        top = _item(opened, name, file)
        inside = [name] if hasattr(top, "shape") else [f"{name}/{inner}" for inner in sorted(top)]
        for full in inside:
            item = _item(opened, full, file)
            if not hasattr(item, "shape"):
                raise InputError(
                    f"{file}: {full} is a group in a group; data sets of clips stand at the top or in a group"
                )
            if item.external or item.is_virtual:
                raise InputError(f"{file}: {full} keeps its values in other files; write them into this one")
            yield Found(full, item.shape or (), item.dtype)


def _item(opened: Any, name: str, file: Path) -> Any:
    """What the file has under `name`. Errors: InputError for a link to nowhere or to another file."""
    group, _, last = name.rpartition("/")
    link = (opened[group] if group else opened).get(last, getlink=True)
    if type(link).__name__ == "ExternalLink":
        raise InputError(
            f"{file}: {name} is a link to the file {link.filename}; copy what it names into this one"
        )
    try:
        return opened[name]
    except (KeyError, OSError) as error:
        raise InputError(f"{file}: {name} cannot be opened ({error}); write the file anew") from error


def _one_dataset_a_clip(file: Path, found: Iterable[Found]) -> dict[str, Place]:
    """Clips by the last part of their data set's name."""
    places: dict[str, Place] = {}
    for one in found:
        clip = one.name.rpartition("/")[2]
        if clip in places:
            raise InputError(f"{file}: clip {clip!r} is there twice, as {places[clip].name} and {one.name}")
        places[clip] = Place(one.name, one.shape)
    return places


def _rows_of_one_array(opened: Any, found: list[Found]) -> dict[str, Place] | None:
    """Clips of one array beside their ids; None when the file is not made so."""
    arrays = [one for one in found if one.kind.kind == "f" and len(one.shape) > 1]
    ids = [one for one in found if one.kind.kind in "OSiu" and len(one.shape) == 1]
    if len(found) != 2 or len(arrays) != 1 or len(ids) != 1 or ids[0].shape[0] != arrays[0].shape[0]:
        return None
    places: dict[str, Place] = {}
    for row, one in enumerate(opened[ids[0].name][()].tolist()):
        clip = one.decode(errors="surrogateescape") if isinstance(one, bytes) else str(one)
        if clip in places:
            raise InputError(f"{opened.filename}: {ids[0].name} names clip {clip!r} twice")
        places[clip] = Place(arrays[0].name, arrays[0].shape[1:], row)
    return places
