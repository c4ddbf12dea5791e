"""The torture campaign (`make torture`): it sees what it is meant to see, and a short one passes."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import torch

from pipelines.rundir import RunDir
from tests.pipelines.conftest import Trained
from tests.torture.campaign import torture
from tests.torture.plans import Plan, make_sources
from tests.torture.processes import MARK, marked
from tests.torture.sameness import compare_runs
from tests.torture.wreckage import half_written

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> RunDir:
    """A copy of a finished run, with its database, that may be spoilt."""
    shutil.copytree(trained.folder / "runs", tmp_path / "runs")
    return RunDir(tmp_path / "runs" / "tiny" / "a")


def test_a_run_equals_its_copy_in_thousands_of_values(trained: Trained, copied: RunDir) -> None:
    found = compare_runs(trained.run, copied)
    assert found.differences == ()
    assert found.values > 3000


def test_one_weight_one_figure_one_point_and_one_more_run_are_told(trained: Trained, copied: RunDir) -> None:
    best = torch.load(copied.best, weights_only=True)
    name = next(iter(best["state_dict"]))
    best["state_dict"][name].view(-1)[0] += 1e-6
    torch.save(best, copied.best)
    copied.metrics.write_text(copied.metrics.read_text().replace("0.", "0.0", 1))
    with closing(sqlite3.connect(copied.path.parent.parent / "mlflow.db")) as database, database:
        again = (
            "select key, value, timestamp + 1, run_uuid, step, is_nan from metrics where key = 'train/loss'"
        )
        database.execute(f"insert into metrics {again} limit 1")
        database.execute("update runs set status = 'RUNNING'")
    told = "\n".join(compare_runs(trained.run, copied).differences)
    for part in (f"best.ckpt[state_dict][{name}]", "metrics.json[", "curve train/loss", "RUNNING"):
        assert part in told


def test_cut_files_and_unknown_digests_are_told(copied: RunDir) -> None:
    assert half_written(copied) == []
    copied.last.write_bytes(copied.last.read_bytes()[:-100])
    copied.metrics.write_text(copied.metrics.read_text()[:-10])
    copied.skill.write_text(copied.skill.read_text()[:-10].rpartition(",")[0])
    told = "\n".join(half_written(copied))
    for name in ("last.ckpt", "metrics.json", "skill.csv"):
        assert name in told


def test_whatever_a_launch_has_started_is_found_by_its_mark() -> None:
    mark = os.urandom(8).hex()
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=sys.stdin)"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, env={**os.environ, MARK: mark}
    ) as process:
        while len(marked(mark)) < 2:
            assert process.poll() is None
        process.communicate(b"\n", timeout=30)
    assert marked(mark) == []


@pytest.mark.slow
@pytest.mark.parametrize(("system", "ranks"), [("forecast", 1), ("caption", 2)])
def test_a_run_that_is_killed_at_random_equals_an_undisturbed_one(
    system: str, ranks: int, tmp_path: Path
) -> None:
    make_sources(tmp_path)
    plan = Plan("forecast" if system == "forecast" else "caption", ranks, tmp_path)
    tally = torture(plan, kills=2, seed=5, stop=threading.Event())
    assert not tally.failure, tally.failure
    assert tally.kills == 2
