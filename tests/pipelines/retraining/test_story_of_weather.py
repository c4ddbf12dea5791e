"""A year of sample weather arrives month by month; ledger, aliases and pages tell exactly what happened."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipelines.retraining.ledger import Ledger
from tests.pipelines.retraining.arriving_weather import TINY, Year
from tests.pipelines.small_files import ROOT, mlflow_runs, start

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")]

PATIENCE = 600.0
MODEL = "weather"


@dataclass
class Story:
    """The folder, the job, the months, and what each firing came to."""

    folder: Path
    year: Year
    firings: dict[str, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.runs / "retrain" / "ledger.db")

    def write_job(self, **options: Any) -> None:
        """The job, as it is kept; `options` are what somebody has changed in it."""
        plain = {
            "model": MODEL,
            "data": str(self.year.arrived / "*.nc"),
            "settings": [*TINY, f"paths.runs={self.runs}", f"paths.stores={self.folder / 'stores'}"],
            "schedule": {"cron": "0 6 1 * *", "timezone": "Europe/London"},
            "start": {"new_steps": 80},
            "judge": {"steps": 120, "regions": {"north": {"lat": [45, 90]}, "south": {"lat": [0, 45]}}},
            "gate": {"minimum_gain": 0.001, "block": 8},
            "limits": {"backoff_seconds": 0.1, "retries": 0, "disk_gb": 0},
            "watch": {"after_steps": 80, "worse_by": 0.01},
            "alerts": [{"kind": "file", "path": str(self.folder / "alerts.jsonl")}],
            **options,
        }
        (self.folder / "jobs").mkdir(exist_ok=True)
        (self.folder / "jobs" / "weather.yaml").write_text(yaml.safe_dump(plain))

    def scheduled(self, month: int, *words: str) -> subprocess.Popen[str]:
        """The replay of the firing on the first day after a month of 2002."""
        following = f"2002-{month + 1:02d}" if month < 12 else "2003-01"
        span = (f"since={following}-01", f"until={following}-02")
        where = (f"paths.runs={self.runs}",)
        return start("schedule", f"jobs={self.folder / 'jobs'}", *span, *where, *words, "--json")

    def fire(self, name: str, month: int, *words: str) -> None:
        """Wait for the firing after a month, and keep what it came to."""
        with self.scheduled(month, *words) as process:
            try:
                out, said = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        log = self.runs / "retrain" / "weather" / "scheduled.log"
        assert out.strip(), said + (log.read_text() if log.exists() else "")
        (firing,) = json.loads(out)["firings"]
        self.firings[name] = firing
        self.aliases[name] = self.pointed()

    def shoot(self, name: str, now: str, *words: str) -> None:
        """A shot that somebody starts, without the watch that a firing begins with."""
        job = self.folder / "jobs" / "weather.yaml"
        with start("retrain", f"job={job}", f"now={now}", *words) as process:
            try:
                said = process.communicate(timeout=PATIENCE)[1]
            finally:
                process.kill()
        assert process.returncode in (0, 11), said
        self.firings[name] = {"status": process.returncode, "watch": None}
        self.aliases[name] = self.pointed()

    def kill(self, month: int, *words: str) -> None:
        """SIGKILL to the shot of a firing as soon as its challenger has a checkpoint."""
        number = self.ledger.history()[0].number + 1
        last = self.runs / "year" / f"weather-{number:04d}" / "checkpoints" / "last.ckpt"
        with self.scheduled(month, *words) as process:
            try:
                until = time.monotonic() + PATIENCE
                while not last.exists():
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < until, "it never came"
                    time.sleep(0.02)
                for one in psutil.Process(process.pid).children(recursive=True):
                    if "retrain" in one.cmdline():
                        one.send_signal(signal.SIGKILL)
                process.communicate(timeout=PATIENCE)
            finally:
                process.kill()

    def pointed(self) -> dict[str, int]:
        """Where the aliases point."""
        client, _ = mlflow_runs(self.folder)
        found = client.get_registered_model(MODEL).aliases
        return {alias: int(version) for alias, version in found.items()}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("year")
    found = Story(folder, Year.make(folder))
    found.write_job()
    year = found.year
    year.arrive(1)
    found.fire("first", 1, "trainer.max_steps=4")
    year.arrive(2)
    found.fire("better", 2)
    year.corrupt(3)
    found.fire("corrupt", 3)
    year.arrive(3)
    year.arrive(4)
    found.fire("repaired", 4)
    year.warm(5)
    found.fire("drifts", 5)
    year.arrive(6)
    found.write_job(warm_start={"weights": "scratch"})
    found.fire("worse", 6, "trainer.max_steps=1")
    found.write_job()
    year.arrive(7)
    long = ("trainer.max_steps=200", "trainer.checkpoint_minutes=0.001")
    found.kill(7, *long)
    found.fire("goes on", 7, *long)
    year.arrive(8)
    turned = year.mirrored(folder / "turned", 8)
    found.shoot("bad", "2002-09-01T05:00", f"data.path={turned}/*.nc")
    year.arrive(9)
    found.fire("rolled back", 9)
    found.fire("nothing", 10)
    return found


def test_each_month_came_to_what_it_should(story: Story) -> None:
    told = {name: firing["status"] for name, firing in story.firings.items()}
    assert {name: told[name] for name in ("first", "better", "corrupt", "worse", "bad", "nothing")} == {
        "first": 0,
        "better": 0,
        "corrupt": 11,
        "worse": 11,
        "bad": 0,
        "nothing": 10,
    }
    assert {told[name] for name in ("repaired", "drifts", "goes on", "rolled back")} <= {0, 11}
    assert story.firings["rolled back"]["watch"] == 13
    watched = [firing["watch"] for name, firing in story.firings.items() if name != "rolled back"]
    assert set(watched) <= {0, 11, None}


def test_bad_data_are_refused_before_training_with_the_reason(story: Story) -> None:
    row = next(row for row in story.ledger.history("weather") if row.now.startswith("2002-04-01"))
    assert row.outcome == "refused"
    assert not row.trained
    assert row.decision is not None
    assert row.decision.look is not None
    told = " ".join(row.decision.look["problems"])
    assert "air" in told


def test_a_drifted_month_is_told(story: Story) -> None:
    row = next(row for row in story.ledger.history("weather") if row.now.startswith("2002-06-01"))
    assert row.decision is not None
    text = json.dumps(row.decision.drift)
    assert row.decision.drift is not None
    assert '"drifted": true' in text or "air" in json.dumps(row.decision.drift.get("drifted"))


def test_a_worse_challenger_is_refused_and_the_champion_stays(story: Story) -> None:
    row = next(row for row in story.ledger.history("weather") if row.now.startswith("2002-07-01"))
    assert row.outcome == "refused"
    assert row.trained
    assert row.decision is not None
    assert row.decision.verdict is not None
    assert not row.decision.verdict["passed"]
    assert story.aliases["worse"] == story.aliases["drifts"]


def test_the_shot_that_was_killed_went_on_from_its_checkpoint(story: Story) -> None:
    (row,) = [row for row in story.ledger.history("weather") if row.now.startswith("2002-08-01")]
    assert row.outcome in ("promoted", "refused")
    output = story.runs / "retrain" / "weather" / f"{row.number:04d}" / "training.txt"
    assert "going on from last.ckpt" in output.read_text(encoding="utf-8")


def test_the_bad_promotion_was_rolled_back(story: Story) -> None:
    bad = story.aliases["bad"]
    assert bad["previous"] == story.aliases["goes on"]["champion"]
    (row,) = [row for row in story.ledger.history("weather") if row.outcome == "rolled_back"]
    assert row.decision is not None
    assert row.decision.former == bad["champion"]
    assert row.now.startswith("2002-10-01")
    assert "is champion again" in str(row.reason)
    after = story.aliases["rolled back"]
    assert bad["champion"] not in (after["champion"], after.get("previous"))


def test_ledger_mlflow_alerts_and_pages_tell_the_same(story: Story) -> None:
    rows = [row for row in story.ledger.history("weather") if row.outcome != "nothing"]
    _, runs = mlflow_runs(story.folder, "year")
    tagged = {
        run.data.tags["skyreel.shot"]: run.data.tags["skyreel.outcome"]
        for run in runs
        if run.data.tags.get("skyreel.kind") == "retrain"
    }
    assert tagged == {f"weather-{row.number:04d}": row.outcome for row in rows}
    lines = (story.folder / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == [row.outcome for row in reversed(rows)]
    for row in rows:
        folder = story.runs / "retrain" / "weather" / f"{row.number:04d}"
        assert json.loads((folder / "decision.json").read_text())["outcome"] == row.outcome
        assert str(row.outcome).replace("_", " ") in (folder / "report.html").read_text().replace("_", " ")
    promoted = [row.decision.challenger for row in rows if row.outcome == "promoted" and row.decision]
    assert sorted(promoted, reverse=True) == promoted


def test_the_champion_forecasts_at_the_end(story: Story) -> None:
    output = story.folder / "forecast.nc"
    words = [f"model=models:/{MODEL}@champion", f"input={story.year.arrived}/*.nc", f"output={output}"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "predict", *words, f"paths.runs={story.runs}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.exists()
