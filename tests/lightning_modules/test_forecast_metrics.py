"""Forecast scores agree with numpy in float64 and with the package `scores`, however batches fall."""

import math

import numpy as np
import pytest
import scores.continuous
import scores.probability
import torch
import xarray as xr
from torch import Tensor

from lightning_modules.metrics.crps import gaussian_crps
from lightning_modules.metrics.forecasts import ErrorByPlace, ForecastScores

DIMS = ("batch", "lead", "channel", "lat", "lon")
SHAPE = (7, 3, 2, 4, 5)
AREA = torch.cos(torch.deg2rad(torch.linspace(-60, 70, 4, dtype=torch.float64)))[:, None].expand(4, 5)
AREA = AREA / AREA.sum()


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """A float32 forecast of about 280 K with missing truth and a mask."""
    noise = torch.Generator().manual_seed(3)
    climatology = 280 + 10 * torch.randn(SHAPE, generator=noise)
    truth = climatology + 3 * torch.randn(SHAPE, generator=noise)
    forecast = truth + 2 * torch.randn(SHAPE, generator=noise) + 0.3
    truth[torch.rand(SHAPE, generator=noise) < 0.2] = torch.nan
    truth[2, 1] = torch.nan
    return {
        "forecast": forecast,
        "truth": truth,
        "climatology": climatology,
        "mask": torch.rand(SHAPE, generator=noise) < 0.8,
        "spread": 1 + torch.rand(SHAPE, generator=noise),
    }


def scored(batch: dict[str, Tensor], sizes: tuple[int, ...] = (7,)) -> ForecastScores:
    """The scores of the batch, fed in pieces of these sizes."""
    metric = ForecastScores(3, 2, AREA, spread=True)
    pieces = {name: torch.split(values, sizes) for name, values in batch.items()}
    for i in range(len(sizes)):
        metric.update(**{name: values[i] for name, values in pieces.items()})
    return metric


def as_xarray(batch: dict[str, Tensor]) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray, xr.DataArray]:
    """Forecast, truth (NaN where it does not count), climatology and weights for the package `scores`."""
    truth = batch["truth"].double().where(batch["mask"], torch.nan)
    arrays = [
        xr.DataArray(x.double().numpy(), dims=DIMS) for x in (batch["forecast"], truth, batch["climatology"])
    ]
    return arrays[0], arrays[1], arrays[2], xr.DataArray(AREA.numpy(), dims=DIMS[3:])


def test_rmse_mae_and_bias_equal_those_of_the_package_scores(batch: dict[str, Tensor]) -> None:
    forecast, truth, _, weights = as_xarray(batch)
    found = scored(batch).compute()
    for name, function in (
        ("rmse", scores.continuous.rmse),
        ("mae", scores.continuous.mae),
        ("bias", scores.continuous.additive_bias),
    ):
        expected = function(forecast, truth, preserve_dims=["lead", "channel"], weights=weights)
        np.testing.assert_allclose(found[name].numpy(), expected.values, rtol=1e-12)


def test_acc_equals_the_documented_equation_in_numpy_float64(batch: dict[str, Tensor]) -> None:
    forecast, truth, climatology, weights = (x.values for x in as_xarray(batch))
    w = np.isfinite(truth) * weights
    f, o = forecast - climatology, np.nan_to_num(truth) - climatology
    over = (0, 3, 4)
    expected = (w * f * o).sum(over) / np.sqrt((w * f * f).sum(over) * (w * o * o).sum(over))
    np.testing.assert_allclose(scored(batch).compute()["acc"].numpy(), expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:numba is not available:UserWarning")  # `scores` says so and goes on
def test_crps_equals_the_integral_that_the_package_scores_takes() -> None:
    truth, mean, spread = 281.3, 280.0, 1.7
    thresholds = np.linspace(255, 305, 2_001)
    cdf = [0.5 * (1 + math.erf((x - mean) / spread / math.sqrt(2))) for x in thresholds]
    expected = scores.probability.crps_cdf(
        xr.DataArray(np.array([cdf]), dims=("case", "threshold"), coords={"threshold": thresholds}),
        xr.DataArray([truth], dims="case"),
    )["total"]
    values = (torch.tensor(x, dtype=torch.float64) for x in (mean, spread, truth))
    assert float(gaussian_crps(*values)) == pytest.approx(float(expected), rel=1e-5)


def test_crps_is_averaged_as_mae_is(batch: dict[str, Tensor]) -> None:
    _, truth, _, weights = (x.values for x in as_xarray(batch))
    each = gaussian_crps(*(batch[name].double() for name in ("forecast", "spread", "truth"))).numpy()
    w = np.isfinite(truth) * weights
    expected = (w * np.nan_to_num(each)).sum((0, 3, 4)) / w.sum((0, 3, 4))
    np.testing.assert_allclose(scored(batch).compute()["crps"].numpy(), expected, rtol=1e-12)


def test_the_crps_of_a_sure_forecast_is_its_mae(batch: dict[str, Tensor]) -> None:
    metric = ForecastScores(3, 2, AREA, spread=True)
    metric.update(**{name: values for name, values in batch.items() if name != "spread"})
    found = metric.compute()
    np.testing.assert_allclose(found["crps"].numpy(), found["mae"].numpy(), rtol=1e-12)


def test_a_spread_gets_a_finite_gradient_from_the_crps() -> None:
    spread = torch.tensor([1e-3, 1.0, 50.0], requires_grad=True)
    gaussian_crps(torch.zeros(3), spread, torch.tensor([5.0, 0.0, 1.0])).sum().backward()
    assert spread.grad is not None
    assert torch.isfinite(spread.grad).all()


@pytest.mark.parametrize("sizes", [(1, 6), (3, 3, 1), (1,) * 7])
def test_uneven_batches_give_the_same_scores(batch: dict[str, Tensor], sizes: tuple[int, ...]) -> None:
    whole, parts = scored(batch).compute(), scored(batch, sizes).compute()
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name].numpy(), values.numpy(), rtol=1e-12)


def test_two_halves_merged_by_addition_equal_the_whole(batch: dict[str, Tensor]) -> None:
    first = scored({name: values[:3] for name, values in batch.items()}, (3,))
    second = scored({name: values[3:] for name, values in batch.items()}, (4,))
    for name in first.metric_state:
        setattr(first, name, getattr(first, name) + getattr(second, name))
    for name, values in scored(batch).compute().items():
        np.testing.assert_allclose(first.compute()[name].numpy(), values.numpy(), rtol=1e-9)


def test_nan_outside_the_mask_and_on_missing_truth_never_enters(batch: dict[str, Tensor]) -> None:
    expected = scored(batch).compute()
    out = ~batch["mask"] | batch["truth"].isnan()
    broken = {name: values.clone() for name, values in batch.items()}
    for name in ("forecast", "truth", "spread", "climatology"):
        broken[name][out] = torch.nan
    for name, values in scored(broken).compute().items():
        assert torch.equal(values, expected[name])


def test_a_forecast_that_is_nan_where_truth_exists_is_not_hidden(batch: dict[str, Tensor]) -> None:
    batch["mask"][0, 0, 0, 0, 0], batch["truth"][0, 0, 0, 0, 0] = True, 280.0
    batch["forecast"][0, 0, 0, 0, 0] = torch.nan
    rmse = scored(batch).compute()["rmse"]
    assert rmse.isnan().sum() == 1
    assert rmse[0, 0].isnan()


def test_samples_are_the_windows_in_which_a_value_counted(batch: dict[str, Tensor]) -> None:
    samples = scored(batch).compute()["samples"]
    assert samples[1].tolist() == [6.0, 6.0]
    assert samples[0].tolist() == [7.0, 7.0]


def test_a_sample_masked_out_as_padding_changes_nothing(batch: dict[str, Tensor]) -> None:
    padded = {name: torch.cat([values, values[-1:]]) for name, values in batch.items()}
    padded["mask"][-1] = False
    for name, values in scored(padded, (8,)).compute().items():
        np.testing.assert_allclose(values.numpy(), scored(batch).compute()[name].numpy(), rtol=1e-12)


def test_stations_are_scored_as_channels_of_weight_one() -> None:
    noise = torch.Generator().manual_seed(5)
    forecast, truth = torch.randn(9, 3, 2, generator=noise), torch.randn(9, 3, 2, generator=noise)
    truth[4, :, 1] = torch.nan
    metric = ForecastScores(3, 2)
    metric.update(forecast, truth, torch.zeros_like(truth))
    expected = np.sqrt(np.nanmean((forecast.double() - truth.double()).numpy() ** 2, axis=0))
    np.testing.assert_allclose(metric.compute()["rmse"].numpy(), expected, rtol=1e-12)
    assert metric.compute()["samples"].tolist() == [[9.0, 8.0]] * 3


def test_scores_where_nothing_counted_are_nan(batch: dict[str, Tensor]) -> None:
    batch["mask"][:, 0] = False
    found = scored(batch).compute()
    assert found["rmse"][0].isnan().all()
    assert found["rmse"][1:].isfinite().all()


def test_a_cast_of_the_module_does_not_round_the_sums(batch: dict[str, Tensor]) -> None:
    metric = torch.nn.ModuleList([ForecastScores(3, 2, AREA)]).half()[0]
    metric.update(*(batch[name] for name in ("forecast", "truth", "climatology", "mask")))
    assert torch.equal(metric.compute()["rmse"], scored(batch).compute()["rmse"])


def test_a_wrong_shape_and_an_unannounced_spread_are_refused(batch: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"\(batch, 4, 2, 4, 5\)"):
        ForecastScores(4, 2, AREA).update(batch["forecast"], batch["truth"], batch["climatology"])
    with pytest.raises(ValueError, match="spread=True"):
        ForecastScores(3, 2, AREA).update(**batch)


def test_error_by_place_is_the_rmse_of_each_cell_over_time(batch: dict[str, Tensor]) -> None:
    forecast, truth, _, _ = as_xarray(batch)
    metric = ErrorByPlace((0, 2), SHAPE[2:])
    for piece in (slice(0, 2), slice(2, 7)):
        metric.update(batch["forecast"][piece], batch["truth"][piece], batch["mask"][piece])
    expected = scores.continuous.rmse(forecast, truth, reduce_dims="batch").values[[0, 2]]
    np.testing.assert_allclose(metric.compute().numpy(), expected, rtol=1e-12)


def test_a_table_has_both_axes_for_one_lead_and_one_channel_too() -> None:
    scores = ForecastScores(1, 1, torch.ones(2, 3))
    maps = torch.zeros(4, 1, 1, 2, 3)
    scores.update(maps + 1, maps, maps)
    assert {name: tuple(one.shape) for name, one in scores.table().items()}["rmse"] == (1, 1)
    assert scores.table()["rmse"][0, 0] == 1
