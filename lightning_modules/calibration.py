"""How far the truth departs from a prior: the unit in which a network's departures are learnt."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from datamodules.batches import MapBatch
from lightning_modules.anomalies import AnomalySpace
from lightning_modules.priors import Priors

LEAST = 1e-3
"""No departure is taken to be smaller than this share of the anomalies' deviation."""


@torch.no_grad()
def departure_size(
    arrays: Mapping[str, np.ndarray],
    prior: str,
    cell_area: np.ndarray,
    history: int,
    batches: Iterable[MapBatch],
) -> dict[str, np.ndarray]:
    """Root mean square departures, in deviations: `departure` (horizon, channel), `series_departure`.

    arrays:  what `AnomalySpace` and `Priors` need;  prior: the one to depart from
    batches: training windows, whose prior has not seen them (each carries its cross-fitting block)
    """
    space = AnomalySpace(arrays)
    priors = Priors(arrays, space)
    area = torch.tensor(cell_area, dtype=torch.float32)
    sums: list[Tensor] = []
    for batch in batches:
        seen = space.read(batch)
        maps, series = priors(batch, seen, history, (prior,))[prior]
        found = [
            *_squares(seen.maps[:, history:] - maps, area),
            *_squares(seen.series[:, history:] - series, torch.ones(())),
        ]
        sums = [one + other for one, other in zip(sums, found, strict=True)] if sums else found
    squares, weight, series_squares, series_weight = sums
    return {
        "departure": _root(squares, weight),
        "series_departure": _root(series_squares, series_weight),
    }


def _squares(departure: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted squares, and weights, summed over all but (lead, channel); missing values do not count."""
    known = torch.isfinite(departure)
    over = (0, *range(3, departure.ndim))
    squares = torch.where(known, departure, 0.0).double().square() * weight
    return squares.sum(over), (known * weight).double().sum(over)


def _root(squares: Tensor, weight: Tensor) -> np.ndarray:
    """Root of the mean, at least `LEAST`, float32."""
    mean = squares / weight.clamp_min(1e-12)
    return np.asarray(mean.sqrt().clamp_min(LEAST).numpy(), dtype=np.float32)
