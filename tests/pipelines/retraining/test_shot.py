"""A shot trains where there is cause to, promotes what is better, tells all of it, and nothing else."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.retraining.tiny_job import TinyJob
from tests.pipelines.small_files import answer, mlflow_runs

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@dataclass(frozen=True)
class Told:
    """What one call came to, and where the aliases pointed after it."""

    status: int
    result: Any
    said: str
    aliases: dict[str, int]


@dataclass(frozen=True)
class Story:
    """A first champion of one step, nothing new, a dry run, a better challenger, a roll-back."""

    job: TinyJob
    told: dict[str, Told]
    files: dict[str, set[str]]


def everything(folder: Path) -> set[str]:
    """The files below `folder`, with their sizes; caches aside."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {f"{path} {path.stat().st_size}" for path in found if "models" not in path.parts}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    job = TinyJob.make(tmp_path_factory.mktemp("shot"))
    told: dict[str, Told] = {}
    files: dict[str, set[str]] = {}

    def call(name: str, *words: str) -> None:
        told[name] = Told(*job.shoot(*words), job.aliases())
        files[name] = everything(job.runs)

    call("first", "trainer.max_steps=1", "now=2026-01-01T06:00")
    call("again", "now=2026-01-02T06:00")
    job.arrive(400)
    call("foreseen", "--dry-run", "trainer.max_epochs=6")
    call("second", "trainer.max_epochs=6", "now=2026-01-03T06:00")
    for name, more in (("rollback", [f"paths.runs={job.runs}"]), ("once more", [f"job={job.file}"])):
        status, result, said = answer("retrain", "rollback", "model=tiny", *more)
        told[name] = Told(status, result, said, job.aliases())
    return Story(job, told, files)


def test_the_first_challenger_is_champion_when_it_beats_persistence(story: Story) -> None:
    first = story.told["first"]
    assert first.status == 0, first.said
    assert first.result["outcome"] == "promoted"
    assert "skill against persistence" in first.result["reason"]
    assert first.result["champion"] is None
    assert first.aliases == {"champion": 1}


def test_the_same_data_are_no_cause_to_train_again(story: Story) -> None:
    again = story.told["again"]
    assert again.status == 10, again.said
    assert again.result["outcome"] == "nothing"
    assert again.aliases == {"champion": 1}
    assert again.result["now"].startswith("2026-01-02T06:00:00")


def test_a_dry_run_says_what_would_happen_and_changes_nothing(story: Story) -> None:
    foreseen = story.told["foreseen"]
    assert foreseen.status == 0, foreseen.said
    assert foreseen.result["would"] == "train"
    assert "100 new steps" in foreseen.result["reason"]
    assert foreseen.result["start"]
    assert story.files["foreseen"] == story.files["again"]


def test_a_better_challenger_begins_from_the_champion_and_takes_its_place(story: Story) -> None:
    second = story.told["second"]
    assert second.status == 0, second.said
    assert second.result["outcome"] == "promoted"
    assert second.result["verdict"]["gain"]["low"] > 0
    assert (second.result["champion"], second.result["challenger"], second.result["former"]) == (1, 2, 1)
    assert second.aliases == {"champion": 2, "previous": 1}
    challenger = Path(second.result["runs"]["challenger"])
    assert "beginning from the weights of" in (challenger / "log.txt").read_text(encoding="utf-8")


def test_a_rollback_puts_the_former_champion_back_and_is_told(story: Story) -> None:
    back = story.told["rollback"]
    assert back.status == 0, back.said
    assert back.result["outcome"] == "rolled_back"
    assert back.aliases == {"champion": 1}
    once_more = story.told["once more"]
    assert once_more.status == 2
    assert "no champion before version 1" in once_more.said
    assert story.job.outcomes() == ["promoted", "nothing", "promoted", "rolled_back"]


def test_every_decision_but_nothing_has_a_page_and_an_mlflow_run(story: Story) -> None:
    for row in story.job.rows():
        folder = story.job.home / f"{row.number:04d}"
        if row.outcome == "nothing":
            assert not folder.exists()
            continue
        told = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        assert told["outcome"] == row.outcome
        assert (folder / "report.html").exists()
    _, runs = mlflow_runs(story.job.folder)
    found = {
        run.data.tags["skyreel.shot"]: run for run in runs if run.data.tags.get("skyreel.kind") == "retrain"
    }
    assert {name: run.data.tags["skyreel.outcome"] for name, run in found.items()} == {
        "tiny-0001": "promoted",
        "tiny-0003": "promoted",
        "tiny-0004": "rolled_back",
    }
    assert {run.info.run_id for run in found.values()} == {
        row.decision.mlflow_run_id for row in story.job.rows() if row.decision and row.outcome != "nothing"
    }


def test_the_challenger_never_learns_from_what_judges_it(story: Story) -> None:
    second = story.told["second"].result
    splits = json.loads((Path(second["runs"]["challenger"]) / "provenance.json").read_text())
    found = splits["data"]["store"]["splits"]
    assert found["test"][1] == 400
    assert found["train"][1] <= found["validation"][0] <= found["validation"][1] <= found["test"][0]
    champion = json.loads((Path(second["runs"]["champion"]) / "provenance.json").read_text())
    assert champion["data"]["store"]["splits"]["validation"][1] <= found["test"][0]


def test_a_shot_that_finds_another_at_work_leaves_with_its_own_status(story: Story) -> None:
    holder = story.job.home / ".lock"
    code = (
        "import sys; from pathlib import Path; from pipelines.locking import Lock;"
        "lock = Lock(Path(sys.argv[1])); assert lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    import subprocess
    import sys

    with subprocess.Popen(
        [sys.executable, "-c", code, str(holder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            status, result, said = story.job.shoot()
            dry, foreseen, _ = story.job.shoot("--dry-run")
        finally:
            other.kill()
    assert status == 12, said
    assert result["outcome"] == "busy"
    assert f"process {other.pid} on {os.uname().nodename}" in result["reason"]
    assert (dry, foreseen["would"]) == (12, "wait")
    assert story.job.ledger.last("tiny", "busy") is not None


def test_a_shot_of_a_lost_ledger_is_not_called_as_one_that_made_a_version(tmp_path: Path) -> None:
    job = TinyJob.make(tmp_path)
    status, first, said = job.shoot("trainer.max_steps=1")
    assert (status, first["shot"]) == (0, 1), said
    shutil.rmtree(job.runs / "retrain")
    shutil.rmtree(job.runs / "tiny")
    job.arrive(400)
    status, second, said = job.shoot("trainer.max_epochs=6")
    assert (status, second["shot"], second["challenger"]) == (0, 2, 2), said
    assert job.aliases() == {"champion": 2, "previous": 1}


def test_a_fault_that_nobody_foresaw_is_told_to_people_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = tmp_path / "alerts.jsonl"
    job = TinyJob.make(tmp_path, alerts=[{"kind": "file", "path": str(alerts)}])
    status, _, said = job.shoot("trainer.max_steps=1")
    assert status == 0, said
    job.arrive(400)

    def broken(*_: object) -> None:
        raise RuntimeError("an illegal memory access")

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.retraining.deciding._gate", broken)
        status, result, said = job.shoot("trainer.max_epochs=6")
    assert (status, result["outcome"]) == (1, "failed"), said
    assert "at compare: RuntimeError: an illegal memory access" in result["reason"]
    assert json.loads(alerts.read_text().splitlines()[-1])["outcome"] == "failed"
    assert [row.number for row in job.ledger.unfinished("tiny")] == [2]
    status, result, said = job.shoot("trainer.max_epochs=6")
    assert (status, result["shot"], result["outcome"]) == (0, 2, "promoted"), said
