"""SIGTERM, Ctrl-C and SIGKILL end the scheduler, and none of them harms a shot that is at work."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.pipelines.scheduling.small_jobs import House, calls, plan, write_job
from tests.pipelines.small_files import ROOT

PATIENCE = 120.0
SCHEDULER = "tests.pipelines.scheduling.scheduler_process"


def said(house: House) -> str:
    return (house.root / "scheduler.log").read_text()


@contextmanager
def at_work(house: House, patience: float) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A scheduler and its shot, which goes on until the file `go` is there."""
    write_job(house.jobs, "weather", "0 * * * *", missed="latest")
    plan(house.jobs, "weather", until=str(house.root / "go"), status=0)
    house.ledger.record_firing("weather", datetime.now(UTC) - timedelta(hours=3), "nothing")
    with (house.root / "scheduler.log").open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", SCHEDULER, str(house.root), str(patience)],
            cwd=ROOT,
            stderr=file,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    shot = None
    try:
        log = house.root / "runs" / "retrain" / "weather" / "scheduled.log"
        until = time.monotonic() + PATIENCE
        while not log.exists() or "working" not in log.read_text():
            assert process.poll() is None, said(house)
            assert time.monotonic() < until, "the shot never started"
            time.sleep(0.02)
        (shot,) = psutil.Process(process.pid).children()
        yield process, shot
    finally:
        (house.root / "go").touch()
        process.kill()
        process.wait()
        if shot is not None and shot.is_running():
            shot.kill()


def went_on(house: House, shot: psutil.Process) -> bool:
    """Whether the shot is still there, and comes to its own end once it may."""
    if not shot.is_running() or shot.status() == psutil.STATUS_ZOMBIE:
        return False
    (house.root / "go").touch()
    until = time.monotonic() + PATIENCE
    while not calls(house.jobs) and time.monotonic() < until:
        time.sleep(0.02)
    return [one["pid"] for one in calls(house.jobs)] == [shot.pid]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_waits_for_the_shot(tmp_path: Path, number: signal.Signals) -> None:
    house = House(tmp_path)
    with at_work(house, patience=60) as (process, _shot):
        os.killpg(process.pid, number)
        time.sleep(0.3)
        assert process.poll() is None
        (tmp_path / "go").touch()
        process.wait(timeout=PATIENCE)
        assert process.returncode == 0
        assert "stopping; waiting up to 1m for: weather" in said(house)
        assert "weather: promoted (exit status 0)" in said(house)
        assert len(calls(house.jobs)) == 1


def test_a_stop_whose_patience_is_over_leaves_the_shot_running_and_says_so(tmp_path: Path) -> None:
    house = House(tmp_path)
    with at_work(house, patience=0.2) as (process, shot):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=PATIENCE)
        assert process.returncode == 10
        assert f"weather: left running as process {shot.pid}; it ends by itself" in said(house)
        assert went_on(house, shot)


def test_a_second_ctrl_c_leaves_the_shot_running_at_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    with at_work(house, patience=100) as (process, shot):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(1.2)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=PATIENCE)
        assert process.returncode == 130
        assert went_on(house, shot)


def test_a_killed_scheduler_leaves_the_shot_running_and_does_not_repeat_it(tmp_path: Path) -> None:
    house = House(tmp_path)
    with at_work(house, patience=100) as (process, shot):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        assert house.ledger.last_firing("weather") in (hour, hour - timedelta(hours=1))
        assert went_on(house, shot)
