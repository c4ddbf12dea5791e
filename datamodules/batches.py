"""The batch types that both wings agree on. Nothing here but torch."""

from typing import NamedTuple

from torch import Tensor


class MapBatch(NamedTuple):
    """Whole windows of maps: `history` observed steps followed by `horizon` steps to forecast.

    Shapes name their axes; `time` is history + horizon.

    maps:   (batch, time, channel, lat, lon) float32, physical units, NaN where the data have no value
    basis:  (batch, time, basis) float32, the climatology's basis functions at each step
    clock:  (batch, time, 2) float32, fraction of the UTC day and fraction of the year, both in [0, 1)
    series: (batch, time, series) float32, physical units, NaN where missing; the last axis may be 0 wide
    start:  (batch,) int64, store index of each window's first step: the sample's id
    fold:   (batch,) int64, cross-fitting block of each training window; -1 outside the training split
    """

    maps: Tensor
    basis: Tensor
    clock: Tensor
    series: Tensor
    start: Tensor
    fold: Tensor
