"""The continuous ranked probability score of a Gaussian forecast, in closed form."""

import math

import torch
from torch import Tensor


def gaussian_crps(mean: Tensor, spread: Tensor, truth: Tensor) -> Tensor:
    """The CRPS of N(mean, spread^2) at `truth`, in the units of `truth`; every shape that broadcasts.

    With z = (truth - mean) / spread:  spread * (z * (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)),
    equation 5 of Gneiting, Raftery, Westveld and Goldman (2005), Monthly Weather Review 133, 1098-1118.
    A spread of 0 is a sure forecast, and its score the absolute error. Differentiable where spread > 0.
    """
    spread = spread.clamp_min(torch.finfo(spread.dtype).tiny ** 0.5)
    z = (truth - mean) / spread
    twice_density = math.sqrt(2 / math.pi) * torch.exp(-0.5 * z.square())
    return spread * (z * torch.erf(z / math.sqrt(2)) + twice_density - 1 / math.sqrt(math.pi))
