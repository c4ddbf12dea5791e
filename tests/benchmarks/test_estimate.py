"""The estimate of a step: what is counted is right, and grows with the size as it is drawn out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.estimate import Cost, cost, of_forecasts
from pipelines.compose import compose

ROOT = Path(__file__).parents[2]
SMALL = (
    "data=netcdf",
    "data.path=.",
    "model.encoder.channels=8",
    "model.recurrent.hidden=8",
    "task.horizon=2",
)


def step_of(layer: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    """A step whose loss is the sum of what the layer makes of the inputs."""
    return lambda: layer(inputs).float().sum()


def test_a_linear_layer_costs_two_operations_a_weight_and_row_forwards_and_as_many_for_its_gradient() -> None:
    found = cost(step_of(nn.Linear(32, 16), torch.randn(10, 32)))
    assert found.flops.sum() == 2 * (2 * 10 * 32 * 16)


def test_bytes_are_those_that_an_operation_reads_and_writes() -> None:
    found = cost(step_of(nn.ReLU(), torch.randn(1000, requires_grad=True)))
    assert found.bytes[found.names.index("relu")] == 2 * 4 * 1000


def test_what_is_held_is_let_go_of() -> None:
    """A chain of steps holds as much as its largest link, not their sum."""

    def chain() -> Tensor:
        value = torch.ones(250_000, requires_grad=True)
        for _ in range(10):
            value = (value.detach() + 1).requires_grad_()
        return value.sum()

    assert 2e6 <= cost(chain).peak < 4.1e6


def direct(words: tuple[str, ...], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> Cost:
    """The cost of a step that was really run on a grid of `size`."""
    with monkeypatch.context() as patch:
        patch.setattr("benchmarks.estimate.SIZES", (size, (size[0], size[1] + 16)))
        return of_forecasts(compose(words).settings, size, 2)[1]


@pytest.mark.parametrize("model", ["convgru", "convlstm"])
def test_a_step_drawn_out_is_the_step_that_is_run(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*SMALL, f"model={model}", "data.batch_size=1")
    drawn, run = of_forecasts(compose(words).settings, (64, 128), 2)[1], direct(words, (64, 128), monkeypatch)
    assert drawn.names == run.names
    assert drawn.flops.sum() == pytest.approx(run.flops.sum(), rel=0.01)
    assert drawn.bytes.sum() == pytest.approx(run.bytes.sum(), rel=0.02)
    assert drawn.peak == pytest.approx(run.peak, rel=0.05)


def test_the_estimate_of_a_captioner_is_told() -> None:
    words = ("data=clips", "data.path=.", "data.frames.size=32", "data.frames.count=4", "data.batch_size=8")
    called = subprocess.run(
        [sys.executable, "-m", "benchmarks.estimate", *words, "--card", "h100"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "a batch of 8" in called.stdout
    assert "samples/s" in called.stdout
    assert "of 80 GB" in called.stdout
