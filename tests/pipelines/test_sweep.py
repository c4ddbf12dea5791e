"""A sweep is stopped and goes on, its trials are children of one MLflow run, hopeless ones end soon."""

import csv
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.sweeps.course import Course
from pipelines.sweeps.options import Ranking
from tests.pipelines.small_files import answer, mlflow_runs, start, steps_of, words, write_maps

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

PATIENCE = 240.0
LOSS = Ranking("validation/loss", "min", "validation/loss", "min")


@dataclass(frozen=True)
class Launch:
    """How a launch of a sweep ended: exit status, result, messages, trials, MLflow's status, who was left."""

    status: int
    result: Any
    said: str
    trials: list[dict[str, Any]]
    tracked: str
    orphans: list[int]


def sweep_words(folder: Path, *more: str) -> list[str]:
    return [*words(folder, "trainer.max_epochs=20", "run.name=s"), *more]


def trials_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "runs" / "tiny" / "s.sweep" / "trials.json"
    return list(json.loads(path.read_text())) if path.exists() else []


def epochs_of(folder: Path, trial: str) -> int:
    """How many validations a trial has told so far."""
    course = Course(folder / "runs" / "tiny" / trial, LOSS)
    course.update()
    return len(course.points)


def launch(folder: Path, call: list[str], number: int = 0, when: Callable[[], bool] = lambda: True) -> Launch:
    """A sweep in a process of its own, which gets signal `number` (0: none) when `when` holds."""
    family: list[psutil.Process] = []
    with start("sweep", *call, "--json") as process:
        try:
            until = time.monotonic() + PATIENCE
            while number and not when():
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < until, "it never came"
                time.sleep(0.02)
            if number:
                family = psutil.Process(process.pid).children(recursive=True)
                process.send_signal(number)
            out, said = process.communicate(timeout=PATIENCE)
            _, left = psutil.wait_procs(family, timeout=20)
        finally:
            process.kill()
            for one in family:
                if one.is_running():
                    one.kill()
    parents = [run for run in mlflow_runs(folder)[1] if run.info.run_name == "s.sweep"]
    return Launch(
        process.returncode,
        json.loads(out) if out.strip() else None,
        said,
        trials_of(folder),
        parents[0].info.status,
        [one.pid for one in left],
    )


@dataclass(frozen=True)
class Story:
    """A grid of two by two, half of it hopeless: stopped in its second trial, then left alone."""

    folder: Path
    call: list[str]
    launches: dict[str, Launch]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("sweep")
    write_maps(folder / "air.nc", steps_of(300))
    space = ("optimizer.learning_rate=1e-2,10", "model.recurrent.hidden=4,8")
    prune = ("sweep.prune=true", "sweep.warmup_epochs=1", "sweep.warmup_trials=2")
    call = sweep_words(folder, *space, *prune)
    launches = {
        "SIGTERM": launch(folder, call, signal.SIGTERM, lambda: epochs_of(folder, "s-001") > 1),
        "end": launch(folder, call),
    }
    return Story(folder, call, launches)


def test_a_sweep_that_is_told_to_stop_stops_its_trials_in_order(story: Story) -> None:
    stopped = story.launches["SIGTERM"]
    assert stopped.status == 143, stopped.said
    assert stopped.orphans == []
    assert [trial["state"] for trial in stopped.trials] == ["finished", "stopped"]
    assert (story.folder / "runs" / "tiny" / "s-001" / "checkpoints" / "last.ckpt").exists()
    assert stopped.tracked == "KILLED"
    assert "Traceback" not in stopped.said


def test_the_same_command_finishes_what_is_left(story: Story) -> None:
    end = story.launches["end"]
    assert end.status == 0, end.said
    assert [trial["launches"] for trial in end.trials] == [1, 2, 1, 1]
    assert end.trials[0] == story.launches["SIGTERM"].trials[0]
    assert end.trials[1]["epochs"] == 20
    output = story.folder / "runs" / "tiny" / "s.sweep" / "output" / "s-001.txt"
    assert "going on from last.ckpt" in output.read_text(encoding="utf-8")


def test_hopeless_trials_are_stopped_and_marked(story: Story) -> None:
    trials = story.launches["end"].trials
    assert [trial["state"] for trial in trials] == ["finished", "finished", "pruned", "pruned"]
    assert "the median of 2 other trials was" in trials[2]["reason"]
    assert trials[2]["epochs"] == 2
    runs = {run.info.run_name: run for run in mlflow_runs(story.folder)[1]}
    assert [runs[f"s-00{number}"].info.status for number in range(4)] == ["FINISHED"] * 2 + ["KILLED"] * 2
    tags = [runs[f"s-00{number}"].data.tags.get("skyreel.trial") for number in range(4)]
    assert tags == [None, None, "pruned", "pruned"]


def test_trials_are_ranked_by_their_validation_figure_and_the_best_is_named(story: Story) -> None:
    result = story.launches["end"].result
    figures = [trial["figure"] for trial in result["trials"]]
    assert figures == sorted(figures[:2]) + sorted(figures[2:])
    assert result["best"] == result["trials"][0]
    assert (Path(result["best"]["run"]) / "checkpoints" / "best.ckpt").exists()
    with (Path(result["sweep"]) / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation/loss"]) for row in rows] == figures
    assert {(row["model.recurrent.hidden"], row["optimizer.learning_rate"]) for row in rows} == {
        (hidden, rate) for hidden in ("4", "8") for rate in ("0.01", "10")
    }


def test_every_trial_is_one_mlflow_run_and_a_child_of_the_sweeps(story: Story) -> None:
    _, runs = mlflow_runs(story.folder)
    parents = {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs}
    ids = {run.info.run_name: run.info.run_id for run in runs}
    assert sorted(parents) == ["s-000", "s-001", "s-002", "s-003", "s.sweep"]
    assert len(runs) == 5
    assert {parents[f"s-00{number}"] for number in range(4)} == {ids["s.sweep"]}
    assert parents["s.sweep"] is None
    assert next(run for run in runs if run.info.run_name == "s.sweep").info.status == "FINISHED"
    assert story.launches["end"].result["mlflow_run_id"] == ids["s.sweep"]


def test_a_finished_sweep_is_shown_and_another_question_is_refused(story: Story) -> None:
    status, again, _ = answer("sweep", *story.call)
    assert status == 0
    assert again == story.launches["end"].result
    status, _, said = answer("sweep", *story.call, "model.recurrent.hidden=4,16", "seed=4")
    assert status == 2
    assert "space.model.recurrent.hidden: '4,8' there, '4,16' now" in said
    assert "settings.seed: '3' there, '4' now" in said


@pytest.mark.slow
def test_a_sweep_that_is_killed_leaves_no_trial_behind_and_goes_on(tmp_path: Path) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300))
    call = sweep_words(tmp_path, "seed=1,2")
    killed = launch(tmp_path, call, signal.SIGKILL, lambda: epochs_of(tmp_path, "s-000") > 1)
    assert killed.status == -signal.SIGKILL
    assert killed.orphans == []
    end = launch(tmp_path, call)
    assert end.status == 0, end.said
    assert [(trial["state"], trial["launches"]) for trial in end.trials] == [("finished", 2), ("finished", 1)]


@pytest.mark.slow
def test_a_trial_may_have_ranks_of_its_own_and_two_may_run_at_once(tmp_path: Path) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300))
    call = sweep_words(tmp_path, "trainer=ddp_cpu", "trainer.precision=32", "trainer.threads=1")
    found = launch(tmp_path, [*call, "trainer.max_epochs=2", "seed=1,2", "sweep.parallel=2"])
    assert found.status == 0, found.said
    assert [trial["state"] for trial in found.trials] == ["finished"] * 2


@pytest.mark.slow
def test_a_failed_trial_is_told_and_tried_again_by_the_next_call(tmp_path: Path) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300))
    call = sweep_words(tmp_path, "task.horizon=250,2", "trainer.max_epochs=2", "tracking=off")
    with start("sweep", *call, "sweep.fail=stop") as process:
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1
    assert "s-000 failed" in said
    assert [trial["state"] for trial in trials_of(tmp_path)] == ["failed"]
    with start("sweep", *call) as process:
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    assert [(trial["state"], trial["launches"]) for trial in trials_of(tmp_path)] == [
        ("failed", 2),
        ("finished", 1),
    ]


@pytest.mark.slow
def test_optuna_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    write_maps(tmp_path / "air.nc", steps_of(300))
    space = ("optimizer.learning_rate=tag(log,interval(1e-4,1e-1))", "model.recurrent.kind=convgru,convlstm")
    call = sweep_words(tmp_path, *space, "sweep.method=optuna", "sweep.trials=3", "trainer.max_epochs=10")
    stopped = launch(tmp_path, call, signal.SIGINT, lambda: epochs_of(tmp_path, "s-001") > 1)
    assert stopped.status == 130, stopped.said
    end = launch(tmp_path, call)
    assert end.status == 0, end.said
    assert [trial["state"] for trial in end.trials] == ["finished"] * 3
    assert end.trials[:2] == [
        {**end.trials[number], "values": stopped.trials[number]["values"]} for number in range(2)
    ]
