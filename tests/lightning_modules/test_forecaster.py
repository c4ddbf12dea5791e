"""Every pair of encoder and recurrent network trains, wraps, masks, and begins as its prior."""

import itertools

import pytest
import torch

from lightning_modules.forecaster import Forecaster
from lightning_modules.forecasting import ForecastingModule
from lightning_modules.losses import ForecastLoss
from lightning_modules.options import ModelOptions, OptimizerOptions
from tests.lightning_modules.small import (
    CHANNELS,
    HISTORY,
    HORIZON,
    SERIES,
    arrays,
    batch,
    domain,
    forecaster,
    task,
)

ENCODERS = ("plain", "residual")
RECURRENT = ("rnn", "lstm", "gru", "convlstm", "convgru")
PRIORS = ("persistence", "damped_persistence", "climatology", "linear")


def options(encoder: str, recurrent: str, **more: object) -> dict[str, object]:
    return {
        "encoder": {"kind": encoder, "channels": 8, **more},
        "recurrent": {"kind": recurrent, "hidden": 8},
        "decoder": {"dropout": 0.0},
    }


def awake(model: Forecaster) -> Forecaster:
    """The model with a head that is not zero, as after training."""
    with torch.no_grad():
        model.decoder.head.last.conv.weight.normal_(std=0.1)
    return model.eval()


@pytest.mark.parametrize(("encoder", "recurrent"), list(itertools.product(ENCODERS, RECURRENT)))
@pytest.mark.parametrize("kind", ["mse", "crps"])
def test_every_parameter_gets_a_gradient_and_training_lowers_the_loss(
    encoder: str, recurrent: str, kind: str
) -> None:
    world = domain()
    model = forecaster(
        options(encoder, recurrent, context=encoder == "residual"), series_target=True, loss=kind
    )
    loss = ForecastLoss(kind, world.cell_area, world.channels, {}, 1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    windows = batch()
    found = []
    for _ in range(8):
        forecast = model(windows)
        value = loss(model, forecast, forecast.seen.series)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        found.append(value.item())
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []
    assert found[-1] < found[0]


@pytest.mark.parametrize(("encoder", "recurrent"), list(itertools.product(ENCODERS, RECURRENT)))
def test_an_untrained_model_forecasts_its_prior(encoder: str, recurrent: str) -> None:
    model = forecaster(options(encoder, recurrent), prior="damped_persistence").eval()
    forecast = model(batch())
    expected = model.space.maps(forecast.prior, forecast.seen.climatology[:, HISTORY:])
    assert torch.equal(forecast.maps, expected)


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_serves_and_the_future_is_never_read(prior: str) -> None:
    model = awake(forecaster(prior=prior))
    windows = batch()
    blind = windows._replace(maps=windows.maps.clone(), series=windows.series.clone())
    blind.maps[:, HISTORY:] = torch.nan
    blind.series[:, HISTORY:] = torch.nan
    assert torch.equal(model(windows).maps, model(blind).maps)
    assert model(windows).maps.shape == (3, HORIZON, CHANNELS, 6, 8)


@pytest.mark.parametrize(("encoder", "recurrent"), list(itertools.product(ENCODERS, ("convlstm", "convgru"))))
def test_on_a_globe_a_turned_world_gives_the_turned_forecast(encoder: str, recurrent: str) -> None:
    model = awake(forecaster(options(encoder, recurrent, pool=2), prior="persistence", series=0))
    model.static.zero_()
    model.forcings.lon.zero_()
    model.space.coefficients[1:].zero_()
    model.space.coefficients[0].fill_(280.0)
    windows = batch(series=0)
    turned = windows._replace(maps=windows.maps.roll(2, dims=-1))
    expected = model(windows).maps.roll(2, dims=-1)
    torch.testing.assert_close(model(turned).maps, expected, rtol=1e-5, atol=1e-4)


def test_on_a_regional_grid_the_two_edges_do_not_meet() -> None:
    model = awake(
        forecaster(options("plain", "convgru", depth=1), wraps=False, size=(6, 120), prior="persistence")
    )
    windows = batch((6, 120))
    other = windows._replace(maps=windows.maps.clone())
    other.maps[..., :2] += 3.0
    difference = (model(windows).maps - model(other).maps).abs().amax(dim=(0, 1, 2, 3))
    assert difference[0] > 0
    assert difference[-8:].max() == 0


def test_missing_values_reach_neither_the_forecast_nor_the_loss() -> None:
    model = awake(forecaster())
    windows = batch()
    windows.maps[:, :, :, 2, 3] = torch.nan
    windows.maps[0, 1] = torch.nan
    windows.series[:, :2] = torch.nan
    forecast = model(windows)
    assert torch.isfinite(forecast.maps).all()
    world = domain()
    loss = ForecastLoss("mse", world.cell_area, world.channels, {}, 1.0)
    value = loss(model, forecast, forecast.seen.series)
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_cells_that_training_never_saw_stay_missing() -> None:
    fitted = arrays()
    fitted["coefficients"][:, :, 1, 1] = float("nan")
    model = awake(Forecaster(ModelOptions(), task(), domain(), fitted))
    windows = batch()
    windows.maps[:, :, :, 1, 1] = torch.nan
    maps = model(windows).maps
    assert torch.isnan(maps[:, :, :, 1, 1]).all()
    assert torch.isfinite(maps[:, :, :, 2:]).all()


def test_the_series_beside_the_maps_changes_the_forecast() -> None:
    model = awake(forecaster())
    windows = batch()
    other = windows._replace(series=windows.series + 1.0)
    assert not torch.equal(model(windows).maps, model(other).maps)


def test_a_shorter_rollout_is_the_beginning_of_the_longer_one() -> None:
    model = awake(forecaster())
    windows = batch()
    torch.testing.assert_close(model(windows, 2).maps, model(windows).maps[:, :2])


def test_scheduled_sampling_reads_the_truth_in_training_only_where_asked() -> None:
    model = awake(forecaster())
    windows = batch()
    own, told = model(windows).maps, model(windows, None, 1.0).maps
    assert torch.equal(own[:, 0], told[:, 0])
    assert not torch.equal(own[:, 1:], told[:, 1:])


def test_a_spread_is_positive_and_in_physical_units() -> None:
    model = forecaster(loss="nll").eval()
    forecast = model(batch())
    assert forecast.spread is not None
    assert (forecast.spread > 0).all()
    torch.testing.assert_close(forecast.spread.mean(), torch.tensor(0.7 * 2.0), rtol=0.05, atol=0.0)


def test_a_series_can_be_a_target() -> None:
    forecast = forecaster(series_target=True).eval()(batch())
    assert forecast.series is not None
    assert forecast.series.shape == (3, HORIZON, SERIES)


def test_channel_weights_must_name_channels() -> None:
    with pytest.raises(ValueError, match=r"channel_weights.*'air'.*v0"):
        ForecastingModule(forecaster(), task(channel_weights={"air": 2.0}), OptimizerOptions(), domain())


def test_without_its_place_a_model_sees_anomalies_alone() -> None:
    model = awake(forecaster({"place": False}, prior="climatology"))
    windows = batch()
    shifted = windows._replace(maps=windows.maps + 7.0)
    model.space.mean.sub_(3.0)
    first = model(windows)
    model.space.coefficients[0].add_(7.0)
    torch.testing.assert_close(model(shifted).maps - 7.0, first.maps, rtol=0, atol=1e-3)
