"""All references at once, on one batch: what the model is judged against, and what it departs from."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from datamodules.batches import MapBatch
from lightning_modules.anomalies import Anomalies, AnomalySpace
from lightning_modules.linear import LinearModel
from lightning_modules.references import Climatology, DampedPersistence, Persistence, Reference

NAMES = ("persistence", "damped_persistence", "climatology", "linear")


class Priors(nn.Module):
    """Forecasts of the references by name, as anomalies in deviations, finite wherever training saw a value.

    arrays: damping (horizon, channel, lat, lon), series_damping (horizon, series) and those of `LinearModel`
    space:  the anomalies' space, shared with the model
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], space: AnomalySpace) -> None:
        super().__init__()
        self.on_maps = nn.ModuleDict(_simple(arrays["damping"]))
        self.on_series = nn.ModuleDict(_simple(arrays["series_damping"]))
        self.linear = LinearModel(arrays)
        self.space = space

    def forward(
        self, batch: MapBatch, seen: Anomalies, history: int, names: Iterable[str] = NAMES
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Maps (batch, horizon, channel, lat, lon) and series (batch, horizon, series) of each reference.

        Only the first `history` steps of the window are read. `seen` is the batch in the space of anomalies.
        """
        found = {}
        for name in names:
            if name == "linear":
                found[name] = self.linear(seen.maps[:, :history], seen.series[:, :history], batch.fold)
                continue
            ahead, series_ahead = seen.climatology[:, history:], seen.series_climatology[:, history:]
            maps = self.on_maps[name](batch.maps[:, :history], seen.climatology, batch.fold)
            series = self.on_series[name](batch.series[:, :history], seen.series_climatology, batch.fold)
            found[name] = (
                torch.nan_to_num((maps - ahead) / self.space.anomaly_std),
                (series - series_ahead) / self.space.series_anomaly_std,
            )
        return found


def _simple(damping: np.ndarray) -> dict[str, Reference]:
    """The references that need no more than the climatology and `damping` (horizon, ...)."""
    return {
        "persistence": Persistence(),
        "damped_persistence": DampedPersistence(torch.tensor(np.asarray(damping, dtype=np.float32))),
        "climatology": Climatology(),
    }
