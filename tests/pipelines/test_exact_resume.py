"""A run that is stopped at any step or in any validation equals an undisturbed one bit for bit."""

import json
import re
import signal
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules.pace import Pace
from pipelines.rundir import RunDir
from tests.pipelines.captions import small_clips
from tests.pipelines.small_files import answer, result, steps_of, words, write_maps

STEPS = -(-201 // 16)
"""Of an epoch, of forecasts."""
Stop = tuple[int, str]
"""After how many steps, and in which stage ("train" or "validate"), a signal comes."""
NOT_WEIGHED = ("elapsed", "path", "time")
"""What a checkpoint holds of its launch, not of its training."""


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Stop]]:
    """A list of stops: SIGTERM comes to this process at the first of them, which is taken off."""
    stops: list[Stop] = []

    def signalled(hook: str) -> None:
        usual = getattr(Pace, hook)

        def watched(self: Pace, trainer: pl.Trainer, *rest: Any) -> None:
            here = (trainer.global_step, trainer.state.stage.value if trainer.state.stage else "")
            if stops and here == stops[0] and trainer.state.fn == "fit":
                stops.pop(0)
                signal.raise_signal(signal.SIGTERM)
            usual(self, trainer, *rest)

        monkeypatch.setattr(Pace, hook, watched)

    signalled("on_train_batch_start")
    signalled("on_validation_batch_start")
    before = {number: signal.getsignal(number) for number in (2, 10, 15)}
    yield stops
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a forecaster with everything on that has a state."""
    folder = tmp_path_factory.mktemp("maps")
    write_maps(folder / "air.nc", steps_of(300))
    state = ("optimizer.ema=0.9", "trainer.patience=3", "task.scheduled_sampling.end=0.5", "tracking=off")
    return words(folder, "data.batch_size=16", "task.curriculum.start=1", "task.curriculum.epochs=2", *state)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a captioner with everything on that has a state."""
    folder = tmp_path_factory.mktemp("clips")
    made = small_clips.make_clips(folder / "made")
    state = ("optimizer.ema=0.9", "task.scheduled_sampling.end=0.5", "tracking=off")
    return small_clips.words(made, folder, *state)


def test_a_forecaster_that_was_stopped_anywhere_equals_an_undisturbed_one(
    maps: list[str], signals: list[Stop]
) -> None:
    stops = [(3, "train"), (STEPS - 2, "train"), (STEPS - 1, "train"), (STEPS, "validate"), (STEPS, "train"),
             (STEPS + 4, "train"), (2 * STEPS, "validate")]  # fmt: skip
    assert_exact(maps, signals, stops)


def test_a_captioner_that_was_stopped_anywhere_equals_an_undisturbed_one(
    clips: list[str], signals: list[Stop]
) -> None:
    assert_exact(clips, signals, [(2, "train"), (4, "train"), (5, "validate"), (8, "train")])


def test_places_do_not_depend_on_data_workers(maps: list[str], signals: list[Stop]) -> None:
    stops = [(5, "train"), (STEPS, "validate"), (STEPS + 2, "train")]
    assert_exact([*maps, "data.workers=2"], signals, stops)


def test_gradients_that_are_summed_over_batches_are_never_cut(maps: list[str], signals: list[Stop]) -> None:
    assert_exact([*maps, "trainer.accumulate=3"], signals, [(2, "train"), (4, "train"), (5, "validate")])


def test_a_run_that_is_killed_at_its_bound_within_an_epoch_is_judged_as_it_would_have_been(
    maps: list[str], signals: list[Stop]
) -> None:
    bounded = [*maps, f"trainer.max_steps={STEPS + 4}"]
    assert_exact(bounded, signals, [(STEPS + 3, "train"), (STEPS + 4, "validate")])


def test_a_finished_run_goes_on_when_its_bound_is_raised(maps: list[str]) -> None:
    constant = [*maps, "optimizer.schedule=constant", "task.scheduled_sampling.end=1.0"]
    whole = result("train", *constant, "run.name=whole", "trainer.max_steps=20")
    half = result("train", *constant, "run.name=half", "trainer.max_steps=9")
    run = RunDir(Path(half["run"]))
    again = result("train", f"run={run.path}", "trainer.max_steps=20")
    assert again["metrics"] == whole["metrics"]
    assert differences(kept(run.last), kept(RunDir(Path(whole["run"])).last)) == []
    assert json.loads((run.path / "earlier_metrics.json").read_text()) == half["metrics"]


def test_a_changed_rate_is_told_and_taken(maps: list[str], signals: list[Stop]) -> None:
    call = [*maps, "run.name=rate", "trainer.max_epochs=1"]
    signals.append((3, "train"))
    assert answer("train", *call)[0] == 143
    run = Path(maps[[word.startswith("paths.runs=") for word in maps].index(True)][11:]) / "tiny" / "rate"
    status, found, said = answer("train", f"run={run}", "optimizer.learning_rate=0.0042")
    assert status == 0, said
    assert found["run"] == str(run)
    assert re.search(r"optimizer\.learning_rate: [\d.e-]+ there, 0\.0042 now", said)
    assert RunDir(run).read_config()["optimizer"]["learning_rate"] == 0.0042


def assert_exact(call: list[str], signals: list[Stop], stops: Sequence[Stop]) -> None:
    """A victim of `stops` ends with the weights, states, curves and figures of an undisturbed run."""
    told = "-".join(f"{step}{stage[0]}" for step, stage in stops)
    name = f"{len(call)}-{told}"
    whole = result("train", *call, f"run.name=whole-{name}")
    signals.extend(stops)
    for _ in stops:
        status, _, said = answer("train", *call, f"run.name=victim-{name}")
        assert status == 143, said
    assert not signals, "a stop never came"
    again = result("train", *call, f"run.name=victim-{name}")
    one, other = RunDir(Path(again["run"])), RunDir(Path(whole["run"]))
    assert again["metrics"] == whole["metrics"]
    assert differences(kept(one.last), kept(other.last)) == []
    assert differences(kept(one.best)["state_dict"], kept(other.best)["state_dict"]) == []
    assert curves(one) == curves(other)


def kept(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint holds."""
    found: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    return found


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested values differ, tensors bit for bit."""
    if any(word in path for word in NOT_WEIGHED):
        return []
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [path]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return list(chain(*(differences(one[key], other[key], f"{path}/{key}") for key in one)))
    if isinstance(one, list | tuple) and len(one) == len(other):
        both = enumerate(zip(one, other, strict=True))
        return list(chain(*(differences(a, b, f"{path}/{n}") for n, (a, b) in both)))
    return [] if one == other else [f"{path}: {one} {other}"]


def curves(run: RunDir) -> list[tuple[str, int, float]]:
    """Every figure of training and validation with its step, in order."""
    lines = (run.tracking / "journal.jsonl").read_text().splitlines()
    return [
        (name, record["step"], value)
        for record in map(json.loads, lines)
        if record["kind"] == "metrics"
        for name, value in record["metrics"].items()
        if name.startswith(("train/", "validation/"))
    ]
