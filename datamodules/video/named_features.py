"""A feature store seen through the ids of one run's clips."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from datamodules.video.feature_store import FeatureStore


@dataclass(frozen=True, eq=False)
class NamedFeatures:
    """Features of a store, by ids of clips: a `FeatureSource` that pickles as the store's path and the names.

    names: what the store calls each clip, by its id
    """

    store: FeatureStore
    names: Mapping[str, str]

    @property
    def clips(self) -> tuple[str, ...]:
        """Ids of the clips that the store holds, in the order of `names`."""
        return tuple(clip for clip in self.names if clip in self)

    @property
    def cells(self) -> int:
        """Places in a frame."""
        return self.store.cells

    @property
    def width(self) -> int:
        """Features a place."""
        return self.store.width

    @property
    def digest(self) -> str:
        """Digest of what made the features."""
        return self.store.digest

    @property
    def description(self) -> str:
        """The store's own line."""
        return self.store.description

    def __contains__(self, clip: object) -> bool:
        """True for the id of a clip that has a name and is in the store."""
        return clip in self.names and self.names[str(clip)] in self.store

    def features(self, clip: str) -> tuple[np.ndarray, np.ndarray]:
        """Features float16 (frame, cell, feature) and times float32 (frame,), seconds.

        Errors: InputError that names the clip and the store when it is not there.
        """
        return self.store.features(self.names.get(clip, clip))
