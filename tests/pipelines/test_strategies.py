"""Ranks that share the work: settings that do not go together are refused, parts of weights equal copies."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.strategies import DDPStrategy

from datamodules.errors import InputError
from lightning_modules.recurrent.standard import StandardFeatures
from pipelines.rundir import RunDir
from pipelines.settings import TrainerOptions
from pipelines.sharding import Sharded
from pipelines.strategies import Replicated, build_strategy, kept_buffers
from tests.pipelines.captions import small_clips
from tests.pipelines.small_files import start, steps_of, words, write_maps

PATIENCE = 280.0
RANKS = ("trainer=ddp_cpu", "trainer.devices=2", "trainer.precision=32", "trainer.threads=1", "tracking=off")
LARGE = ("model.encoder.channels=128", "data.batch_size=16", "optimizer.gradient_clip=0.1")
"""One part of the encoder is large enough to be gathered by itself; every gradient is clipped."""


def options(**found: Any) -> TrainerOptions:
    """Settings of a trainer on the processor."""
    return TrainerOptions(accelerator="cpu", **found)


def test_one_process_alone_needs_no_strategy() -> None:
    assert build_strategy(options()) == "auto"
    assert build_strategy(options(devices="auto")) == "auto"


@pytest.mark.parametrize("found", [{"strategy": "ddp"}, {"devices": 2}, {"nodes": 2}])
def test_several_processes_get_our_ddp_with_the_backend_of_the_settings(found: dict[str, Any]) -> None:
    strategy = build_strategy(options(**found, backend="gloo"))
    assert isinstance(strategy, Replicated)
    assert strategy.process_group_backend == "gloo"


def test_fsdp_starts_its_ranks_as_ddp_does() -> None:
    strategy = build_strategy(options(strategy="fsdp", backend="gloo"))
    assert isinstance(strategy, Sharded)
    assert isinstance(strategy, DDPStrategy)
    assert Sharded._configure_launcher is Replicated._configure_launcher


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"precision": "16"}, "trainer.precision=16"),
        ({"strategy": "fsdp", "compile": True}, "trainer.compile=true"),
    ],
)
def test_what_cannot_work_is_refused_with_the_way_out(found: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=rf"{named} with .*choose trainer\."):
        build_strategy(options(**found))


def test_fsdp_in_half_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = TrainerOptions(accelerator="auto", strategy="fsdp", precision="16")
    with pytest.raises(InputError, match=r"trainer.precision=16 with trainer.strategy=fsdp"):
        build_strategy(asked)


def test_only_buffers_that_training_changes_are_sent_to_other_ranks() -> None:
    module = torch.nn.Module()
    module.register_buffer("made_of_the_data", torch.zeros(3), persistent=False)
    module.add_module("statistics", StandardFeatures(2))
    assert kept_buffers(module) == {f"statistics.{name}" for name in ("count", "mean", "variance")}


@dataclass(frozen=True)
class Pair:
    """The runs of one call, on whole copies and on parts of the weights."""

    call: tuple[str, ...]
    whole: RunDir
    parts: RunDir


def trained(*call: str) -> str:
    """What a training in a process of its own says; it has to succeed."""
    with start("train", *call) as process:
        try:
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A forecaster trained on 2 gloo ranks, the last bound in mid-epoch, accumulating 2 batches a step."""
    folder = tmp_path_factory.mktemp("pair")
    write_maps(folder / "air.nc", steps_of(300))
    call = (
        *words(folder, *RANKS),
        *LARGE,
        "trainer.accumulate=2",
        "trainer.max_epochs=10",
        "trainer.max_steps=5",
    )
    trained(*call, "run.name=whole")
    trained(*call, "run.name=parts", "trainer.strategy=fsdp")
    runs = folder / "runs" / "tiny"
    return Pair(call, RunDir(runs / "whole"), RunDir(runs / "parts"))


def difference(one: Any, other: Any) -> float:
    """The largest difference of any tensor in two parts of checkpoints of one form."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return max((difference(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list):
        return max((difference(*both) for both in zip(one, other, strict=True)), default=0.0)
    if not isinstance(one, torch.Tensor):
        assert one == other
        return 0.0
    assert (type(one), one.shape, one.dtype) == (type(other), other.shape, other.dtype)
    return float((one.double() - other.double()).abs().max()) if one.numel() else 0.0


def checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds; plain tensors and values only."""
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def largest_difference(one: RunDir, other: RunDir) -> float:
    """Over weights, averaged weights, moments, in the last checkpoints and in the best."""
    found = 0.0
    for path, beside in ((one.last, other.last), (one.best, other.best)):
        first, second = checkpoint(path), checkpoint(beside)
        assert first.keys() == second.keys()
        for key in ("state_dict", "optimizer_states", "current_model_state", "averaging_state"):
            assert (key in first) == (key in second)
            found = max(found, difference(first.get(key, {}), second.get(key, {})))
    return found


@pytest.mark.slow
def test_parts_of_the_weights_train_as_whole_copies_do(pair: Pair) -> None:
    """Gradients accumulated, averaged and clipped, the moving average, one whole file of the same form."""
    assert largest_difference(pair.whole, pair.parts) < 1e-5
    ours, theirs = (json.loads(run.metrics.read_text()) for run in (pair.parts, pair.whole))
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
def test_one_process_goes_on_from_what_two_with_parts_have_saved(pair: Pair) -> None:
    """And two with parts from what it saved; the run is judged by each."""
    alone = (
        "run.name=parts",
        "trainer.devices=1",
        "trainer.strategy=auto",
        "trainer.accumulate=4",
        "trainer.max_steps=8",
    )
    pair.parts.metrics.unlink()
    assert "going on from last.ckpt" in trained(*pair.call, *alone)
    assert checkpoint(pair.parts.last)["global_step"] == 8
    pair.parts.metrics.unlink()
    again = trained(*pair.call, "run.name=parts", "trainer.strategy=fsdp", "trainer.max_steps=10")
    assert "going on from last.ckpt" in again
    assert checkpoint(pair.parts.last)["global_step"] == 10
    assert json.loads(pair.parts.metrics.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ("model.encoder.channels=128", "trainer.precision=bf16"),
        ("model.encoder.channels=128", "task=self_critical"),
        ("model.encoder.kind=torchvision", "data.frames.size=64", "optimizer.gradient_clip=null"),
    ],
    ids=["bf16", "self_critical", "batch norm"],
)
def test_captions_on_parts_of_the_weights_train_as_on_whole_copies(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    """Sentences are written in the middle of a step, in validation, and by a network with running means."""
    clips = small_clips.make_clips(tmp_path / "clips")
    for name in ("ddp", "fsdp"):
        placed = (f"run.name={name}", f"trainer.strategy={name}", "trainer.max_epochs=1")
        trained(*small_clips.words(clips, tmp_path, *RANKS), *placed, *more)
    runs = tmp_path / "runs" / "tiny"
    assert largest_difference(RunDir(runs / "ddp"), RunDir(runs / "fsdp")) < 1e-6
