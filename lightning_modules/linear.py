"""The linear reference and prior: applies the ridge regression that the data wing fitted by blocks."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn


class LinearModel(nn.Module):
    """Anomalies of maps and series at every lead, from those of the last `lags` steps.

    With s the state (principal components, then series) and W the ridge weights of the window's block:
    s(t + l) = sum over lags of W(lag, l) s(t - lag); the maps are patterns times components, plus what the
    components leave out at t, times the decay of lead l. See `datamodules/gridded/linear.py`.

    arrays: linear_patterns, linear_reader (fold, component, channel, lat, lon), linear_weights
            (fold, lag x state, horizon x state), linear_decay (fold, horizon, channel), linear_lags
    """

    patterns: Tensor
    reader: Tensor
    weights: Tensor
    decay: Tensor

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        for name in ("patterns", "reader", "weights", "decay"):
            array = np.asarray(arrays[f"linear_{name}"], dtype=np.float32)
            self.register_buffer(name, torch.tensor(array), persistent=False)
        self.lags = int(arrays["linear_lags"])
        self.horizon = self.decay.shape[1]

    def forward(self, maps: Tensor, series: Tensor, fold: Tensor) -> tuple[Tensor, Tensor]:
        """Anomalies (batch, horizon, channel, lat, lon) and (batch, horizon, series), in deviations.

        maps:   (batch, history, channel, lat, lon) anomalies in deviations, NaN where missing: there the last
                one that was seen counts
        series: (batch, history, series), likewise
        fold:   (batch,) block of each window; -1 takes the model of the whole training range
        """
        maps, series = filled(maps), filled(series)
        with torch.autocast(maps.device.type, enabled=False):
            return self._by_block(maps, series, torch.where(fold < 0, len(self.weights) - 1, fold))

    def _by_block(self, maps: Tensor, series: Tensor, fold: Tensor) -> tuple[Tensor, Tensor]:
        """The forecast, each window by the model of its own block, in full precision."""
        if bool((fold == fold[0]).all()):
            return self._one(maps, series, int(fold[0]))
        found_maps = maps.new_zeros(len(maps), self.horizon, *maps.shape[2:])
        found_series = series.new_zeros(len(series), self.horizon, series.shape[2])
        for model in fold.unique().tolist():
            chosen = (fold == model).nonzero().squeeze(1)
            some_maps, some_series = self._one(maps[chosen], series[chosen], model)
            found_maps[chosen], found_series[chosen] = some_maps, some_series
        return found_maps, found_series

    def _one(self, maps: Tensor, series: Tensor, model: int) -> tuple[Tensor, Tensor]:
        """The forecast of one block's model."""
        batch, width = len(maps), series.shape[2]
        recent = maps[:, -self.lags :].flip(1)
        reader, patterns = self.reader[model].flatten(1), self.patterns[model].flatten(1)
        components = recent.flatten(2) @ reader.T
        state = torch.cat([components, series[:, -self.lags :].flip(1)], dim=2)
        ahead = (state.flatten(1) @ self.weights[model]).view(batch, self.horizon, -1)
        rest = recent[:, 0] - (components[:, 0] @ patterns).view_as(recent[:, 0])
        inner = ahead[..., : ahead.shape[2] - width] @ patterns
        found = inner.view(batch, self.horizon, *maps.shape[2:])
        found = found + self.decay[model][None, :, :, None, None] * rest[:, None]
        return found, ahead[..., ahead.shape[2] - width :]


def filled(history: Tensor) -> Tensor:
    """(batch, history, ...) with each missing value replaced by the last seen; 0 before the first."""
    last, found = torch.zeros_like(history[:, 0]), []
    for step in history.unbind(1):
        last = torch.where(torch.isfinite(step), step, last)
        found.append(last)
    return torch.stack(found, dim=1)
