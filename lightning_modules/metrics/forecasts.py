"""Scores of forecasts per lead time and channel, as sums that add up over batches and over ranks."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_modules.metrics.crps import gaussian_crps

SUMS = (
    "weight",
    "squared",
    "absolute",
    "signed",
    "forecast_anomaly",
    "truth_anomaly",
    "anomaly_product",
    "samples",
)


class ForecastScores(Metric):
    """RMSE, MAE, bias and ACC (and CRPS of a Gaussian), per lead time and channel, over all that was seen.

    With weight w (the area of the cell), mask m, forecast f, truth o, climatology c of the training years,
    and every sum taken over all windows and cells at once (a window with more valid cells counts more):

        rmse = sqrt(sum w m (f - o)^2 / sum w m)      mae = sum w m |f - o| / sum w m
        bias = sum w m (f - o) / sum w m              crps: see `gaussian_crps`, averaged as mae is
        acc  = sum w m (f - c)(o - c) / sqrt(sum w m (f - c)^2 * sum w m (o - c)^2)

    `acc` is the uncentred anomaly correlation (Miyakoda et al. 1972; Wilks, Statistical Methods in the
    Atmospheric Sciences), pooled over time as in WeatherBench (Rasp et al. 2020).
    It is not defined, and NaN, for a forecast that is the climatology itself.

    A value counts where the mask is True and truth and climatology are finite; what does not count may be
    NaN and never enters. A forecast that is not finite where it counts makes its scores NaN, unhidden.
    The accumulators are float64 sums, so ranks merge by addition and nothing but the sums is kept in memory.

    leads, channels: how many of each
    weights:         the shape of a map: cell_area (lat, lon); for station series, which have no map axes
                     and whose series stand as channels, a tensor of shape () (the default)
    spread:          score the CRPS too; an update without a spread is then a sure forecast (CRPS = MAE)
    """

    full_state_update = False
    weight: Tensor
    squared: Tensor
    absolute: Tensor
    signed: Tensor
    forecast_anomaly: Tensor
    truth_anomaly: Tensor
    anomaly_product: Tensor
    samples: Tensor
    crps: Tensor

    def __init__(
        self, leads: int, channels: int, weights: Tensor | None = None, *, spread: bool = False
    ) -> None:
        super().__init__()
        # Kept out of the buffers: `Module.float()` and friends would round it.
        self.weights = torch.ones((), dtype=torch.float64) if weights is None else weights.detach().double()
        self.shape = (leads, channels, *self.weights.shape)
        self.spread = spread
        for name in (*SUMS, *(("crps",) if spread else ())):
            self.add_state(name, torch.zeros(leads, channels, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        forecast: Tensor,
        truth: Tensor,
        climatology: Tensor,
        mask: Tensor | None = None,
        spread: Tensor | None = None,
    ) -> None:
        """Add a batch: all (batch, lead, channel, lat, lon) in physical units, or (batch, lead, series).

        `mask` is boolean and broadcasts to that shape (None: all counts); `spread` is a standard deviation.
        Raises ValueError on another shape, and on a spread that was not announced.
        """
        if forecast.shape[1:] != self.shape or truth.shape != forecast.shape:
            raise ValueError(
                f"forecast {tuple(forecast.shape)} and truth {tuple(truth.shape)}: both must be (batch, "
                f"lead, channel, ...) = (batch, {', '.join(map(str, self.shape))})"
            )
        if spread is not None and not self.spread:
            raise ValueError("a spread came in; make ForecastScores(..., spread=True) to score the CRPS")
        counts = torch.isfinite(truth) & torch.isfinite(climatology)
        if mask is not None:
            counts = counts & mask
        self.weights = self.weights.to(forecast.device)
        weight = counts * self.weights
        f, o, c = (torch.where(counts, x.detach().double(), 0.0) for x in (forecast, truth, climatology))
        error, f_anomaly, o_anomaly = f - o, f - c, o - c
        self._add("weight", weight)
        self._add("squared", weight * error.square())
        self._add("absolute", weight * error.abs())
        self._add("signed", weight * error)
        self._add("forecast_anomaly", weight * f_anomaly.square())
        self._add("truth_anomaly", weight * o_anomaly.square())
        self._add("anomaly_product", weight * f_anomaly * o_anomaly)
        self._add("samples", counts.flatten(3).any(3) if counts.ndim > 3 else counts)
        if self.spread:
            sigma = torch.zeros_like(f) if spread is None else spread.detach().double()
            self._add("crps", weight * gaussian_crps(f, torch.where(counts, sigma, 1.0), o))

    def _add(self, name: str, values: Tensor) -> None:
        """Add `values` (batch, lead, channel, ...), summed over all but lead and channel, to one state."""
        over = (0, *range(3, values.ndim))
        setattr(self, name, getattr(self, name) + values.sum(over, dtype=torch.float64))

    def compute(self) -> dict[str, Tensor]:
        """Each score as (lead, channel) float64, NaN where nothing counted.

        Keys rmse, mae, bias, acc, with a spread crps, and samples: the windows in which any value counted.
        """
        scores = {
            "rmse": (self.squared / self.weight).sqrt(),
            "mae": self.absolute / self.weight,
            "bias": self.signed / self.weight,
            "acc": self.anomaly_product / (self.forecast_anomaly * self.truth_anomaly).sqrt(),
            "samples": self.samples,
        }
        if self.spread:
            scores["crps"] = self.crps / self.weight
        return scores

    def table(self) -> dict[str, Tensor]:
        """As `compute`, always (lead, channel): torchmetrics makes a number of one lead and channel."""
        return {name: values.reshape(self.shape[:2]) for name, values in self.compute().items()}


class ErrorByPlace(Metric):
    """RMSE of every cell over time, for a few lead times: (lead, channel, lat, lon).

    leads: which positions along the forecast's lead axis to keep, e.g. (0, 3, 11)
    shape: (channel, lat, lon)
    """

    full_state_update = False
    squared: Tensor
    count: Tensor

    def __init__(self, leads: Sequence[int], shape: Sequence[int]) -> None:
        super().__init__()
        self.leads = tuple(leads)
        zeros = torch.zeros(len(self.leads), *shape, dtype=torch.float64)
        self.add_state("squared", zeros, dist_reduce_fx="sum")
        self.add_state("count", zeros.clone(), dist_reduce_fx="sum")

    def update(self, forecast: Tensor, truth: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch, (batch, lead, channel, lat, lon); what counts: finite truth, mask True."""
        chosen = list(self.leads)
        f, o = forecast.detach()[:, chosen].double(), truth[:, chosen].double()
        counts = torch.isfinite(o)
        if mask is not None:
            counts = counts & mask.expand_as(truth)[:, chosen]
        self.squared = self.squared + torch.where(counts, f - o, 0.0).square().sum(0)
        self.count = self.count + counts.sum(0)

    def compute(self) -> Tensor:
        """RMSE (lead, channel, lat, lon) float64 in physical units, NaN where nothing counted."""
        return (self.squared / self.count).sqrt()
