"""Processes that start together share the work: one makes, packs, fits and checks; the others wait."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.pipelines.small_files import ROOT, result, start, steps_of, words, write_maps

PATIENCE = 240.0
COUNT = 3

WEATHER = (
    "data=sample_weather",
    "data.sample.days=60",
    "task.history=2",
    "task.horizon=2",
    "task.linear.components=4",
    "task.linear.lags=2",
    "task.linear.folds=2",
)
CLIPS = (
    "data=sample_clips",
    "data.sample.clips=20",
    "data.frames.size=32",
    "data.frames.count=2",
    "data.features=store",
    "data.workers=0",
    "model.encoder.frozen=true",
    "model.encoder.channels=4",
    "model.encoder.depth=1",
)
DONE = {
    WEATHER: (
        "made 60 days of sample weather",
        "packing 240 frames",
        "published the store",
        "fitting climatology and statistics",
        "fitting the linear model",
    ),
    CLIPS: ("made 20 training clips", "opening 80 clips that are new", "writing features of 80 clips"),
}
"""What is to be told once, by whichever process did it."""


@contextlib.contextmanager
def begun(folder: Path, commands: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes, each in a session of its own; ended, with all that they started, when the block is."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running: list[subprocess.Popen[str]] = []
    try:
        for command in commands:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
        yield running
    finally:
        for one in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.communicate()


def wait_for(what: Callable[[], bool], running: Sequence[subprocess.Popen[str]]) -> None:
    """Return once `what` holds; fail when a process ends in failure before, or patience does."""
    until = time.monotonic() + PATIENCE
    while not what():
        failed = [one for one in running if one.poll() not in (None, 0)]
        if failed or time.monotonic() > until:
            said = failed[0].communicate()[1] if failed else "it never came"
            raise AssertionError(said)
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        pytest.param(WEATHER, "three calls", id="weather, three calls"),
        pytest.param(CLIPS, "three ranks", id="clips, three ranks"),
        pytest.param(WEATHER, "three ranks", id="weather, three ranks", marks=pytest.mark.slow),
        pytest.param(CLIPS, "three calls", id="clips, three calls", marks=pytest.mark.slow),
    ],
)
def test_processes_that_start_together_do_each_work_once(
    tmp_path: Path, settings: tuple[str, ...], how: str
) -> None:
    told = tmp_path / "told"
    told.mkdir()
    call = ["tests.pipelines.open_data", str(told), *settings, f"paths.stores={tmp_path / 'stores'}"]
    torchrun = ["torch.distributed.run", f"--nproc-per-node={COUNT}", "--master-port=0", "-m"]
    with begun(tmp_path, [call] * COUNT if how == "three calls" else [[*torchrun, *call]]) as running:
        wait_for(lambda: len(list(told.glob("*.ready"))) == COUNT, running)
        (told / "go").touch()
        said = [one.communicate(timeout=PATIENCE)[1] for one in running]
    assert [one.returncode for one in running] == [0] * len(running), said
    lines = "".join(path.read_text() for path in told.glob("*.log"))
    assert {work: lines.count(work) for work in DONE[settings]} == dict.fromkeys(DONE[settings], 1), lines
    seen = {path.read_text() for path in told.glob("*.json")}
    assert len(list(told.glob("*.json"))) == COUNT
    assert len(seen) == 1, "all see the same data"
    if how == "three ranks":
        first = [line for line in said[0].splitlines() if " INFO " in line]
        assert len(first) == len(set(first)), "only the first rank tells what goes on"


def test_another_packs_on_at_once_where_the_packer_is_killed(tmp_path: Path) -> None:
    write_maps(tmp_path / "air.nc", steps_of(1500), shape=(40, 60))
    call = words(tmp_path)
    stores = tmp_path / "stores"
    with start("prepare", *call) as first, start("prepare", *call) as second:
        try:
            wait_for(lambda: any(stores.glob("*.part/values.npy")), (first, second))
            first.kill()
            first.communicate()
            killed = time.monotonic()
            said = second.communicate(timeout=PATIENCE)[1]
        finally:
            first.kill()
            second.kill()
    assert second.returncode == 0, said
    assert time.monotonic() - killed < PATIENCE / 2
    assert "published the store" in said
    assert result("prepare", *call)["store"]
    assert not list(stores.glob("*.part"))
