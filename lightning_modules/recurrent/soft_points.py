"""What is in a frame, and where: the strongest place of each feature."""

import math

import torch
from torch import Tensor, nn


class SoftPoints(nn.Module):
    """Of each feature its maximum over the places of a frame, and where it is (Finn et al. 2016, equation 1).

    Where is the mean place under a softmax over the places, whose sharpness is learnt. What there is does not
    change when a thing moves, and where it is changes smoothly: few clips are enough to learn either.

    cells: places of a frame, row by row; a square of them, or one
    Errors: ValueError when they form no square.
    """

    where: Tensor

    def __init__(self, cells: int) -> None:
        super().__init__()
        side = math.isqrt(cells)
        if side**2 != cells:
            raise ValueError(f"model.encoder.gather=points reads a square of places: there are {cells}")
        line = torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1)
        down, across = torch.meshgrid(line, line, indexing="ij")
        where = torch.stack([across.flatten(), down.flatten()], dim=1)
        self.register_buffer("where", where, persistent=False)
        self.sharpness = nn.Parameter(torch.ones(1))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frame, 3 x feature) of (batch, frame, cell, feature): maxima, then x and y in -1 to 1."""
        weights = torch.softmax(features * self.sharpness.exp(), dim=2)
        where = torch.einsum("bfcw,ck->bfkw", weights, self.where.to(weights.dtype))
        return torch.cat([features.amax(dim=2), where.flatten(2)], dim=-1)
