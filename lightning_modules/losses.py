"""The loss of a forecast, weighted by the exact area of the cells, over values that the data have."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric

from lightning_modules.forecaster import Forecast, Forecaster
from lightning_modules.metrics.crps import gaussian_crps


def pointwise(kind: str, departure: Tensor, truth: Tensor, spread: Tensor | None) -> Tensor:
    """The loss of every value: mse, mae, huber (threshold 1), or crps and nll of a Gaussian with `spread`."""
    if kind == "mse":
        return (departure - truth).square()
    if kind == "mae":
        return (departure - truth).abs()
    if kind == "huber":
        return functional.huber_loss(departure, truth, reduction="none")
    if spread is None:
        raise ValueError(f"the loss '{kind}' needs a forecast with a spread")
    if kind == "crps":
        return gaussian_crps(departure, spread, truth)
    return spread.log() + 0.5 * ((departure - truth) / spread).square() + 0.5 * math.log(2 * math.pi)


class ForecastLoss(nn.Module):
    """Mean over leads, channels and cells, of departures in units of their typical size at each lead.

    So an error at a short lead, where little is left to gain, counts as much as one at a long lead.

    cell_area:       float64 (lat, lon), sums to 1
    channel_weights: by name of the channel, 1 where unset;  series_weight: of the series beside the maps
    """

    weights: Tensor

    def __init__(
        self,
        kind: str,
        cell_area: np.ndarray,
        channels: Sequence[str],
        channel_weights: Mapping[str, float],
        series_weight: float,
    ) -> None:
        super().__init__()
        if unknown := sorted(set(channel_weights) - set(channels)):
            raise ValueError(f"task.channel_weights names {unknown}; the channels are {list(channels)}")
        by_channel = np.array([channel_weights.get(name, 1.0) for name in channels])
        weights = by_channel[:, None, None] * cell_area
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)
        self.kind, self.series_weight = kind, series_weight

    def forward(self, model: Forecaster, forecast: Forecast, series: Tensor) -> Tensor:
        """The mean loss of a batch; series: (batch, time, series), the window's anomalies, NaN if missing."""
        return torch.stack([mean for mean, _ in self.parts(model, forecast, series)]).sum()

    def parts(self, model: Forecaster, forecast: Forecast, series: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(mean loss, weight of the values that it is of) of the maps, and of the series where forecast."""
        history, steps = model.task.history, forecast.prior.shape[1]
        ahead = slice(history, history + steps)
        truth = (forecast.seen.maps[:, ahead] - forecast.prior) / model.scale[:steps]
        rollout = forecast.rollout
        found = [_mean(self.kind, rollout.departure, truth, rollout.spread, self.weights)]
        if rollout.series is not None and self.series_weight:
            truth = (series[:, ahead] - forecast.series_prior) / model.series_scale[:steps]
            kind = self.kind if self.kind in ("mae", "huber") else "mse"
            weights = torch.ones((), device=truth.device)
            mean, weight = _mean(kind, rollout.series, truth, None, weights)
            found.append((self.series_weight * mean, weight))
        return found


class LossOfSplit(Metric):
    """The loss over all windows of a split, however they fall into batches and ranks.

    A batch's mean is over the values that it has: where values are missing, the mean of means is another one.
    """

    full_state_update = False
    sums: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("sums", "weights"):
            self.add_state(name, torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, parts: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Add the parts of a batch's loss (see `ForecastLoss.parts`)."""
        for number, (mean, weight) in enumerate(parts):
            self.sums[number] += mean.double() * weight.double()
            self.weights[number] += weight.double()

    def compute(self) -> Tensor:
        """The sum of the parts' means."""
        return (self.sums / self.weights.clamp_min(1e-12)).sum()


def _mean(
    kind: str, departure: Tensor, truth: Tensor, spread: Tensor | None, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted mean over the finite values of `truth` (0, with gradients of 0, where there are none), and the
    sum of their weights."""
    mask = torch.isfinite(truth)
    weight = weights * mask
    loss = pointwise(kind, departure, torch.where(mask, truth, departure.detach()), spread)
    total = weight.sum()
    return (weight * loss).sum() / total.clamp_min(1e-12), total
