"""Features brought to one size before a recurrent network reads them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

FLOOR = 1e-3
"""Share of the mean variance that is added to each: a feature that hardly varies is not blown up."""


class StandardFeatures(nn.Module):
    """Features that will not change, less their mean, over their deviation, of all frames trained on so far.

    What frames have in common (the background, above all) goes to 0, and what tells them apart remains. The
    statistics grow while training, frame by frame (Chan, Golub and LeVeque 1983, equation 2.1), and rest when
    judging; frames of equal features come out equal, whatever else is in the batch.

    features: how many a place of a frame has; all places share their statistics
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """The same shape as features (batch, frame, cell, feature); mask (batch, frame) tells what counts."""
        if self.training:
            self._learn(features[mask].flatten(0, 1))
        return (features - self.mean) / (self.variance + FLOOR * self.variance.mean() + 1e-12).sqrt()

    @torch.no_grad()
    def _learn(self, places: Tensor) -> None:
        """Add the features (place, feature) to the statistics."""
        if len(places) == 0:
            return
        mean, variance = places.mean(0), places.var(0, unbiased=False)
        share = len(places) / (self.count + len(places))
        step = mean - self.mean
        self.variance += share * (variance - self.variance + (1 - share) * step.square())
        self.mean += share * step
        self.count += len(places)


class LevelFeatures(nn.Module):
    """Features that are being learnt, normalised over all places and features of a frame at once.

    Layer norm (Ba et al. 2016) without parameters: nothing is remembered that would lag behind the features,
    and a place where nothing is stays weaker than the others.
    """

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """The same shape as features (batch, frame, cell, feature)."""
        return functional.layer_norm(features, features.shape[-2:])
