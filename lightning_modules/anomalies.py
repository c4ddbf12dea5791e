"""Between physical units and what the network reads: departures from the climatology, in deviations."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datamodules.batches import MapBatch
from lightning_modules.references import climatology_of


class Anomalies(NamedTuple):
    """A batch seen from its climatology. Maps (batch, time, channel, lat, lon), series (batch, time, series).

    climatology, series_climatology: physical units, NaN in cells that training never saw
    maps, series:                    anomalies in deviations, NaN where missing
    standard:                        maps less their channel's mean, in deviations, NaN where missing
    """

    climatology: Tensor
    maps: Tensor
    standard: Tensor
    series_climatology: Tensor
    series: Tensor


class AnomalySpace(nn.Module):
    """Reads batches into anomalies and brings forecasts back; everything in it was fitted on training.

    arrays: coefficients (basis, channel, lat, lon), mean, std, anomaly_std (channel,), and for the series
            series_coefficients (basis, series), series_anomaly_std (series,)
    """

    coefficients: Tensor
    mean: Tensor
    std: Tensor
    anomaly_std: Tensor
    series_coefficients: Tensor
    series_anomaly_std: Tensor

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        maps = ("mean", "std", "anomaly_std")
        for name in (*maps, "coefficients", "series_coefficients", "series_anomaly_std"):
            value = torch.tensor(np.asarray(arrays[name], dtype=np.float32))
            value = value[:, None, None] if name in maps else value
            self.register_buffer(name, value, persistent=False)

    @property
    def seen(self) -> Tensor:
        """(channel, lat, lon): True where training saw a value."""
        return torch.isfinite(self.coefficients[0])

    def read(self, batch: MapBatch) -> Anomalies:
        """The batch as anomalies."""
        climatology = climatology_of(batch.basis, self.coefficients)
        series_climatology = climatology_of(batch.basis, self.series_coefficients)
        return Anomalies(
            climatology,
            (batch.maps - climatology) / self.anomaly_std,
            (batch.maps - self.mean) / self.std,
            series_climatology,
            (batch.series - series_climatology) / self.series_anomaly_std,
        )

    def maps(self, anomaly: Tensor, climatology: Tensor) -> Tensor:
        """Physical units of `anomaly` (batch, lead, channel, lat, lon) on the climatology of its steps."""
        return climatology + anomaly * self.anomaly_std

    def series(self, anomaly: Tensor, climatology: Tensor) -> Tensor:
        """Physical units of `anomaly` (batch, lead, series) on the climatology of its steps."""
        return climatology + anomaly * self.series_anomaly_std
