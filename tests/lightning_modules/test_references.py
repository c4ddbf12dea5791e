"""The references say what their names promise, on maps and on series, and stay finite over missing values."""

import pytest
import torch
from torch import Tensor

from lightning_modules.references import (
    Climatology,
    DampedPersistence,
    Persistence,
    Reference,
    climatology_of,
    last_valid,
)

HISTORY, HORIZON = 4, 3
FOLD = torch.full((2,), -1)


@pytest.fixture(params=[(2, 3, 5), (4,)], ids=["maps", "series"])
def windows(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    """History (2, 4, ...) and climatology (2, 7, ...), nothing missing."""
    noise = torch.Generator().manual_seed(0)
    history = 280 + torch.randn(2, HISTORY, *request.param, generator=noise)
    return history, 280 + torch.randn(2, HISTORY + HORIZON, *request.param, generator=noise)


def damped(history: Tensor, factors: tuple[float, ...] = (0.9, 0.5, 0.2)) -> DampedPersistence:
    """Damped persistence with the same factor in every cell."""
    return DampedPersistence(torch.stack([torch.full(history.shape[2:], value) for value in factors]))


def test_persistence_repeats_the_last_frame(windows: tuple[Tensor, Tensor]) -> None:
    forecast = Persistence()(*windows, FOLD)
    assert forecast.shape[:2] == (2, HORIZON)
    assert torch.equal(forecast, windows[0][:, -1:].expand_as(forecast))


def test_persistence_takes_the_last_valid_value_and_the_climatology_where_there_is_none(
    windows: tuple[Tensor, Tensor],
) -> None:
    history, climatology = windows
    history[0, -2:] = torch.nan
    history[1] = torch.nan
    forecast = Persistence()(history, climatology, FOLD)
    assert torch.equal(forecast[0, 2], history[0, 1])
    assert torch.equal(forecast[1], climatology[1, HISTORY:])


def test_damped_persistence_adds_the_damped_anomaly(windows: tuple[Tensor, Tensor]) -> None:
    history, climatology = windows
    anomaly = history[:, -1] - climatology[:, HISTORY - 1]
    forecast = damped(history)(history, climatology, FOLD)
    for lead, factor in enumerate((0.9, 0.5, 0.2)):
        torch.testing.assert_close(forecast[:, lead], climatology[:, HISTORY + lead] + factor * anomaly)


def test_an_older_anomaly_is_damped_as_the_longer_lead_that_it_is(windows: tuple[Tensor, Tensor]) -> None:
    history, climatology = windows
    history[:, -1] = torch.nan
    anomaly = history[:, -2] - climatology[:, HISTORY - 2]
    forecast = damped(history)(history, climatology, FOLD)
    for lead, factor in enumerate((0.5, 0.2, 0.2)):
        torch.testing.assert_close(forecast[:, lead], climatology[:, HISTORY + lead] + factor * anomaly)


@pytest.mark.parametrize("kind", ["climatology", "persistence", "damped_persistence"])
def test_references_are_finite_wherever_the_climatology_is(kind: str, windows: tuple[Tensor, Tensor]) -> None:
    history, climatology = windows
    references: dict[str, Reference] = {r.name: r for r in (Climatology(), Persistence(), damped(history))}
    assert torch.isfinite(references[kind](torch.full_like(history, torch.nan), climatology, FOLD)).all()


def test_damping_that_was_never_fitted_counts_as_zero(windows: tuple[Tensor, Tensor]) -> None:
    history, climatology = windows
    forecast = damped(history, (torch.nan,) * 3)(history, climatology, FOLD)
    assert torch.equal(forecast, climatology[:, HISTORY:])


def test_fitted_arrays_move_with_the_module_but_stay_out_of_checkpoints() -> None:
    reference = DampedPersistence(torch.ones(3, 1, 2, 2))
    assert not reference.state_dict()
    assert reference.to("meta").damping.device.type == "meta"


def test_last_valid_tells_value_and_age() -> None:
    history = torch.tensor([[[1.0, 2.0, torch.nan], [torch.nan, 3.0, torch.nan]]])
    value, age = last_valid(history)
    assert value[0, :2].tolist() == [1.0, 3.0]
    assert value[0, 2].isnan()
    assert age.tolist() == [[1, 0, 2]]


def test_climatology_is_exact_under_autocast_and_nan_only_where_never_seen() -> None:
    basis = torch.tensor([[[1.0, 0.25], [1.0, -0.5]]])
    coefficients = torch.stack([torch.full((1, 2, 2), 101325.0), torch.full((1, 2, 2), 8.0)])
    coefficients[:, 0, 0, 0] = torch.nan
    with torch.autocast("cpu", dtype=torch.bfloat16):
        climatology = climatology_of(basis, coefficients)
    assert climatology.shape == (1, 2, 1, 2, 2)
    assert climatology.dtype == torch.float32
    assert climatology[0, :, 0, 1, 1].tolist() == [101327.0, 101321.0]
    assert climatology.isnan().sum() == 2
    assert climatology_of(basis, torch.ones(2, 5)).shape == (1, 2, 5)
