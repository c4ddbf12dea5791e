"""Reading the records of one group of channels: few large reads, cut, unpacked, averaged, put where they
belong."""

from collections.abc import Sequence

import numpy as np

from datamodules.gridded.files import Files
from datamodules.gridded.grid import Placement
from datamodules.gridded.survey import Part
from datamodules.gridded.timeline import Places
from datamodules.gridded.unpack import unpack

_SPARSEST = 4
"""A run of records is read whole when it has at most this many times the records that are wanted."""


class RecordReader:
    """Reads the maps of one variable: `picks` are the wanted levels, `places` says where each moment lies."""

    def __init__(
        self, files: Files, parts: Sequence[Part], picks: Sequence[int], places: Places, placement: Placement
    ) -> None:
        self.parts = tuple(parts)
        self._files = files
        self._picks = tuple(picks)
        self._places = places
        self._placement = placement

    def fill(self, maps: np.ndarray, first: int, channels: Sequence[int]) -> None:
        """Write the frames from `first` on into maps (time, channel, lat, lon), at the given channels."""
        stop = first + maps.shape[0]
        owner, record = self._places.part[first:stop], self._places.record[first:stop]
        for number in np.unique(owner[owner >= 0]):
            where = np.flatnonzero(owner == number)
            for chosen in _runs(record[where]):
                wanted = record[where[chosen]]
                low, high = int(wanted.min()), int(wanted.max()) + 1
                values = self._read(self.parts[int(number)], low, high)[wanted - low]
                for position, channel in enumerate(channels):
                    maps[where[chosen], channel] = values[:, position]

    def frame(self, part: int, record: int) -> np.ndarray:
        """One record of one part: float64 (channel, lat, lon)."""
        return self._read(self.parts[part], record, record + 1)[0]

    def _read(self, part: Part, low: int, high: int) -> np.ndarray:
        """Records low to high: float64 (time, channel, lat, lon), physical units, NaN where missing."""
        blocks = [
            self._read_columns(part, low, high, columns) for columns in self._placement.selection.columns
        ]
        values = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1)
        return self._placement.coarsening.apply(values)

    def _read_columns(self, part: Part, low: int, high: int, columns: slice) -> np.ndarray:
        """One run of columns, axes in the order (time, channel, lat, lon)."""
        layout, field = part.layout, part.field
        rows = self._placement.selection.rows
        bottom, top = min(self._picks), max(self._picks) + 1
        slices = {
            layout.time_dim: slice(low, high),
            layout.version: None if layout.version is None else slice(0, field.size(layout.version)),
            layout.level_dim: slice(bottom, top),
            layout.axes.dims[0]: rows,
            layout.axes.dims[1]: columns,
        }
        index = tuple(slices.get(dim) or 0 for dim in field.dims)
        kept = [dim for dim, taken in zip(field.dims, index, strict=True) if isinstance(taken, slice)]
        values = unpack(self._files.read(part.path, field.name, index), field.attributes)
        order = [
            dim
            for dim in (layout.version, layout.time_dim, layout.level_dim, *layout.axes.dims)
            if dim in kept
        ]
        values = values.transpose([kept.index(dim) for dim in order])
        if layout.version is not None:
            values = _first_valid(values)
        if layout.time_dim is None:
            values = values[None]
        if layout.level_dim is None:
            return values[:, None]
        return values[:, [pick - bottom for pick in self._picks]]


def _first_valid(versions: np.ndarray) -> np.ndarray:
    """The first version (axis 0) that has a value, cell by cell: final data before preliminary (ERA5's
    expver)."""
    merged = versions[0]
    for other in versions[1:]:
        merged = np.where(np.isnan(merged), other, merged)
    return merged


def _runs(record: np.ndarray) -> list[np.ndarray]:
    """Positions of the records in groups whose span is not much wider than they are many."""
    order = np.argsort(record, kind="stable")
    sorted_records = record[order]
    runs, begin = [], 0
    for position in range(1, order.size + 1):
        if position == order.size or sorted_records[position] - sorted_records[position - 1] > _SPARSEST:
            runs.append(order[begin:position])
            begin = position
    return runs
