"""The loss counts what it should, in numpy's arithmetic."""

import numpy as np
import pytest
import torch

from lightning_modules.losses import ForecastLoss, pointwise
from tests.lightning_modules.small import HISTORY, batch, domain, forecaster


@pytest.mark.parametrize("kind", ["mse", "mae"])
def test_the_loss_is_the_area_weighted_mean_over_what_is_there(kind: str) -> None:
    world, model, windows = domain(), forecaster(prior="climatology").eval(), batch()
    windows.maps[0, HISTORY, 0, 2] = torch.nan
    weights = {"v1": 3.0}
    loss = ForecastLoss(kind, world.cell_area, world.channels, weights, 0.0)
    forecast = model(windows)
    found = loss(model, forecast, forecast.seen.series).item()
    truth = forecast.seen.maps[:, HISTORY:].double().numpy() / 0.7
    weight = world.cell_area * np.array([1.0, 3.0])[:, None, None] * np.isfinite(truth)
    error = np.nan_to_num(truth)
    expected = (weight * (error**2 if kind == "mse" else np.abs(error))).sum() / weight.sum()
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_gaussian_loss_is_least_at_the_true_spread() -> None:
    noise = torch.randn(20000, generator=torch.Generator().manual_seed(0)) * 2.0
    for kind in ("nll", "crps"):
        found = [
            pointwise(kind, torch.zeros(()), noise, torch.full_like(noise, spread)).mean().item()
            for spread in (1.0, 1.5, 2.0, 2.5, 3.0)
        ]
        assert int(np.argmin(found)) == 2


def test_a_window_without_any_value_has_a_loss_of_zero_and_finite_gradients() -> None:
    world, model, windows = domain(), forecaster(), batch()
    windows.maps[:, HISTORY:] = torch.nan
    loss = ForecastLoss("mse", world.cell_area, world.channels, {}, 1.0)
    forecast = model(windows)
    value = loss(model, forecast, forecast.seen.series)
    value.backward()
    assert value.item() == 0.0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
