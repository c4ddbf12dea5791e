"""What batches are made of: the one thing that both wings agree on."""

from typing import NamedTuple

from torch import Tensor


class MapBatch(NamedTuple):
    """A batch of whole windows of maps and series, history and horizon together.

    Missing values are NaN.

    maps:   (batch, time, channel, lat, lon) float32, physical units
    basis:  (batch, time, basis) float32, the climatology's basis functions at each step
    clock:  (batch, time, 2) float32, fraction of the day (UTC) and of the year, each in [0, 1)
    series: (batch, time, series) float32, physical units; 0 wide without station series
    start:  (batch,) int64, store index of the window's first step: the sample's id
    fold:   (batch,) int64, cross-fitting block of a training window; -1 elsewhere
    """

    maps: Tensor
    basis: Tensor
    clock: Tensor
    series: Tensor
    start: Tensor
    fold: Tensor


class ClipBatch(NamedTuple):
    """A batch of clips, each with its frames (or stored features of them) and some of its captions.

    frames:   (batch, frame, channel, height, width) uint8 RGB; empty (0 frames) where features stand
    features: (batch, frame, cell, feature) float16 or float32 of a frozen encoder; empty where frames stand
    mask:     (batch, frame) bool, True where a frame counts
    times:    (batch, frame) float32, seconds since the clip's first frame
    tokens:   (batch, caption, token) int64: begin, words, end, then padding; (batch, 0, 0) when judging
    clip:     (batch,) int64, the clip's number within its split: the sample's id
    """

    frames: Tensor
    features: Tensor
    mask: Tensor
    times: Tensor
    tokens: Tensor
    clip: Tensor


PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3
"""Tokens with a meaning of their own, the same in every vocabulary."""
