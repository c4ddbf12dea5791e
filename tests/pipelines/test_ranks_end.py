"""No process of a run outlives another: one rank dies, or the first, and all are gone within 20 seconds.

Ranks kill themselves in a given phase (see `dying_rank`). The same command then goes on to the end.
"""

import json
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.ranks import end_with_parent
from pipelines.rundir import RunDir
from tests.pipelines.families import DYING, family
from tests.pipelines.small_files import ROOT, mlflow_runs, steps_of, words, write_maps

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

SECONDS = 20.0
TWO = (
    "trainer=ddp_cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "trainer.max_epochs=3",
    "data.batch_size=16",
)


@dataclass(frozen=True)
class Launch:
    """Exit status, seconds from the death to the end of all, messages, and the status in the journal."""

    status: int
    seconds: float
    said: str
    ended: str


def launch(folder: Path, dies: str, *more: str) -> Launch:
    """Two ranks train in `folder`, of which one `dies`; see `dying_rank`."""
    death = folder / "death"
    death.unlink(missing_ok=True)
    with family(folder) as found:
        process = found.start([str(DYING), "train", *words(folder, *TWO, *more)], DIES=dies, DEATH=str(death))
        if dies:
            found.wait_for(death.exists)
        found.seconds_until_gone(60.0 if dies else 240.0)
        seconds = time.time() - float(death.read_text()) if dies else 0.0
        status = process.wait()
        return Launch(status, seconds, found.told(), ended(RunDir(folder / "runs" / "tiny" / "a")))


def ended(run: RunDir) -> str:
    """The last status in the run's journal."""
    path = run.tracking / "journal.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return next((one["status"] for one in map(json.loads, reversed(lines)) if one["kind"] == "status"), "")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Launch]]:
    """The second rank is killed while it trains, then the first while it tests; then nobody is."""
    folder = tmp_path_factory.mktemp("ranks")
    write_maps(folder / "air.nc", steps_of(300))
    return folder, {dies: launch(folder, dies) for dies in ("1 train", "0 test", "")}


@pytest.mark.parametrize("dies", ["1 train", "0 test"])
def test_all_are_gone_soon_after_one_has_died(story: tuple[Path, dict[str, Launch]], dies: str) -> None:
    assert story[1][dies].seconds < SECONDS


def test_the_first_rank_says_which_one_was_lost_and_the_run_failed(
    story: tuple[Path, dict[str, Launch]],
) -> None:
    lost = story[1]["1 train"]
    assert lost.status == 1, lost.said
    assert lost.ended == "FAILED"
    assert "LostRankError: rank 1 (process" in lost.said
    assert "was killed by SIGKILL" in lost.said


def test_the_same_command_goes_on_as_the_same_mlflow_run(story: tuple[Path, dict[str, Launch]]) -> None:
    folder, launches = story
    assert launches["0 test"].status == -signal.SIGKILL
    assert "going on from last.ckpt" in launches["0 test"].said
    assert launches[""].status == 0, launches[""].said
    assert [run.info.status for run in mlflow_runs(folder)[1]] == ["FINISHED"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("phase", ["start", "prepare", "train", "validate", "checkpoint", "test"])
def test_no_phase_leaves_an_orphan_and_the_run_goes_on(tmp_path: Path, rank: int, phase: str) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300))
    lost = launch(tmp_path, f"{rank} {phase}", "data.workers=1")
    assert lost.seconds < SECONDS, lost.said
    if rank == 1:
        assert (lost.status, lost.ended) == (1, "FAILED"), lost.said
        assert "rank 1 (process" in lost.said
    again = launch(tmp_path, "", "data.workers=1")
    assert again.status == 0, again.said
    assert [run.info.status for run in mlflow_runs(tmp_path)[1]] == ["FINISHED"]


CHILD = """
import os, signal, sys, time
{before}
from pipelines.ranks import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
time.sleep(120)
"""
STUCK = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
PARENT = """
import os, subprocess, sys, time
environ = {**os.environ, "SKYREEL_ENDS_WITH_PARENT": str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environ)
time.sleep(120)
"""


@pytest.mark.parametrize(("before", "least", "most"), [("", 0.0, 8.0), (STUCK, 2.0, 15.0)], ids=["", "stuck"])
def test_a_process_ends_with_its_launcher(tmp_path: Path, before: str, least: float, most: float) -> None:
    with family(tmp_path) as found:
        environment = {"LOCAL_RANK": "1", "PYTHONPATH": str(ROOT)}
        parent = found.start(["-c", PARENT, CHILD.format(before=before)], **environment)
        found.wait_for(lambda: found.told().endswith("\n"))
        parent.kill()
        assert least <= found.seconds_until_gone() < most


def test_a_process_whose_launcher_is_gone_before_it_has_begun_ends(tmp_path: Path) -> None:
    with family(tmp_path) as found:
        gone = found.start(["-c", ""])
        gone.wait()
        late = found.start(
            ["-c", CHILD.format(before="")], PYTHONPATH=str(ROOT), SKYREEL_ENDS_WITH_PARENT=str(gone.pid)
        )
        found.seconds_until_gone()
        assert late.wait() == -signal.SIGTERM


def test_a_plain_process_outlives_the_shell_that_started_it(tmp_path: Path) -> None:
    with family(tmp_path) as found:
        shell = found.start(
            ["-c", PARENT.replace("SKYREEL_", "NOT_"), CHILD.format(before="")], PYTHONPATH=str(ROOT)
        )
        found.wait_for(lambda: found.told().endswith("\n"))
        shell.kill()
        shell.wait()
        time.sleep(2)
        assert list(found.living()) == [int(found.told())]


def test_a_plain_process_pays_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("LOCAL_RANK", "TORCHELASTIC_RUN_ID", "SKYREEL_ENDS_WITH_PARENT"):
        monkeypatch.delenv(key, raising=False)
    began = time.perf_counter()
    end_with_parent()
    assert time.perf_counter() - began < 0.001
    assert "parent" not in [thread.name for thread in threading.enumerate()]
