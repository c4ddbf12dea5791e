"""What is watched of a test to keep the error of each forecast: no window is forecast a second time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from datamodules.batches import MapBatch
from datamodules.gridded.clock import dates
from datamodules.gridded.store import Store
from lightning_modules.forecaster import Forecast
from lightning_modules.forecasting import ForecastingModule
from pipelines.forecasts.case_errors import CaseErrors

Found = dict[int, tuple[np.ndarray, np.ndarray]]
"""By the window's first step: squared errors and weights, (lead, quantity)."""


class CaseErrorKeeper:
    """The errors of the forecasts that `module` makes while `watching` lasts, on this rank."""

    def __init__(self, module: ForecastingModule) -> None:
        self._module = module
        self._area = torch.tensor(module.domain.cell_area, dtype=torch.float64)
        self._found: Found = {}

    @contextmanager
    def watching(self) -> Iterator["CaseErrorKeeper"]:
        """Keep the errors of every forecast that is made while the block lasts."""
        hook = self._module.model.register_forward_hook(self._keep)
        try:
            yield self
        finally:
            hook.remove()

    def _keep(self, model: nn.Module, arguments: tuple[Any, ...], forecast: Forecast) -> None:
        """What counts is what `ForecastScores` counts: truth and climatology are finite."""
        batch: MapBatch = arguments[0]
        ahead = slice(self._module.task.history, None)
        seen = forecast.seen
        self._area = self._area.to(forecast.maps.device)
        parts = [_errors(forecast.maps, batch.maps[:, ahead], seen.climatology[:, ahead], self._area)]
        if forecast.series is not None and forecast.series.shape[-1]:
            one = torch.ones((), dtype=torch.float64, device=forecast.maps.device)
            parts.append(
                _errors(forecast.series, batch.series[:, ahead], seen.series_climatology[:, ahead], one)
            )
        squared, weight = (torch.cat(kind, dim=-1).cpu().numpy() for kind in zip(*parts, strict=True))
        self._found |= dict(zip(batch.start.tolist(), zip(squared, weight, strict=True), strict=True))

    def gathered(self, store: Store) -> CaseErrors:
        """The errors of all ranks in order of time, each window once; every rank has to call this."""
        parts = [self._found]
        if distributed.is_available() and distributed.is_initialized():
            parts = [{} for _ in range(distributed.get_world_size())]
            distributed.all_gather_object(parts, self._found)
        found = dict(sorted((start, one) for part in parts for start, one in part.items()))
        task, leads = self._module.task, self._module.domain.lead_names
        squared, weight = (np.stack(kind) for kind in zip(*found.values(), strict=True))
        names = [(channel.name, channel.units) for channel in store.channels]
        if store.series is not None and squared.shape[-1] > len(names):
            names += list(zip(store.series.names, store.series.units, strict=True))
        issued = np.array(list(found)) + task.history - 1
        return CaseErrors(
            cases=tuple(dates(store.time[issued], store.calendar)),
            quantities=tuple(name for name, _ in names),
            units=tuple(unit for _, unit in names),
            lead_names=tuple(leads),
            lead_hours=tuple(store.step.hours * lead for lead in range(1, len(leads) + 1)),
            squared=squared,
            weight=weight,
            overlap=task.horizon,
        )


def _errors(forecast: Tensor, truth: Tensor, climatology: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error and the weight behind it, float64 (batch, lead, quantity); NaN where that is 0."""
    counts = torch.isfinite(truth) & torch.isfinite(climatology)
    error = torch.where(counts, forecast.detach().double() - truth.double(), 0.0)
    over = tuple(range(3, forecast.ndim))
    weight, squared = counts * area, error.square() * area
    if over:
        weight, squared = weight.sum(over), squared.sum(over)
    return squared / weight, weight
