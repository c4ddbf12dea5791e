"""Job files, a clock that jumps, and a program in the place of `skyreel`, for tests of the scheduler.

The program is a real process that does what a file next to the job's says: it takes its time, and ends with
the exit status that is wanted. What it was called with it writes down.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from pipelines.retraining.ledger import Ledger
from pipelines.scheduling.clock import Clock
from pipelines.scheduling.firing import Launch
from pipelines.scheduling.notes import Notes
from pipelines.scheduling.scheduled_jobs import JobFolder
from pipelines.scheduling.scheduler import Scheduler

PROGRAM = """
import json, os, pathlib, sys, time
words = dict(word.partition("=")[::2] for word in sys.argv[1:])
job = pathlib.Path(words["job"])
plan = job.with_suffix(".plan")
plan = json.loads(plan.read_text()) if plan.exists() else {}
watching = "watch-champion" in sys.argv
began = time.time()
print("working for", job.stem, flush=True)
if "until" in plan and not watching:
    while not pathlib.Path(plan["until"]).exists():
        time.sleep(0.01)
call = {"argv": sys.argv[1:], "job": job.stem, "began": began, "ended": time.time(), "pid": os.getpid()}
with open(job.parent / "calls.jsonl", "a") as file:
    file.write(json.dumps(call) + "\\n")
sys.exit(plan.get("watch" if watching else "status", 10 if not watching else 0))
"""


def write_job(folder: Path, name: str, cron: str, watch: bool = False, **schedule: Any) -> Path:
    """A job of the sample weather that comes due by `cron`."""
    folder.mkdir(parents=True, exist_ok=True)
    plain: dict[str, Any] = {
        "experiment": "sample_weather",
        "model": f"{name}-model",
        "schedule": {"cron": cron, **schedule},
        "start": {"always": True},
    }
    if watch:
        plain["watch"] = {"after_steps": 40}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def plan(folder: Path, name: str, **values: Any) -> None:
    """How the processes of a job behave from now on: status, watch (exit statuses), until (a file)."""
    (folder / f"{name}.plan").write_text(json.dumps(values))


def calls(folder: Path) -> list[dict[str, Any]]:
    """The processes that have ended, in order."""
    path = folder / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass
class JumpingClock:
    """A clock that is at the next due time at once, and stands still while a shot is at work.

    busy: called then instead, with the clock.
    """

    time: datetime
    end: datetime
    busy: "Callable[[JumpingClock], None]" = lambda clock: None
    waits: list[datetime | None] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def wait(self, until: datetime | None, busy: bool) -> None:
        if busy:
            time.sleep(0.01)
            self.busy(self)
        else:
            self.waits.append(until)
            self.time = self.end if until is None else min(max(until, self.time), self.end)

    def is_over(self) -> bool:
        return self.time >= self.end


@dataclass
class House:
    """A folder of jobs, one of runs with its ledger, and the program."""

    root: Path

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def ledger(self) -> Ledger:
        (self.root / "runs" / "retrain").mkdir(parents=True, exist_ok=True)
        return Ledger(self.root / "runs" / "retrain" / "ledger.db")

    def launch(self, *words: str) -> Launch:
        program = self.root / "program.py"
        program.write_text(PROGRAM)
        return Launch(self.root / "runs", words, (sys.executable, str(program)))

    def scheduler(self, clock: Clock, *words: str, **options: Any) -> Scheduler:
        """A scheduler that a JumpingClock stops at its end, any other clock when `stopped` says so."""
        if isinstance(clock, JumpingClock):
            options.setdefault("stopped", clock.is_over)
        options.setdefault("patience", timedelta(seconds=20))
        return Scheduler(JobFolder(self.jobs), Notes(self.ledger), self.launch(*words), clock, **options)
