"""Whatever kills a shot, the champion predicts and the next shot goes on; of two shots one trains."""

import random
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.retraining.promotion import Move
from tests.pipelines.retraining.tiny_job import MODEL, TinyJob
from tests.pipelines.small_files import mlflow_runs, start

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

PATIENCE = 300.0
KILLS = 20
PAIRS = 20
ALWAYS = {"start": {"always": True}, "warm_start": {"weights": "scratch"}}


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status of a shot, and what it said; nothing of it is left."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    try:
        said = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
        psutil.wait_procs(family, timeout=1)
        for one in family:
            if one.is_running():
                one.kill()
    return process.returncode, said


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    """SIGKILL to the shot alone after so long, unless it has ended: its training has to notice by itself."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def predicts(job: TinyJob, output: Path) -> bool:
    """Whether the champion forecasts, in a process of its own."""
    words = [f"model=models:/{MODEL}@champion", f"input={job.arrived / '1.nc'}", f"output={output}"]
    with start("predict", *words, *job.where()) as process:
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    return output.exists()


def wait_for(true: Any, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_shot_that_is_told_to_stop_is_noted_and_the_next_one_goes_on(tmp_path: Path) -> None:
    job = TinyJob.make(tmp_path)
    long = ("trainer.max_epochs=400", "trainer.checkpoint_minutes=0.001")
    run = job.runs / "tiny" / "tiny-0001"
    with job.start(*long) as process:
        try:
            wait_for((run / "checkpoints" / "last.ckpt").exists, process)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=PATIENCE)[1]
        finally:
            process.kill()
    assert process.returncode == 143, said
    (row,) = job.ledger.unfinished("tiny")
    assert (row.number, row.step) == (1, "train")
    assert row.notes["interrupted"] == "SIGTERM"
    job.write(limits={"minutes": 0.05, "retries": 0, "disk_gb": 0})
    status, result, said = job.shoot(*long)
    assert status == 1, said
    assert "limits.minutes" in result["reason"]
    assert "tiny-0001 goes on: it was interrupted at train" in said
    job.write()
    status, result, said = job.shoot("trainer.max_epochs=3")
    assert status == 0, said
    assert [(row.number, row.outcome) for row in reversed(job.rows())] == [(1, "failed"), (2, "promoted")]
    assert "the job has changed" in str(job.rows()[-1].reason)


@pytest.mark.slow
def test_the_champion_predicts_wherever_a_shot_is_killed(tmp_path: Path) -> None:
    job = TinyJob.make(tmp_path, **ALWAYS)
    status, _, said = job.shoot("trainer.max_steps=1")
    assert status == 0, said
    began = time.monotonic()
    with job.start() as process:
        status, said = end(process)
    assert status in (0, 11), said
    whole = time.monotonic() - began
    draw = random.Random(7)
    for number in range(KILLS):
        kill_after(job.start(), whole * draw.uniform(0.05, 1.0))
        champion = job.aliases().get("champion")
        assert champion is not None
        assert predicts(job, tmp_path / f"{number}.nc"), f"kill {number}"
    with job.start() as process:
        status, said = end(process)
    assert status in (0, 11), said
    assert job.ledger.unfinished("tiny") == []
    assert job.ledger.moves(MODEL) == {}
    promoted = [row.decision.challenger for row in job.rows() if row.decision and row.outcome == "promoted"]
    assert job.aliases()["champion"] == promoted[0]
    assert len(promoted) == len(set(promoted))


@pytest.mark.slow
def test_of_two_shots_at_the_same_instant_exactly_one_trains(tmp_path: Path) -> None:
    job = TinyJob.make(tmp_path, **ALWAYS)
    for number in range(PAIRS):
        pair = [job.start("trainer.max_steps=2"), job.start("trainer.max_steps=2")]
        try:
            ended = [end(one) for one in pair]
        finally:
            for one in pair:
                one.kill()
        statuses = sorted(status for status, _ in ended)
        assert statuses[-1] == 12, ended
        assert statuses[0] in (0, 11), ended
        (busy,) = [said for status, said in ended if status == 12]
        assert "another shot of this job is at work" in busy
        trained = [row for row in job.rows() if row.trained]
        assert len(trained) == number + 1
    assert job.ledger.unfinished("tiny") == []


@pytest.mark.slow
@pytest.mark.parametrize("at", ["before the move", "after one alias", "after the move"])
def test_a_move_that_was_interrupted_is_finished_by_the_next_shot(tmp_path: Path, at: str) -> None:
    job = TinyJob.make(tmp_path)
    status, _, said = job.shoot("trainer.max_steps=1")
    assert status == 0, said
    job.arrive(400)
    status, result, said = job.shoot("trainer.max_epochs=6")
    assert (status, result["outcome"]) == (0, "promoted"), said
    move = Move(
        MODEL,
        "promotion",
        "it was better",
        {"champion": 1, "previous": None, "challenger": 2},
        {"previous": 1, "champion": 2, "challenger": None},
    )
    ledger = job.ledger
    shot = ledger.begin("tiny", datetime.now(UTC))
    ledger.note(shot, step="promote", known={"champion": 1, "challenger": 2, "former": 1})
    ledger.intent(shot, move.as_plain())
    _point(
        job,
        {
            "before the move": {"champion": 1, "previous": None, "challenger": 2},
            "after one alias": {"champion": 1, "previous": 1, "challenger": 2},
            "after the move": {"champion": 2, "previous": 1, "challenger": None},
        }[at],
    )
    status, result, said = job.shoot()
    assert (status, result["outcome"], result["reason"]) == (0, "promoted", "it was better"), said
    assert result["shot"] == shot
    assert job.aliases() == {"champion": 2, "previous": 1}
    assert ledger.moves(MODEL) == {}


def _point(job: TinyJob, wanted: dict[str, int | None]) -> None:
    """Put the aliases where a crash would have left them."""
    client, _ = mlflow_runs(job.folder)
    there = job.aliases()
    for alias, number in wanted.items():
        if number is not None:
            client.set_registered_model_alias(MODEL, alias, str(number))
        elif alias in there:
            client.delete_registered_model_alias(MODEL, alias)
