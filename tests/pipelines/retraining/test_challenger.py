"""A challenger's training is tried again after a passing fault, stopped when time is over, and goes on."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines import interrupts
from pipelines.retraining.challenger import ChallengerTraining, lacking_space
from pipelines.retraining.limits import LimitsOptions
from pipelines.rundir import RunDir
from tests.pipelines.small_files import steps_of, words, write_maps

PATIENCE = 240.0


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Signals are heard as they are within a verb, and afterwards as before."""
    before = {number: signal.getsignal(number) for number in interrupts.STOPPING}
    interrupts.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def training(folder: Path, limits: LimitsOptions, *more: str) -> ChallengerTraining:
    if not (folder / "air.nc").exists():
        write_maps(folder / "air.nc", steps_of(300))
    run = RunDir(folder / "runs" / "tiny" / "a")
    call = words(folder, "tracking=off", "trainer.checkpoint_minutes=0.001", *more)
    return ChallengerTraining(call, run, folder / "training.txt", limits)


def when(true: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """A thread that acts as soon as something is true."""

    def watch() -> None:
        until = time.monotonic() + PATIENCE
        while not true() and time.monotonic() < until:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "train" in one.cmdline()]


@pytest.mark.slow
def test_training_that_is_killed_goes_on_from_its_checkpoint_until_it_is_finished(tmp_path: Path) -> None:
    limits = LimitsOptions(retries=1, backoff_seconds=0)
    challenger = training(tmp_path, limits, "trainer.max_epochs=8")
    told: list[tuple[int, str]] = []
    challenger.on_retry = lambda number, reason: told.append((number, reason))
    killer = when(challenger.run.last.exists, lambda: [one.kill() for one in children()])
    ended = challenger.finish()
    killer.join()
    assert (ended.how, ended.retries) == ("finished", 1), ended.reason
    assert [number for number, _ in told] == [1]
    assert "signal 9" in told[0][1]
    assert "going on from last.ckpt" in challenger.output.read_text(encoding="utf-8")
    assert children() == []


def test_a_mistake_is_told_and_not_tried_again(tmp_path: Path) -> None:
    ended = training(tmp_path, LimitsOptions(retries=5), "model.recurrent.hiden=4").finish()
    assert (ended.how, ended.retries) == ("failed", 0)
    assert "exit status 2" in ended.reason
    assert "hiden" in ended.reason


def test_too_little_space_is_told_before_anything_begins(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free / 1e9
    assert lacking_space(tmp_path, LimitsOptions(disk_gb=free / 2)) is None
    told = lacking_space(tmp_path, LimitsOptions(disk_gb=2 * free))
    assert told is not None
    assert "limits.disk_gb" in told


@pytest.mark.slow
def test_training_whose_time_is_over_is_stopped_and_the_next_shot_goes_on(tmp_path: Path) -> None:
    long = ("trainer.max_epochs=4000",)
    late = training(tmp_path, LimitsOptions(minutes=0.4), *long).finish()
    assert late.how == "out of time"
    assert "limits.minutes" in late.reason
    assert children() == []
    before = (tmp_path / "runs" / "tiny" / "a" / "checkpoints" / "last.ckpt").stat().st_mtime
    again = training(tmp_path, LimitsOptions(minutes=0.4), *long)
    assert again.finish().how == "out of time"
    assert "going on from last.ckpt" in again.output.read_text(encoding="utf-8")
    assert again.run.last.stat().st_mtime > before


@pytest.mark.slow
def test_a_shot_that_is_told_to_stop_stops_its_challenger_at_a_checkpoint(tmp_path: Path) -> None:
    challenger = training(tmp_path, LimitsOptions(), "trainer.max_epochs=4000")
    when(challenger.run.last.exists, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(interrupts.Stopped) as stopped:
        challenger.finish()
    assert stopped.value.code == 143
    assert children() == []
    assert challenger.run.last.exists()


@pytest.mark.slow
def test_faults_that_do_not_pass_are_given_up_after_the_retries(tmp_path: Path) -> None:
    challenger = training(tmp_path, LimitsOptions(retries=2, backoff_seconds=0.1), "trainer.max_epochs=2")
    challenger.run.path.mkdir(parents=True)
    challenger.run.checkpoints.write_text("a file where a folder belongs")
    ended = challenger.finish()
    assert (ended.how, ended.retries) == ("failed", 2), ended.reason
    assert "exit status 1" in ended.reason
