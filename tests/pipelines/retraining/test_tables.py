"""Status and history: what the ledger knows, as tables and as JSON; asking changes nothing."""

import io
import sqlite3
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.locking import Lock
from pipelines.retraining.ledger import Ledger
from pipelines.retraining.tables import history_table, status_table
from tests.pipelines.retraining.decisions import day, look, shoot
from tests.pipelines.small_files import answer, result

GAIN = {"gain": {"value": 0.031, "low": 0.012, "high": 0.05}}
JOB = """
experiment: sample_weather
model: wind
schedule: {cron: "30 6 * * *", timezone: Europe/Berlin}
start: {new_steps: 28, drift: true}
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three decisions of the job `weather`, which is in weather.yaml, and one shot that was interrupted."""
    ledger = Ledger(tmp_path / "runs" / "retrain" / "ledger.db")
    (tmp_path / "weather.yaml").write_text(JOB)
    shoot(ledger, day(0), look=look(10), verdict=GAIN)
    (ledger.path.parent / "weather" / "0001").mkdir(parents=True)
    shoot(ledger, day(1), "refused", champion=1, reason="the data look bad: 12 steps are missing")
    shoot(ledger, day(2), "rolled_back", champion=3, former=3, restored=2)
    ledger.note(ledger.begin("weather", day(3)), step="train")
    return tmp_path / "runs"


def drawn(table: object, width: int = 140) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue()


def test_the_history_is_told_newest_first(runs: Path) -> None:
    found = result("retrain", "history", f"paths.runs={runs}")["decisions"]
    assert [(one["shot"], one["outcome"]) for one in found] == [
        (3, "rolled_back"),
        (2, "refused"),
        (1, "promoted"),
    ]
    assert found[2]["gain"] == GAIN["gain"]
    assert found[2]["folder"] == str(runs / "retrain" / "weather" / "0001")
    assert found[1]["folder"] is None
    table = drawn(history_table(found))
    for part in (
        "0001",
        "- -> 1",
        "3 -> 2",
        "+3.1 % (+1.2 to +5.0)",
        "2026-01-02 00:00",
        "12 steps are missing",
    ):
        assert part in table


def test_the_history_of_a_job_has_a_limit(runs: Path) -> None:
    job = f"job={runs.parent / 'weather.yaml'}"
    found = result("retrain", "history", job, "limit=1", f"paths.runs={runs}", "data.path=x.nc")["decisions"]
    assert [one["shot"] for one in found] == [3]
    status, _, said = answer("retrain", "history", "limit=few", f"paths.runs={runs}")
    assert status == 2
    assert "limit=few" in said


def test_status_tells_of_every_job_what_it_waits_for_and_what_it_is_at(runs: Path) -> None:
    found = {one["job"]: one for one in result("retrain", "status", f"paths.runs={runs}")["jobs"]}
    assert set(found) == {"sample_clips", "sample_weather", "weather"}
    assert found["sample_weather"]["waits_for"] == "28 new steps or an age of 30 days or drift"
    weather = found["weather"]
    assert weather["problem"] == "its file is not in conf/retrain; jobs=FOLDER or job=FILE names it"
    assert weather["last"]["outcome"] == "rolled_back"
    assert weather["model"] == "wind"
    assert weather["at_work"]["step"] == "train"
    assert weather["at_work"]["state"] == "(interrupted)"
    table = drawn(status_table(list(found.values())))
    for part in ("sample_clips", "rolled_back", "shot 0004: train", "28 new steps"):
        assert part in table


def test_status_of_a_job_tells_when_it_is_due_and_who_is_at_work(runs: Path) -> None:
    lock = Lock(runs / "retrain" / "weather" / ".lock")
    with lock:
        assert lock.acquire()
        job = f"job={runs.parent / 'weather.yaml'}"
        call = ("retrain", "status", job, "now=2026-06-30T12:00", f"paths.runs={runs}")
        (found,) = result(*call)["jobs"]
    assert found["next"] == "2026-07-01T04:30+00:00"
    assert found["at_work"]["state"] != "(interrupted)"
    assert found["problem"] is None


def test_asking_where_nothing_has_happened_makes_nothing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert result("retrain", "history", f"paths.runs={runs}") == {"decisions": []}
    found = result("retrain", "status", f"paths.runs={runs}")["jobs"]
    assert [(one["last"], one["champion"], one["at_work"]) for one in found] == [(None, None, None)] * 2
    assert not runs.exists()


def test_the_ledger_is_a_file_that_anybody_reads(runs: Path) -> None:
    with sqlite3.connect(runs / "retrain" / "ledger.db") as reader:
        assert reader.execute("SELECT count(*) FROM decisions").fetchone() == (3,)
    reader.close()


def test_a_narrow_terminal_shortens_the_reason_and_nothing_else(runs: Path) -> None:
    table = drawn(history_table(result("retrain", "history", f"paths.runs={runs}")["decisions"]), 80)
    for part in ("0001", "2026-01-02 00:00", "rolled back", "3 -> 2", "weather"):
        assert part in table
    assert max(map(len, table.splitlines())) <= 80


def test_jobs_of_a_folder_are_told_and_no_others(runs: Path) -> None:
    jobs = result("retrain", "status", f"jobs={runs.parent}", f"paths.runs={runs}")["jobs"]
    assert [(one["job"], one["problem"]) for one in jobs] == [("weather", None)]
    status, _, said = answer("retrain", "status", f"jobs={runs / 'nowhere'}", f"paths.runs={runs}")
    assert (status, "there is no such folder" in said) == (2, True)


def test_rolling_back_a_model_that_is_not_there_makes_nothing(runs: Path, tmp_path: Path) -> None:
    for words in (("model=wind",), (f"job={tmp_path / 'weather.yaml'}",)):
        status, _, said = answer("retrain", "rollback", *words, f"paths.runs={runs}")
        assert (status, "model=wind: no such registered model" in said) == (2, True), said
    assert not (runs / "mlflow.db").exists()
