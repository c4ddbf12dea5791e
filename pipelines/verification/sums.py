"""What one forecast adds to the scores: sums over cells by lead time and variable, in float64.

The same weights, masks and definitions as `lightning_modules.metrics.forecasts.ForecastScores`, with a row a
forecast, so that forecasts can be drawn anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FORECAST = "forecast"
Sums = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps (lead, channel, lat, lon) of some lead times of one forecast, NaN where missing.

    references: persistence, climatology, of the same shape.     spread: of the forecast, or None.
    """

    forecast: np.ndarray
    truth: np.ndarray
    climatology: np.ndarray | None
    references: Mapping[str, np.ndarray]
    spread: np.ndarray | None


def sums_of(maps: Maps, cell_area: np.ndarray) -> dict[str, Sums]:
    """Sums (lead, channel) of the forecast, "forecast", and of each reference.

    A value counts where the truth, the forecast and, if there is one, the climatology are known; for a
    reference, where it is known as well: then "theirs" are the sums of the reference and "ours" the squared
    errors of the forecast on the very same values.
    """
    counts = np.isfinite(maps.truth) & np.isfinite(maps.forecast)
    if maps.climatology is not None:
        counts &= np.isfinite(maps.climatology)
    found = {FORECAST: _sums(maps.forecast, maps, counts, cell_area)}
    found[FORECAST]["missing"] = (np.isfinite(maps.truth) & ~np.isfinite(maps.forecast)).sum(axis=(2, 3))
    found[FORECAST]["known"] = np.isfinite(maps.truth).sum(axis=(2, 3))
    if maps.spread is not None:
        found[FORECAST]["crps"] = _crps(maps, counts, cell_area)
    for name, reference in maps.references.items():
        both = counts & np.isfinite(reference)
        found[name] = _sums(reference, maps, both, cell_area)
        weight = both * cell_area
        found[name]["ours"] = (weight * _known(maps.forecast - maps.truth, both) ** 2).sum(axis=(2, 3))
    return found


def _sums(values: np.ndarray, maps: Maps, counts: np.ndarray, cell_area: np.ndarray) -> Sums:
    """Weighted sums over the cells that count."""
    weight = counts * cell_area
    error = _known(values.astype(np.float64) - maps.truth, counts)
    found = {
        "weight": weight,
        "squared": weight * error**2,
        "absolute": weight * np.abs(error),
        "signed": weight * error,
    }
    if maps.climatology is not None:
        ours, theirs = (
            _known(one.astype(np.float64) - maps.climatology, counts) for one in (values, maps.truth)
        )
        found |= {
            "forecast_anomaly": weight * ours**2,
            "truth_anomaly": weight * theirs**2,
            "anomaly_product": weight * ours * theirs,
        }
    return {name: each.sum(axis=(2, 3)) for name, each in found.items()}


def _crps(maps: Maps, counts: np.ndarray, cell_area: np.ndarray) -> np.ndarray:
    """Weighted sums of the score of a Gaussian; a spread that is missing counts as none."""
    import torch

    from lightning_modules.metrics.crps import gaussian_crps

    assert maps.spread is not None
    spread = _known(maps.spread.astype(np.float64), counts & np.isfinite(maps.spread))
    mean, truth = (_known(one.astype(np.float64), counts) for one in (maps.forecast, maps.truth))
    score = gaussian_crps(torch.from_numpy(mean), torch.from_numpy(spread), torch.from_numpy(truth)).numpy()
    return np.asarray((counts * cell_area * score).sum(axis=(2, 3)))


def _known(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts, values, 0.0)


def scores_of(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """rmse, mae, bias, acc and crps from sums over forecasts, NaN where nothing counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "rmse": np.sqrt(sums["squared"] / sums["weight"]),
            "mae": sums["absolute"] / sums["weight"],
            "bias": sums["signed"] / sums["weight"],
        }
        if "anomaly_product" in sums:
            both = np.sqrt(sums["forecast_anomaly"] * sums["truth_anomaly"])
            found["acc"] = sums["anomaly_product"] / both
        if "crps" in sums:
            found["crps"] = sums["crps"] / sums["weight"]
    return found
