"""Rolls a recurrent state out beyond the input, and turns each state back into maps."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.encoders.build import FlattenHead
from lightning_modules.planet import PlanetConv2d, coarse_size
from lightning_modules.recurrent.stack import RecurrentStack, State

FLAT_CELLS = (8, 16)
"""A vector state becomes a map of at most so many cells (lat, lon) before it is enlarged."""


class Rollout(NamedTuple):
    """What comes out of a rollout, all in the units of the departures' typical size.

    departure: (batch, lead, channel, lat, lon) from the prior
    spread:    (batch, lead, channel, lat, lon), positive; None when none is forecast
    series:    (batch, lead, series), departure of the series; None when they are no target
    """

    departure: Tensor
    spread: Tensor | None
    series: Tensor | None


class Lookahead(nn.Module):
    """Reads what is known of the step to forecast: its prior, the step before, forcings, static maps."""

    def __init__(self, channels_in: int, channels: int, *, pool: int, wraps: bool) -> None:
        super().__init__()
        self.stem = PlanetConv2d(channels_in, channels, pool + 2 if pool > 1 else 3, wraps=wraps, stride=pool)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, lat, lon) -> (batch, feature, ceil(lat / pool), ceil(lon / pool))."""
        return functional.gelu(self.stem(maps))


class VectorToMap(nn.Module):
    """A small map of a vector, enlarged to the size of the features (bilinear)."""

    def __init__(self, width: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.small = (min(size[0], FLAT_CELLS[0]), min(size[1], FLAT_CELLS[1]))
        self.size, self.channels = size, channels
        self.connect = nn.Linear(width, channels * self.small[0] * self.small[1])

    def forward(self, vector: Tensor) -> Tensor:
        """(batch, width) -> (batch, channel, lat, lon) of the features' size."""
        maps = self.connect(vector).unflatten(1, (self.channels, *self.small))
        if self.small == self.size:
            return maps
        return functional.interpolate(maps, size=self.size, mode="bilinear", align_corners=False)


class MapHead(nn.Module):
    """Convolution, GELU, convolution, then cells unfolded from channels (Shi et al. 2016, sub-pixel).

    The last convolution starts at zero: an untrained model forecasts its prior.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        channels_out: int,
        size: tuple[int, int],
        pool: int,
        wraps: bool,
    ) -> None:
        super().__init__()
        self.size, self.pool = size, pool
        self.mix = PlanetConv2d(channels_in, channels, wraps=wraps)
        self.last = PlanetConv2d(channels, channels_out * pool**2, wraps=wraps)
        nn.init.zeros_(self.last.conv.weight)
        if self.last.conv.bias is not None:
            nn.init.zeros_(self.last.conv.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, feature, coarse lat, coarse lon) -> (batch, channel, lat, lon)."""
        fine = functional.pixel_shuffle(self.last(functional.gelu(self.mix(features))), self.pool)
        return fine[..., : self.size[0], : self.size[1]]


class RolloutDecoder(nn.Module):
    """One step of the recurrent network for each lead, each turned into a departure from the prior.

    maps:       True where the state is a map; else it is a vector
    channels:   channels of the maps; known: forcings and static maps of a step
    series:     series to forecast; 0 for none;   spread: forecast a spread too
    """

    def __init__(
        self,
        *,
        channels: int,
        known: int,
        width: int,
        hidden: int,
        size: tuple[int, int],
        pool: int,
        wraps: bool,
        maps: bool,
        series: int,
        spread: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        coarse = coarse_size(size, pool)
        self.channels, self.spread = channels, spread
        self.lookahead = Lookahead(2 * channels + known, width, pool=pool, wraps=wraps)
        self.flatten = None if maps else FlattenHead(width, coarse, width)
        self.unflatten = None if maps else VectorToMap(hidden, width, coarse)
        head_in = hidden if maps else 2 * width
        self.head = MapHead(head_in, hidden, channels * (2 if spread else 1), size, pool, wraps)
        self.dropout = nn.Dropout2d(dropout) if maps else nn.Dropout(dropout)
        self.series_in = FlattenHead(hidden, coarse, hidden) if series and maps else None
        self.series_out = nn.Linear(hidden, series) if series else None

    def forward(
        self,
        recurrent: RecurrentStack,
        state: State,
        prior: Tensor,
        last: Tensor,
        known: Tensor,
        scale: Tensor,
        truth: Tensor | None = None,
        truth_share: float = 0.0,
    ) -> Rollout:
        """Roll out as many steps as `prior` has.

        state: of `recurrent`, after the history
        prior: (batch, lead, channel, lat, lon); last: (batch, channel, lat, lon), the last observed map
        known: (batch, lead, known, lat, lon); scale: (lead, channel, 1, 1), the departures' typical size
        truth: (batch, lead, channel, lat, lon), NaN where missing; where given, each sample's next step reads
               it instead of the forecast with probability `truth_share` (Bengio et al. 2015)
        """
        departures, spreads, series = [], [], []
        previous = last
        for lead in range(prior.shape[1]):
            inputs = torch.cat([prior[:, lead], previous, known[:, lead]], dim=1)
            departure, spread, state, beside = self._step(recurrent, state, inputs)
            departures.append(departure)
            if spread is not None:
                spreads.append(spread)
            if beside is not None:
                series.append(beside)
            previous = prior[:, lead] + departure * scale[lead]
            if truth is not None and truth_share > 0:
                seen = truth[:, lead]
                taken = torch.rand(len(seen), 1, 1, 1, device=seen.device) < truth_share
                previous = torch.where(taken & torch.isfinite(seen), torch.nan_to_num(seen), previous)
        return Rollout(
            torch.stack(departures, dim=1),
            torch.stack(spreads, dim=1) if spreads else None,
            torch.stack(series, dim=1) if series else None,
        )

    def _step(
        self, recurrent: RecurrentStack, state: State, inputs: Tensor
    ) -> tuple[Tensor, Tensor | None, State, Tensor | None]:
        """Of a lead: departure and spread (batch, channel, lat, lon), next state, series (batch, series)."""
        ahead = self.lookahead(inputs)
        read = ahead if self.flatten is None else self.flatten(ahead)
        output, state = recurrent(self.dropout(read), state)
        output = self.dropout(output)
        features = output if self.unflatten is None else torch.cat([self.unflatten(output), ahead], dim=1)
        found = self.head(features).float()
        spread = functional.softplus(found[:, self.channels :] + 0.5413) + 1e-3 if self.spread else None
        beside = None
        if self.series_out is not None:
            beside = self.series_out(output if self.series_in is None else self.series_in(output)).float()
        return found[:, : self.channels], spread, state, beside
