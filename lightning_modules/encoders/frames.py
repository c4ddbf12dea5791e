"""The CNN that reads each frame of a clip: RGB in, the features of a few places of every frame out."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from lightning_modules.caption_options import FrameEncoderOptions
from lightning_modules.encoders.backbones import build_backbone
from lightning_modules.encoders.build import means_of_bins
from lightning_modules.encoders.plain import PlainEncoder
from lightning_modules.encoders.residual import ResidualEncoder
from lightning_modules.encoders.weights import load_weights, weights_digest

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue between 0 and 1 on ImageNet: what torchvision's networks were trained with."""
AT_ONCE = 128
"""Frames that go through the CNN together where no gradient is wanted: flat memory for long clips."""


class FrameEncoder(nn.Module):
    """Normalise -> CNN -> means over at most cells x cells places; padded frames are never looked at.

    A frozen encoder gets no gradient, and its batch norm keeps its statistics. Without weights from
    elsewhere the convolutions of `plain` and `residual` start orthogonal (Saxe et al. 2014), which keeps
    the variance of features from stage to stage: random features that tell frames apart.

    size: pixels across and down of the frames
    pretrained: False leaves `options.weights` alone, where a checkpoint will bring the weights

    cells, width: places of a frame and features of a place;  grid: (down, across), cells = down * across
    preprocessing: what is done to the frames, plain values, for a store of features to remember

    Errors: ValueError for an unknown backbone, for weights that do not fit, for frames that are too small.
    """

    rows: Tensor
    columns: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, options: FrameEncoderOptions, size: int, *, pretrained: bool = True) -> None:
        super().__init__()
        self.frozen = options.frozen
        self.network = _network(options)
        if pretrained and options.weights is not None:
            backbone = options.backbone if options.kind == "torchvision" else None
            load_weights(self.network, options.weights, backbone)
        self.network.to(memory_format=torch.channels_last)
        self.width, map_size = _shape_of_features(self.network, options, size)
        self.grid = (min(map_size[0], options.cells), min(map_size[1], options.cells))
        self.cells = self.grid[0] * self.grid[1]
        self.preprocessing: dict[str, Any] = {
            "size": size,
            "colours": "RGB / 255",
            "mean": list(MEAN),
            "deviation": list(DEVIATION),
            "cells": list(self.grid),
        }
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        self.register_buffer("scale", 1 / (255 * deviation), persistent=False)
        self.register_buffer("shift", -mean / deviation, persistent=False)
        self.register_buffer("rows", means_of_bins(map_size[0], self.grid[0]), persistent=False)
        self.register_buffer("columns", means_of_bins(map_size[1], self.grid[1]).T, persistent=False)
        if self.frozen:
            self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Itself; a frozen encoder stays as it judges."""
        return super().train(mode and not self.frozen)

    def digest(self) -> str:
        """SHA-256 of the weights, the statistics of batch norm among them."""
        return weights_digest(self.network)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features (batch, frame, cell, feature) of uint8 RGB (batch, frame, channel, height, width).

        mask: (batch, frame) bool, True where a frame counts; the others are not read, their features are 0.
        """
        if mask is None or bool(mask.all()):
            return self._features(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        found = self._features(frames[mask])
        features = found.new_zeros(*mask.shape, *found.shape[1:])
        features[mask] = found
        return features

    def _features(self, frames: Tensor) -> Tensor:
        """(image, channel, height, width) -> (image, cell, feature)."""
        if torch.is_grad_enabled() and not self.frozen:
            return self._read(frames)
        with torch.no_grad():
            return torch.cat([self._read(some) for some in frames.split(AT_ONCE)])

    def _read(self, frames: Tensor) -> Tensor:
        """(image, channel, height, width) -> (image, cell, feature)."""
        frames = frames.contiguous(memory_format=torch.channels_last)
        maps = self.network(frames * self.scale + self.shift)
        # The products do what `adaptive_avg_pool2d` does, whose gradient is not deterministic on a GPU.
        return (self.rows @ maps @ self.columns).flatten(2).transpose(1, 2)


def _network(options: FrameEncoderOptions) -> nn.Module:
    """The CNN that `options.kind` names, untrained."""
    if options.kind == "torchvision":
        return build_backbone(options.backbone)
    kind = PlainEncoder if options.kind == "plain" else ResidualEncoder
    network = kind(3, options.channels, depth=options.depth, pool=options.pool, wraps=False)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.orthogonal_(module.weight, gain=2**0.5)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return network


def _shape_of_features(
    network: nn.Module, options: FrameEncoderOptions, size: int
) -> tuple[int, tuple[int, int]]:
    """Width, and (height, width) in cells, of the maps that come out for frames of `size` pixels."""
    training = network.training
    try:
        with torch.no_grad():
            maps = network.eval()(torch.zeros(1, 3, size, size))
    except RuntimeError as error:
        name = options.backbone if options.kind == "torchvision" else options.kind
        raise ValueError(
            f"data.frames.size={size} is too small for model.encoder {name} "
            f"({str(error).partition(chr(10))[0]}); choose 64 or more"
        ) from error
    network.train(training)
    return maps.shape[1], (maps.shape[2], maps.shape[3])
