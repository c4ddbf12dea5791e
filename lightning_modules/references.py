"""The simple forecasts that a model must beat, as modules that apply what was fitted elsewhere.

They are judged on the same windows and mask as the model, and the model may predict departures from one
of them. All of them work on maps (..., channel, lat, lon) and on series (..., series) alike.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn


def climatology_of(basis: Tensor, coefficients: Tensor) -> Tensor:
    """The climatology (batch, time, ...) in physical units, of the coefficients' dtype.

    basis: (batch, time, basis); coefficients: (basis, channel, lat, lon) or (basis, series), NaN where the
    cell was never seen in training. Summed in float64, which autocast and TF32 leave alone: a pressure
    of 101325 Pa would be off by 256 Pa in bfloat16.
    """
    flat = coefficients.double().flatten(1)
    climatology = basis.double() @ flat
    return climatology.unflatten(-1, coefficients.shape[1:]).to(coefficients.dtype)


def last_valid(history: Tensor) -> tuple[Tensor, Tensor]:
    """The last finite value of each cell and its age in steps: (batch, ...) both.

    history: (batch, history, ...). Age 0 is the window's last observed step; where a cell has no value at
    all the value is NaN and the age is the length of the history.
    """
    steps = torch.arange(1, history.shape[1] + 1, device=history.device)
    steps = steps.view(1, -1, *(1,) * (history.ndim - 2))
    position = torch.where(torch.isfinite(history), steps, 0).amax(1, keepdim=True)
    value = history.gather(1, (position - 1).clamp_min(0)).squeeze(1)
    age = history.shape[1] - position.squeeze(1)
    return torch.where(age < history.shape[1], value, torch.nan), age


class Reference(nn.Module, ABC):
    """A forecast from the history and the climatology alone; finite wherever the climatology is finite."""

    name: ClassVar[str]

    @abstractmethod
    def forward(self, history: Tensor, climatology: Tensor, fold: Tensor) -> Tensor:
        """The forecast (batch, horizon, channel, lat, lon) in physical units.

        history:     (batch, history, channel, lat, lon), physical units, NaN where missing
        climatology: (batch, history + horizon, channel, lat, lon), physical units, of the same steps and on
        fold:        (batch,) int64, cross-fitting block of each window, -1 outside training; only a
                     reference that was fitted across blocks reads it
        """


class Climatology(Reference):
    """What the season and the hour alone say."""

    name = "climatology"

    def forward(self, history: Tensor, climatology: Tensor, fold: Tensor) -> Tensor:
        """The climatology of the steps to forecast."""
        return climatology[:, history.shape[1] :]


class Persistence(Reference):
    """Nothing changes: the last valid value of each cell; the climatology where there is none."""

    name = "persistence"

    def forward(self, history: Tensor, climatology: Tensor, fold: Tensor) -> Tensor:
        """The last valid value at every lead time."""
        value = last_valid(history)[0].unsqueeze(1)
        return torch.where(torch.isfinite(value), value, climatology[:, history.shape[1] :])


class DampedPersistence(Reference):
    """The last valid anomaly, damped towards the climatology: clim(t + l) + damping(l) * anomaly(t).

    damping: (horizon, channel, lat, lon), the regression of the anomaly at lead l on the last anomaly,
    fitted on the training split; where it is not finite it counts as 0. Where the last valid value is k
    steps old, lead l takes the damping of lead l + k (of the longest lead fitted, when that is shorter).
    """

    name = "damped_persistence"
    damping: Tensor

    def __init__(self, damping: Tensor) -> None:
        super().__init__()
        self.register_buffer("damping", torch.nan_to_num(damping, 0.0, 0.0, 0.0), persistent=False)

    def forward(self, history: Tensor, climatology: Tensor, fold: Tensor) -> Tensor:
        """The climatology plus the damped anomaly; the climatology alone where the history has no value."""
        steps = history.shape[1]
        ahead = climatology[:, steps:]
        anomaly, age = last_valid(history - climatology[:, :steps])
        lead = torch.arange(ahead.shape[1], device=history.device).view(1, -1, *(1,) * (history.ndim - 2))
        lead = (lead + age.unsqueeze(1)).clamp_max(self.damping.shape[0] - 1)
        damping = self.damping.expand(history.shape[0], *self.damping.shape).gather(1, lead)
        return ahead + damping * torch.nan_to_num(anomaly, 0.0).unsqueeze(1)
