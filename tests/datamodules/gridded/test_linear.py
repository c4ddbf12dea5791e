"""The linear model forecasts a linear world, and no block's model has seen its block."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from datamodules.gridded.fitted import Fitted, load_or_fit
from datamodules.gridded.linear import LinearOptions, load_or_fit_linear
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split, fold_of, split_starts
from lightning_modules.anomalies import AnomalySpace
from lightning_modules.calibration import departure_size
from lightning_modules.linear import LinearModel
from tests.datamodules.gridded.twin import make_store

HISTORY, HORIZON, FOLDS = 4, 3, 4


def waves(steps: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Two waves that travel east and decay into each other: a linear world, (time, 1, 4, 12)."""
    rng = np.random.default_rng(seed)
    lon = np.arange(12) * 2 * np.pi / 12
    state = rng.normal(size=4)
    turn = np.kron(np.diag([1.0, 0.0]), rotation(0.5)) + np.kron(np.diag([0.0, 1.0]), rotation(0.2))
    patterns = np.stack([np.cos(lon), np.sin(lon), np.cos(2 * lon), np.sin(2 * lon)])
    maps = []
    for _ in range(steps):
        state = 0.97 * turn @ state + 0.2 * rng.normal(size=4)
        maps.append(np.tile(state @ patterns, (4, 1)) + noise * rng.normal(size=(4, 12)))
    return 280 + np.array(maps, np.float32)[:, None]


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def fit(store: Store, components: int = 4) -> Fitted:
    split = Split("train", 0, 400)
    fitted = load_or_fit(store, train=split, history=HISTORY, horizon=HORIZON, folds=FOLDS)
    return load_or_fit_linear(store, fitted, LinearOptions(components=components, lags=2))


def forecast(
    store: Store, fitted: Fitted, starts: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts and truth (window, lead, 1, 4, 12), in physical units."""
    index = starts[:, None] + np.arange(HISTORY + HORIZON)
    maps = torch.tensor(store.values[index])
    space, model = AnomalySpace(fitted.arrays), LinearModel(fitted.arrays)
    climatology = torch.einsum(
        "btk,kchw->btchw", torch.tensor(fitted.basis(store.time))[index], space.coefficients
    )
    anomaly = (maps - climatology) / space.anomaly_std
    found, _ = model(anomaly[:, :HISTORY], torch.zeros(len(starts), HISTORY, 0), torch.tensor(fold))
    return (climatology[:, HISTORY:] + found * space.anomaly_std).numpy(), maps[:, HISTORY:].numpy()


def test_a_linear_world_is_forecast_to_its_noise(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", waves(600))
    fitted = fit(store)
    starts = np.arange(420, 590)
    found, truth = forecast(store, fitted, starts, np.full(len(starts), -1))
    error = np.sqrt(((found - truth) ** 2).mean(axis=(0, 2, 3, 4)))
    persistence = np.sqrt(((store.values[starts + 3][:, None] - truth) ** 2).mean(axis=(0, 2, 3, 4)))
    innovation = 0.2 * np.sqrt(2)  # of two waves, each of unit mean square over longitude
    assert error[0] < 1.1 * innovation
    assert (error < 0.75 * persistence).all()


def test_what_the_components_leave_out_decays_by_itself(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", waves(600, noise=0.5))
    decay = fit(store).arrays["linear_decay"]
    assert decay.shape == (FOLDS + 1, HORIZON, 1)
    assert decay.max() < 0.2


def test_a_block_never_enters_its_own_model(tmp_path: Path) -> None:
    values = waves(600)
    store = make_store(tmp_path / "one", values)
    fitted = fit(store)
    starts = split_starts(fitted.train, store.tick, HISTORY, HORIZON)
    block = starts[fold_of(starts, FOLDS) == 1]
    inside = slice(block[0], block[-1] + HISTORY + HORIZON)
    changed = values.copy()
    changed[inside] += np.random.default_rng(1).normal(size=changed[inside].shape).astype(np.float32)
    # The same climatology for both, so that only what the block's own model read can differ.
    other = make_store(tmp_path / "two", changed)
    again = load_or_fit_linear(
        other, replace(fitted, digest="of the other store"), LinearOptions(components=4, lags=2)
    )
    for name in ("linear_reader", "linear_decay"):
        np.testing.assert_array_equal(again.arrays[name][1], fitted.arrays[name][1])
        assert not np.array_equal(again.arrays[name][-1], fitted.arrays[name][-1])


def test_departures_are_measured_on_training_windows(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", waves(600))
    fitted = fit(store)
    starts = split_starts(fitted.train, store.tick, HISTORY, HORIZON)
    fold = fold_of(starts, FOLDS)
    found, truth = forecast(store, fitted, starts, fold)
    expected = (
        np.sqrt(((found - truth) ** 2 * store.grid.cell_area).sum((-2, -1)).mean(0)) / fitted.anomaly_std
    )
    from datamodules.gridded.dataset import WindowDataset

    data = WindowDataset(store, fitted.basis(store.time), starts, HISTORY + HORIZON, fold)
    batches = [data[list(range(at, min(at + 64, len(data))))] for at in range(0, len(data), 64)]
    sizes = departure_size(fitted.arrays, "linear", store.grid.cell_area, HISTORY, batches)
    np.testing.assert_allclose(sizes["departure"], expected, rtol=1e-4)


def test_a_station_that_is_often_silent_is_forecast_no_worse_than_by_persistence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    walk = np.zeros(600)
    for now in range(1, 600):
        walk[now] = 0.98 * walk[now - 1] + 0.2 * rng.normal()
    heard = walk.copy()
    heard[rng.random(600) < 0.15] = np.nan
    store = make_store(tmp_path / "store", waves(600), series=heard[:, None])
    fitted = fit(store)
    starts = np.arange(420, 590)
    index = starts[:, None] + np.arange(HISTORY)
    mean, deviation = fitted.series_coefficients[0, 0], fitted.series_anomaly_std[0]
    anomaly = (torch.tensor(heard[index], dtype=torch.float32)[..., None] - mean) / deviation
    maps = torch.zeros(len(starts), HISTORY, 1, 4, 12)
    _, found = LinearModel(fitted.arrays)(maps, anomaly, torch.full((len(starts),), -1))
    forecast_series = found[..., 0].numpy() * deviation + mean
    truth = walk[starts[:, None] + HISTORY + np.arange(HORIZON)]
    last = np.array([row[np.isfinite(row)][-1] if np.isfinite(row).any() else mean for row in heard[index]])
    error, persistence = (np.sqrt(((f - truth) ** 2).mean(axis=0)) for f in (forecast_series, last[:, None]))
    assert (error < 1.1 * persistence).all()
