"""A call that was killed or stopped goes on when it is given again, and ends as if undisturbed."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.rundir import RunDir
from tests.pipelines.small_files import losses, mlflow_runs, result, start, steps_of, words, write_maps

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

EPOCHS = 10
PATIENCE = 120.0


@dataclass(frozen=True)
class Launch:
    """Exit status, seconds from the signal to the newest checkpoint, messages, and MLflow's status."""

    status: int
    seconds: float
    said: str
    tracked: str


@dataclass(frozen=True)
class Story:
    """Launches of one command, stopped by a signal but for the last, and their run."""

    folder: Path
    run: RunDir
    launches: dict[str, Launch]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """SIGTERM after the first checkpoint, Ctrl-C and kill -9 each after a later one; then the end."""
    folder = tmp_path_factory.mktemp("story")
    write_maps(folder / "air.nc", steps_of(300))
    call = words(folder, "data.batch_size=16", f"trainer.max_epochs={EPOCHS}", "tracking.timeout=60")
    run = RunDir(folder / "runs" / "tiny" / "a")
    launches: dict[str, Launch] = {}
    for name, number in (("SIGTERM", 15), ("SIGINT", 2), ("SIGKILL", 9), ("end", 0)):
        before = modified(run.last)
        with start("train", *call) as process:
            try:
                if number:
                    wait_for(lambda before=before: modified(run.last) > before, process)  # type: ignore[misc]
                    process.send_signal(number)
                begin = time.time()
                _, said = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        seconds = modified(run.last) / 1e9 - begin
        tracked = mlflow_runs(folder)[1][0].info.status
        launches[name] = Launch(process.returncode, seconds, said, tracked)
    return Story(folder, run, launches)


def modified(path: Path) -> int:
    """When a file was written, 0 while it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return once `what` holds; fail when the process ends before, or patience does."""
    until = time.monotonic() + PATIENCE
    while not what():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AssertionError(f"it never came:\n{process.communicate()[1]}")
        time.sleep(0.01)


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_training_soon_and_in_order(story: Story, name: str, status: int) -> None:
    launch = story.launches[name]
    assert launch.status == status, launch.said
    assert launch.seconds < 10, "the checkpoint came late"
    assert launch.tracked == "KILLED"
    assert "Traceback" not in launch.said


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL", "end"])
def test_the_same_command_goes_on_from_the_last_checkpoint(story: Story, name: str) -> None:
    assert "going on from last.ckpt" in story.launches[name].said


def test_the_run_ends_well_at_the_right_step_as_one_mlflow_run(story: Story) -> None:
    assert story.launches["SIGKILL"].status == -signal.SIGKILL
    assert story.launches["end"].status == 0, story.launches["end"].said
    assert torch.load(story.run.last, weights_only=True)["global_step"] == EPOCHS * -(-201 // 16)
    _, runs = mlflow_runs(story.folder)
    assert [run.info.status for run in runs] == ["FINISHED"]
    assert len(json.loads(story.run.provenance.read_text())["earlier"]) == 3


def test_a_run_that_was_stopped_and_killed_equals_an_undisturbed_one(story: Story) -> None:
    call = words(story.folder, "data.batch_size=16", f"trainer.max_epochs={EPOCHS}", "run.name=undisturbed")
    whole = result("train", *call, "tracking=off")
    assert json.loads(story.run.metrics.read_text()) == pytest.approx(whole["metrics"], rel=1e-6)
    assert losses(story.run)[-1] == pytest.approx(losses(RunDir(Path(whole["run"])))[-1], rel=1e-6)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file that takes a while to pack."""
    write_maps(tmp_path / "air.nc", steps_of(1500), shape=(40, 60))
    yield tmp_path
    (tmp_path / "air.nc").unlink()


def test_a_prepare_that_was_killed_goes_on_and_packs_the_same(large: Path) -> None:
    call = words(large, "data.name=large")
    stores = large / "stores"
    with start("prepare", *call) as process:
        wait_for(lambda: any(stores.glob("*.part/values.npy")), process)
        process.kill()
        process.communicate()
    assert not list(stores.glob("*/store.json"))
    again = result("prepare", *call)
    whole = result("prepare", *call, f"paths.stores={large / 'undisturbed'}")
    assert again["digest"] == whole["digest"]
    assert not list(stores.glob("*.part"))
    for path in Path(whole["store"]).glob("*.npy"):
        np.testing.assert_array_equal(np.load(Path(again["store"]) / path.name), np.load(path))
