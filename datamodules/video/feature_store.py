"""The feature store: a frozen encoder's features of clips, written once, read by memory map."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from datamodules.errors import InputError
from datamodules.video.feature_identity import FeatureIdentity, refuse_other_identity
from datamodules.video.feature_index import FEATURES, HALF, SECONDS, TIMES, WAY_OUT, Span, read_index


class FeatureSource(Protocol):
    """Where stored features of clips come from; safe to fork, and it pickles without the features.

    clips: ids of the clips that it holds       cells: places in a frame, 1 when pooled
    width: features a cell                      digest: of what made the features
    description: one line for people
    """

    @property
    def clips(self) -> tuple[str, ...]: ...
    @property
    def cells(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def description(self) -> str: ...

    def __contains__(self, clip: object) -> bool: ...

    def features(self, clip: str) -> tuple[np.ndarray, np.ndarray]:
        """Features float16 or float32 (frame, cell, feature), and times float32 (frame,) in seconds.

        Times are NaN where nobody knows them. Errors: InputError for a clip that is not there, or holds
        values that are not finite.
        """


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """An opened store, read-only; a `FeatureSource` that pickles as its path and is safe to fork.

    Clips that a writer adds meanwhile are seen when the store is opened again.
    """

    path: Path
    identity: FeatureIdentity
    cells: int
    width: int
    _spans: dict[str, Span]
    _features: np.ndarray
    _times: np.ndarray

    @classmethod
    def open(cls, path: Path | str, expected: FeatureIdentity | None = None) -> "FeatureStore":
        """The store in folder `path`.

        expected: what must have made it; None takes any.
        Errors: InputError when it is absent, damaged, or made otherwise, with each difference.
        """
        folder = Path(path).resolve()
        index = read_index(folder)
        if expected is not None:
            refuse_other_identity(folder, index.identity, expected)
        frames = index.frames
        return cls(
            path=folder,
            identity=index.identity,
            cells=index.cells,
            width=index.width,
            _spans=index.clips,
            _features=_map(folder / FEATURES, HALF, (frames, index.cells, index.width)),
            _times=_map(folder / TIMES, SECONDS, (frames,)),
        )

    @property
    def clips(self) -> tuple[str, ...]:
        """Ids of all clips, in the order of writing."""
        return tuple(self._spans)

    @property
    def digest(self) -> str:
        """Digest of the identity: what made the features, not which clips are there."""
        return self.identity.digest

    @property
    def description(self) -> str:
        """Backbone, shape and place, in one line."""
        return (
            f"{self.identity.backbone}: {len(self._spans)} clips, {len(self._times)} frames of "
            f"{self.cells} x {self.width} features in {self.path}"
        )

    def __contains__(self, clip: object) -> bool:
        """True for the id of a clip that is in the store."""
        return clip in self._spans

    def features(self, clip: str) -> tuple[np.ndarray, np.ndarray]:
        """Features float16 (frame, cell, feature) and times float32 (frame,), seconds; copies.

        Errors: InputError that names the clip and the store when it is not there.
        """
        span = self._spans.get(clip)
        if span is None:
            raise missing_clip(clip, self.path, f"delete {self.path} to have it computed with all clips")
        rows = slice(span.first, span.first + span.frames)
        return np.array(self._features[rows]), np.array(self._times[rows])

    def __reduce__(
        self,
    ) -> tuple[Callable[[Path, FeatureIdentity], "FeatureStore"], tuple[Path, FeatureIdentity]]:
        """Pickle as the path: a reader maps the same files instead of receiving a copy."""
        return (FeatureStore.open, (self.path, self.identity))


def missing_clip(clip: str, place: Path, way_out: str) -> InputError:
    """The error for a clip without features."""
    return InputError(f"clip {clip!r} has no features in {place}: {way_out}")


def _map(file: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The beginning of `file` as an array of `shape`, read-only, paged in as it is read."""
    try:
        return np.asarray(np.memmap(file, dtype, mode="r", shape=shape))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is absent or cut short ({error}); {WAY_OUT}") from error
