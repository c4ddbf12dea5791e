"""A small world for model tests: fitted arrays made up, a domain, a batch."""

import numpy as np
import torch

from datamodules.batches import MapBatch
from lightning_modules.forecaster import Domain, Forecaster
from lightning_modules.options import ForecastOptions, ModelOptions

HISTORY, HORIZON, CHANNELS, SERIES, BASIS, FOLDS = 3, 4, 2, 2, 3, 2


def domain(size: tuple[int, int] = (6, 8), *, wraps: bool = True, series: int = SERIES) -> Domain:
    """Cells of `size` (lat, lon) around the globe."""
    lat, lon = np.meshgrid(np.linspace(60, -60, size[0]), np.arange(size[1]) * 360 / size[1], indexing="ij")
    area = np.cos(np.deg2rad(lat))
    return Domain(
        lat=lat,
        lon=lon,
        cell_area=area / area.sum(),
        wraps=wraps,
        step_hours=6.0,
        static={},
        channels=tuple(f"v{channel}" for channel in range(CHANNELS)),
        series=tuple(f"s{number}" for number in range(series)),
        lead_names=tuple(f"{6 * lead}h" for lead in range(1, HORIZON + 1)),
    )


def arrays(size: tuple[int, int] = (6, 8), *, series: int = SERIES, seed: int = 0) -> dict[str, np.ndarray]:
    """Plausible fitted arrays, reproducible."""
    rng = np.random.default_rng(seed)
    components, lags = 3, 2
    state = components + series
    coefficients = rng.normal(size=(BASIS, CHANNELS, *size))
    coefficients[0] += 280
    series_coefficients = rng.normal(size=(BASIS, series))
    return {
        "mean": np.full(CHANNELS, 280.0),
        "std": np.full(CHANNELS, 5.0),
        "anomaly_std": np.full(CHANNELS, 2.0),
        "coefficients": coefficients.astype(np.float32),
        "damping": np.full((HORIZON, CHANNELS, *size), 0.5, np.float32),
        "series_coefficients": series_coefficients.astype(np.float32),
        "series_anomaly_std": np.ones(series),
        "series_damping": np.full((HORIZON, series), 0.5, np.float32),
        "linear_patterns": rng.normal(size=(FOLDS + 1, components, CHANNELS, *size)).astype(np.float32),
        "linear_reader": rng.normal(size=(FOLDS + 1, components, CHANNELS, *size)).astype(np.float32) * 0.01,
        "linear_weights": rng.normal(size=(FOLDS + 1, lags * state, HORIZON * state)).astype(np.float32)
        * 0.1,
        "linear_decay": np.full((FOLDS + 1, HORIZON, CHANNELS), 0.3, np.float32),
        "linear_lags": np.array(lags),
        "departure": np.full((HORIZON, CHANNELS), 0.7, np.float32),
        "series_departure": np.full((HORIZON, series), 0.7, np.float32),
    }


def batch(
    size: tuple[int, int] = (6, 8), *, windows: int = 3, series: int = SERIES, seed: int = 0
) -> MapBatch:
    """Random windows in physical units, nothing missing."""
    noise = torch.Generator().manual_seed(seed)
    time = HISTORY + HORIZON
    return MapBatch(
        maps=280 + 2 * torch.randn(windows, time, CHANNELS, *size, generator=noise),
        basis=torch.cat([torch.ones(windows, time, 1), torch.zeros(windows, time, BASIS - 1)], dim=2),
        clock=torch.rand(windows, time, 2, generator=noise),
        series=torch.randn(windows, time, series, generator=noise),
        start=torch.arange(windows),
        fold=torch.arange(windows) % FOLDS,
    )


def task(**changes: object) -> ForecastOptions:
    """A task on windows of this world."""
    return ForecastOptions.model_validate({"history": HISTORY, "horizon": HORIZON, **changes})


def forecaster(
    model: dict[str, object] | None = None,
    *,
    size: tuple[int, int] = (6, 8),
    wraps: bool = True,
    series: int = SERIES,
    series_target: bool = False,
    **changes: object,
) -> Forecaster:
    """A forecaster of this world with seeded weights; `changes` are of the task."""
    torch.manual_seed(0)
    small = {"encoder": {"channels": 8}, "recurrent": {"hidden": 8}, **(model or {})}
    return Forecaster(
        ModelOptions.model_validate(small),
        task(**changes),
        domain(size, wraps=wraps, series=series),
        arrays(size, series=series),
        series_target=series_target,
    )
