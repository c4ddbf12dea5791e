"""The whole forecaster: normalise -> CNN per step -> recurrent state -> rollout -> undo the normalisation."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datamodules.batches import MapBatch
from lightning_modules.anomalies import Anomalies, AnomalySpace
from lightning_modules.decoders.rollout import Rollout, RolloutDecoder
from lightning_modules.encoders.build import FlattenHead, build_encoder
from lightning_modules.forcings import Forcings, static_maps
from lightning_modules.options import ForecastOptions, ModelOptions
from lightning_modules.planet import coarse_size
from lightning_modules.priors import Priors
from lightning_modules.recurrent.stack import RecurrentStack, State, reads_maps


class Domain(NamedTuple):
    """Where and when a model forecasts: all that it must know of the data besides what was fitted.

    lat, lon:   float64 degrees (lat, lon);      cell_area: float64 (lat, lon), sums to 1
    wraps:      longitude is joined to itself;   step_hours: distance of two steps
    static:     maps found in the files, by name, each (lat, lon)
    channels, series: names, in the order of the arrays
    lead_names: of every lead of the horizon, "6h", "12h" or "1mo"
    """

    lat: np.ndarray
    lon: np.ndarray
    cell_area: np.ndarray
    wraps: bool
    step_hours: float
    static: Mapping[str, np.ndarray]
    channels: tuple[str, ...]
    series: tuple[str, ...]
    lead_names: tuple[str, ...]


class Forecast(NamedTuple):
    """A forecast in physical units, and the rollout that it came from.

    maps:   (batch, lead, channel, lat, lon);  spread: likewise, a standard deviation, or None
    series: (batch, lead, series), or None
    rollout: departures from the prior in units of their typical size, for the loss
    prior, series_prior: anomalies in deviations, of the same shapes as maps and series
    seen:   the window in the space of anomalies
    """

    maps: Tensor
    spread: Tensor | None
    series: Tensor | None
    rollout: Rollout
    prior: Tensor
    series_prior: Tensor
    seen: Anomalies


class Forecaster(nn.Module):
    """Departures from a prior, rolled out by a CNN and a recurrent network.

    arrays: what was fitted on the training split: those of `AnomalySpace`, of `Priors`, and the typical size
            of the departures, `departure` (horizon, channel) and `series_departure` (horizon, series)
    series_target: forecast the series too
    """

    scale: Tensor
    series_scale: Tensor
    static: Tensor

    def __init__(
        self,
        model: ModelOptions,
        task: ForecastOptions,
        domain: Domain,
        arrays: Mapping[str, np.ndarray],
        *,
        series_target: bool = False,
    ) -> None:
        super().__init__()
        self.task, self.noise, self.place = task, model.noise, model.place
        self.space = AnomalySpace(arrays)
        self.priors = Priors(arrays, self.space)
        self.forcings = Forcings(domain.lat, domain.lon, domain.step_hours)
        static = static_maps(domain.lat, domain.lon, self.space.seen.numpy(), domain.static)
        static = static if self.place else static[:0]
        self.register_buffer("static", torch.tensor(static), persistent=False)
        scale, series_scale = (np.asarray(arrays[n], np.float32) for n in ("departure", "series_departure"))
        self.register_buffer("scale", torch.tensor(scale)[:, :, None, None], persistent=False)
        self.register_buffer("series_scale", torch.tensor(series_scale), persistent=False)
        self._build_network(model, domain, series_target)

    def _build_network(self, model: ModelOptions, domain: Domain, series_target: bool) -> None:
        """The parts that learn."""
        channels, series = len(domain.channels), len(domain.series)
        size, pool = domain.cell_area.shape, model.encoder.pool
        coarse = coarse_size((size[0], size[1]), pool)
        on_maps = reads_maps(model.recurrent.kind)
        known = self.forcings.channels - (not self.place) + len(self.static)
        width = model.encoder.channels
        self.encoder = build_encoder(model.encoder, (2 + self.place) * channels + known, wraps=domain.wraps)
        self.flatten = None if on_maps else FlattenHead(width, coarse, width)
        self.read_series = nn.Linear(2 * series, width) if series else None
        self.recurrent = RecurrentStack(model.recurrent, width, wraps=domain.wraps)
        self.decoder = RolloutDecoder(
            channels=channels,
            known=known,
            width=width,
            hidden=model.recurrent.hidden,
            size=(size[0], size[1]),
            pool=pool,
            wraps=domain.wraps,
            maps=on_maps,
            series=series if series_target else 0,
            spread=self.task.loss in ("crps", "nll"),
            dropout=model.decoder.dropout,
        )

    def forward(self, batch: MapBatch, steps: int | None = None, truth_share: float = 0.0) -> Forecast:
        """Forecast `steps` leads (the whole horizon when None) from the first `history` steps of the window.

        truth_share: in training, how often a step of the rollout reads the truth instead of the forecast.
        """
        history = self.task.history
        steps = self.task.horizon if steps is None else steps
        seen = self.space.read(batch)
        prior, series_prior = self.priors(batch, seen, history, (self.task.prior,))[self.task.prior]
        prior, series_prior = prior[:, :steps], series_prior[:, :steps]
        known = self._known(batch.clock[:, : history + steps])
        state = self.encode(seen, known, history)
        rollout = self.decoder(
            self.recurrent,
            state,
            prior,
            torch.nan_to_num(seen.maps[:, history - 1]),
            known[:, history:],
            self.scale,
            seen.maps[:, history:] if truth_share > 0 else None,
            truth_share,
        )
        scale = self.scale[:steps]
        maps = self.space.maps(
            prior + rollout.departure * scale, seen.climatology[:, history : history + steps]
        )
        spread = None if rollout.spread is None else rollout.spread * scale * self.space.anomaly_std
        series = None
        if rollout.series is not None:
            found = series_prior + rollout.series * self.series_scale[:steps]
            series = self.space.series(found, seen.series_climatology[:, history : history + steps])
        return Forecast(maps, spread, series, rollout, prior, series_prior, seen)

    def encode(self, seen: Anomalies, known: Tensor, history: int) -> State:
        """The state of the recurrent network after the first `history` steps of the window."""
        maps, standard = seen.maps[:, :history], seen.standard[:, :history]
        mask = torch.isfinite(maps)
        read, standard = torch.nan_to_num(maps), torch.nan_to_num(standard)
        if self.training and self.noise:
            read = read + self.noise * torch.randn_like(read) * mask
        told = [read, mask.to(read.dtype), *([standard] if self.place else []), known[:, :history]]
        inputs = torch.cat(told, dim=2)
        features = self.encoder(inputs.flatten(0, 1))
        if self.flatten is not None:
            features = self.flatten(features)
        features = features.unflatten(0, (len(maps), history))
        if self.read_series is not None:
            series = seen.series[:, :history]
            beside = torch.cat([torch.nan_to_num(series), torch.isfinite(series).to(series.dtype)], dim=-1)
            added = self.read_series(beside)
            features = features + (added if self.flatten is not None else added[..., None, None])
        return self.recurrent.read(features)[1]

    def _known(self, clock: Tensor) -> Tensor:
        """Forcings and static maps of every step, (batch, time, known, lat, lon)."""
        forcing = self.forcings(clock)
        if not self.place:
            return forcing[:, :, 1:]
        return torch.cat([forcing, self.static.expand(*forcing.shape[:2], *self.static.shape)], dim=2)
