"""Features of clips that others computed: a folder of .npy files, or one HDF5 file."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from datamodules.errors import InputError
from datamodules.video.feature_index import INDEX
from datamodules.video.feature_store import missing_clip

SHAPES = "(feature,), (frame, feature) or (frame, cell, feature)"


@dataclass(frozen=True)
class Place:
    """Where the features of a clip are: the name of a file or data set, and their row in it when shared."""

    name: str
    shape: tuple[int, ...]
    row: int | None = None


@dataclass(frozen=True, eq=False)
class ForeignFeatures(ABC):
    """Features of others, a `FeatureSource`; opened where they are read, so it forks and pickles.

    cells, width: of a frame, the same for all clips
    precision:    float16 when all clips have it, else float32
    digest:       SHA-256 of ids and shapes, and of the names, sizes and times of change of the files

    Nobody knows when frames were taken: all times are NaN. Frames of zeros that pad a clip count as frames.
    """

    path: Path
    places: dict[str, Place]
    cells: int
    width: int
    precision: np.dtype
    digest: str

    @abstractmethod
    def _read(self, place: Place) -> np.ndarray:
        """The values at `place`, as they are."""

    @property
    def clips(self) -> tuple[str, ...]:
        """Ids of all clips, in the order of the files."""
        return tuple(self.places)

    @property
    def description(self) -> str:
        """Number, shape and place, in one line."""
        return f"{len(self.places)} clips with {self.cells} x {self.width} features a frame in {self.path}"

    def __contains__(self, clip: object) -> bool:
        """True for the id of a clip that has features."""
        return clip in self.places

    def features(self, clip: str) -> tuple[np.ndarray, np.ndarray]:
        """Features (frame, cell, feature) in `precision`, and times float32 (frame,), all NaN.

        Errors: InputError that names the clip when it is absent, or holds NaN, infinity, or too large values.
        """
        place = self.places.get(clip)
        if place is None:
            first = ", ".join(map(repr, islice(self.places, 3)))
            raise missing_clip(clip, self.path, f"it holds {len(self.places)} clips, such as {first}")
        with np.errstate(over="ignore"):
            found = np.array(self._read(place), dtype=self.precision).reshape(_by_frame(place.shape))
        wrong = ~np.isfinite(found).all((1, 2))
        if wrong.any():
            raise InputError(
                f"{self.path}: clip {clip!r} has NaN, infinite or too large features in {wrong.sum()} of its "
                f"{len(found)} frames, the first is number {int(wrong.argmax())} from 0: write it anew"
            )
        return found, np.full(len(found), np.nan, dtype=np.float32)


class NpyFeatures(ForeignFeatures):
    """Features of a folder with one .npy file a clip."""

    @classmethod
    def open(cls, folder: Path) -> "NpyFeatures":
        """The features in `folder`, shapes checked; only the heads of the files are read."""
        found = folder.rglob("[!.]*.npy")  # no hidden files, which some archives bring along
        files = sorted(file for file in found if file.is_file())
        if not files:
            ours = (folder / INDEX).exists()
            way_out = "data.features=store reads a store of this project" if ours else "one a clip is wanted"
            raise InputError(f"data.features: {folder} holds no .npy file; {way_out}")
        places, kinds = {}, []
        for file in files:
            name, values = file.relative_to(folder).as_posix(), _open_npy(file)  # open until the next one is
            places[name.removesuffix(".npy")] = Place(name, values.shape)
            kinds.append((str(file), values.dtype))
        cells, width = one_shape(folder, places)
        return cls(folder, places, cells, width, one_precision(kinds), digest_of(folder, places, files))

    def _read(self, place: Place) -> np.ndarray:
        return _open_npy(self.path / place.name)


def open_foreign_features(path: Path | str) -> ForeignFeatures:
    """The features in folder or file `path`, the shapes of all clips checked, no values read yet.

    A folder holds `<clip>.npy` for each clip, in sub-folders too (the id of `a/b.npy` is "a/b"). An HDF5 file
    holds a data set a clip, at its top or in groups (the id is the data set's name), or an array
    (clip, frame, feature) or (clip, frame, cell, feature) beside a data set of ids. A clip's array is
    (feature,), (frame, feature) or (frame, cell, feature), of float16, float32 or float64.
    Errors: InputError when it is neither, or clips do not have the same features a frame.
    """
    from datamodules.video.hdf5_features import Hdf5Features  # it builds on the classes above

    place = Path(path).resolve()
    if place.is_dir():
        return NpyFeatures.open(place)
    if place.is_file():
        return Hdf5Features.open(place)
    raise InputError(
        f"data.features: {place} is not there; give pixels, store, a folder of .npy files, or an HDF5 file"
    )


def _open_npy(file: Path) -> np.ndarray:
    """The array in `file`, mapped; a pickle is never read."""
    try:
        return np.asarray(np.lib.format.open_memmap(file, mode="r"))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{file} cannot be read as features ({error}): write it with numpy.save, as an array {SHAPES} of "
            "float16, float32 or float64; Python objects (pickles) are never read"
        ) from error


def one_precision(kinds: Iterable[tuple[str, np.dtype]]) -> np.dtype:
    """float16 when nothing else is there, else float32; of the kind of values at each named place.

    Errors: InputError, naming the place, for values that are not float16, float32 or float64.
    """
    half = True
    for where, kind in kinds:
        if kind.kind != "f" or kind.itemsize > 8:
            raise InputError(f"{where} holds {kind}; features are float16, float32 or float64")
        half = half and kind.itemsize == 2
    return np.dtype(np.float16 if half else np.float32)


def one_shape(path: Path, places: dict[str, Place]) -> tuple[int, int]:
    """Cells and width that all clips share. Errors: InputError, naming two clips that differ."""
    known: dict[tuple[int, int], str] = {}
    for clip, place in places.items():
        if not 1 <= len(place.shape) <= 3 or 0 in place.shape:
            raise InputError(
                f"{path}: clip {clip!r} has shape {place.shape}; features are {SHAPES}, not empty"
            )
        known.setdefault(_by_frame(place.shape)[1:], clip)
        if len(known) > 1:
            told = " and ".join(f"{shape} in clip {one!r}" for shape, one in known.items())
            raise InputError(
                f"{path}: (cell, feature) is {told}; all clips need the same: take features of one encoder"
            )
    return next(iter(known))


def digest_of(folder: Path, places: dict[str, Place], files: Iterable[Path]) -> str:
    """SHA-256 of what is known of `files` without reading all values."""
    known = [[clip, place.shape, place.row] for clip, place in places.items()]
    stats = [(file.relative_to(folder).as_posix(), file.stat()) for file in files]
    stamps = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    return hashlib.sha256(json.dumps([known, stamps]).encode()).hexdigest()


def _by_frame(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A clip's shape as (frame, cell, feature)."""
    frames = shape[0] if len(shape) > 1 else 1
    cells = shape[1] if len(shape) > 2 else 1
    return frames, cells, shape[-1]
