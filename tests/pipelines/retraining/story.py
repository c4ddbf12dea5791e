"""A job whose months arrive under a clock that is told: what each firing, shot or kill of it came to."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipelines.retraining.ledger import Ledger, Row
from tests.pipelines.small_files import mlflow_runs, start

PATIENCE = 600.0


@dataclass
class Story:
    """The folder of a job, and what each firing came to.

    name: of the job and of its model.     experiment: where its runs are.     plain: the job file.
    """

    folder: Path
    name: str
    experiment: str
    plain: dict[str, Any]
    firings: dict[str, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.runs / "retrain" / "ledger.db")

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """What was told, the oldest first."""
        lines = (self.folder / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def write_job(self, **options: Any) -> None:
        """The job, as it is kept; `options` are what somebody has changed in it."""
        plain = {
            "model": self.name,
            "schedule": {"cron": "0 6 1 * *", "timezone": "Europe/London"},
            "limits": {"backoff_seconds": 0.1, "retries": 0, "disk_gb": 0},
            "alerts": [{"kind": "file", "path": str(self.folder / "alerts.jsonl")}],
            **self.plain,
            **options,
        }
        (self.folder / "jobs").mkdir(exist_ok=True)
        (self.folder / "jobs" / f"{self.name}.yaml").write_text(yaml.safe_dump(plain))

    def fire(self, name: str, month: int, *words: str) -> None:
        """Wait for the firing after a month, and keep what it came to."""
        with self._scheduled(month, *words) as process:
            try:
                out, said = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        log = self.runs / "retrain" / self.name / "scheduled.log"
        assert out.strip(), said + (log.read_text() if log.exists() else "")
        (firing,) = json.loads(out)["firings"]
        self.firings[name] = firing
        self.aliases[name] = self.pointed()

    def shoot(self, name: str, now: str, *words: str) -> None:
        """A shot that somebody starts, without the watch that a firing begins with."""
        job = self.folder / "jobs" / f"{self.name}.yaml"
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
        run = self.runs / self.experiment / f"{self.name}-{number:04d}"
        last = run / "checkpoints" / "last.ckpt"
        with self._scheduled(month, *words) as process:
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
        from mlflow.exceptions import MlflowException

        client, _ = mlflow_runs(self.folder)
        try:
            found = client.get_registered_model(self.name).aliases
        except MlflowException:
            return {}
        return {alias: int(version) for alias, version in found.items()}

    def row(self, date: str) -> Row:
        """The one shot of a date."""
        (row,) = [row for row in self.ledger.history(self.name) if row.now.startswith(date)]
        return row

    def goes_on(self, date: str) -> bool:
        """Whether the challenger of the shot of that date went on from a checkpoint."""
        output = self.runs / "retrain" / self.name / f"{self.row(date).number:04d}" / "training.txt"
        return "going on from last.ckpt" in output.read_text(encoding="utf-8")

    def check_that_all_tell_the_same(self) -> None:
        """Ledger, MLflow, alerts, decisions and pages name the same outcomes."""
        rows = [row for row in self.ledger.history(self.name) if row.outcome != "nothing"]
        _, runs = mlflow_runs(self.folder, self.experiment)
        tagged = {
            run.data.tags["skyreel.shot"]: run.data.tags["skyreel.outcome"]
            for run in runs
            if run.data.tags.get("skyreel.kind") == "retrain"
        }
        assert tagged == {f"{self.name}-{row.number:04d}": row.outcome for row in rows}
        assert [told["outcome"] for told in self.alerts] == [row.outcome for row in reversed(rows)]
        for row in rows:
            folder = self.runs / "retrain" / self.name / f"{row.number:04d}"
            assert json.loads((folder / "decision.json").read_text())["outcome"] == row.outcome
            page = (folder / "report.html").read_text().replace("_", " ")
            assert str(row.outcome).replace("_", " ") in page
        promoted = [row.decision.challenger for row in rows if row.outcome == "promoted" and row.decision]
        assert sorted(promoted, reverse=True) == promoted

    def _scheduled(self, month: int, *words: str) -> subprocess.Popen[str]:
        """The replay of the firing on the first day after a month of 2002."""
        following = f"2002-{month + 1:02d}" if month < 12 else "2003-01"
        span = (f"since={following}-01", f"until={following}-02")
        where = (f"jobs={self.folder / 'jobs'}", f"paths.runs={self.runs}")
        return start("schedule", *where, *span, *words, "--json")
