"""Whatever happens to the tracking server or to the run: nothing is lost, nothing is doubled, nothing waits.

The server is a real one, behind a real proxy that delays, refuses and loses answers.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines import provenance
from pipelines.rundir import RunDir, write_text
from pipelines.tracking.journal import Journal, Sent
from pipelines.tracking.sender import Destination
from pipelines.tracking.server import load_mlflow
from pipelines.tracking.session import tracked
from pipelines.tracking.sync import send_pending
from tests.pipelines.mlflow_servers import (
    Served,
    everything,
    free_port,
    mlflow_server,
    runs_of,
    served,
    tell_everything,
    unsent,
    wait_for,
)
from tests.pipelines.small_files import ROOT, result, start, steps_of, words, write_maps

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

PATIENCE = 120.0

RUN = """
import signal, sys, time
from pathlib import Path
from pipelines import interrupts
from pipelines.rundir import RunDir
from pipelines.tracking.sender import Destination
from pipelines.tracking.session import tracked

interrupts.install()
folder, uri, steps, wait = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
with tracked(RunDir(folder), Destination(uri, timeout=2), system_every=None, wait=wait) as logger:
    for step in range(steps):
        logger.log_metrics({"train/loss": 1 / (step + 1)}, step)
        time.sleep(0.01)
    (folder / "over.txt").write_text("over")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server and one proxy for the tests of this file; each test has an experiment of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
        load_mlflow("http://", 3)
        with served(tmp_path_factory.mktemp("server")) as found:
            yield found


@pytest.fixture
def server(place: Served) -> Iterator[Served]:
    """The server, well before and after each test."""
    yield place
    place.become("pass")
    place.signal(signal.SIGCONT)


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> RunDir:
    folder = tmp_path / request.node.name / "a"
    folder.mkdir(parents=True)
    return RunDir(folder)


def process(run: RunDir, uri: str, steps: int, wait: float) -> "subprocess.Popen[str]":
    """A process that tells a loss a hundred times a second, and waits for the server in the end."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(run.path), uri, str(steps), str(wait)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,
    )


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def told(run: RunDir) -> dict[str, list[tuple[int, str]]]:
    """The points of each curve in the journal, without those that follow the clock."""
    found: dict[str, list[tuple[int, str]]] = {}
    for line in (run.tracking / "journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        for name, value in record.get("metrics", {}).items():
            if not name.startswith("system/"):
                found.setdefault(name, []).append((record["step"], str(value)))
    return {name: sorted(points) for name, points in found.items()}


def assert_all_of_it_once(found: dict[str, Any], run: RunDir) -> None:
    """What the server holds is what the journal tells, each point, file and data set once."""
    history = {name: points for name, points in found["history"].items() if not name.startswith("system/")}
    assert {name: sorted(points) for name, points in history.items()} == told(run)
    for name, points in history.items():
        assert max(Counter(step for step, _ in points).values()) == 1, name
    for kind in ("artifacts", "inputs"):
        assert len(set(found[kind])) == len(found[kind])


@pytest.mark.parametrize(
    "mode", [pytest.param("slow 1", marks=pytest.mark.slow), "error", "lost 3", "late 3"]
)
def test_a_server_that_is_slow_or_breaks_gets_all_of_it_once(run: RunDir, server: Served, mode: str) -> None:
    server.become(mode)
    before = len(server.harm())
    with tracked(run, server.to, system_every=None, wait=PATIENCE, tags={"mlflow.user": "me"}) as logger:
        tell_everything(logger)
        wait_for(lambda: len(server.harm()) > before + 1, PATIENCE)
        if mode == "error":
            server.become("pass")
    server.become("pass")
    found = everything(server.to, run)
    assert len(found["history"]["train/loss"]) == 2500
    assert found["history"]["train/loss"] == [(step, str(1 / (step + 1))) for step in range(2500)]
    for points in found["history"].values():
        assert max(Counter(step for step, _ in points).values()) == 1
    assert found["status"] == "FINISHED"
    assert found["artifacts"] == ["checkpoints", "config.yaml", "tables"]
    assert found["inputs"] == [("ncep", "abc", "training")]
    assert json.loads(found["tags"]["mlflow.loggedArtifacts"]) == [
        {"path": "tables/skill.json", "type": "table"}
    ]
    assert not (run.tracking / "refused.jsonl").exists()


def test_telling_waits_for_no_server_that_is_paused_or_killed(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    port = free_port()
    to = Destination(f"http://127.0.0.1:{port}", timeout=2)
    costs: list[float] = []
    with mlflow_server(tmp_path / "server", port) as server:
        with tracked(run, to, system_every=None, wait=PATIENCE) as logger:

            def tell(first: int) -> None:
                for step in range(first, first + 200):
                    begin = time.perf_counter()
                    logger.log_metrics({"train/loss": float(step)}, step)
                    costs.append(time.perf_counter() - begin)

            tell(0)
            wait_for(lambda: unsent(run, to) == 0, PATIENCE)
            os.killpg(server.pid, signal.SIGSTOP)
            tell(200)
            time.sleep(3)
            os.killpg(server.pid, signal.SIGCONT)
            wait_for(lambda: unsent(run, to) == 0, PATIENCE)
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(10)
            tell(400)
            write_text(run.config, "seed: 0\n")
            logger.log_artifact(run.config)
            time.sleep(1)
            again = mlflow_server(tmp_path / "server", port)
            again.__enter__()
        try:
            found = everything(to, run)
        finally:
            again.__exit__(None, None, None)
    assert unsent(run, to) == 0
    assert sorted(found["history"]["train/loss"]) == [(step, str(float(step))) for step in range(600)]
    assert (found["status"], found["artifacts"]) == ("FINISHED", ["config.yaml"])
    assert sorted(costs)[len(costs) // 2] < 1e-3
    assert max(costs) < 1.0


def test_a_run_killed_while_the_server_hangs_arrives_once_when_it_goes_on(
    server: Served, tmp_path: Path
) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300))
    call = words(
        tmp_path,
        "data.batch_size=16",
        "trainer.max_epochs=12",
        f"tracking.uri={server.to.uri}",
        "tracking.experiment=hangs",
        "tracking.timeout=120",
    )
    run = RunDir(tmp_path / "runs" / "hangs" / "a")  # the name of the folder is what `everything` looks for
    run.path.parent.mkdir(parents=True)
    call.append("run.experiment=hangs")
    with start("train", *call) as first:
        try:
            wait_for(lambda: run.last.exists() and unsent_known(run, server.to), PATIENCE)
            server.signal(signal.SIGSTOP)
            kept = run.last.stat().st_mtime_ns
            wait_for(lambda: run.last.stat().st_mtime_ns > kept or first.poll() is not None, PATIENCE)
        finally:
            first.kill()
            first.communicate()
    server.become("lost 3")
    server.signal(signal.SIGCONT)
    result("train", *call)
    server.become("pass")
    left = result("review", "sync", f"run={run.path}", f"tracking.uri={server.to.uri}")["runs"]
    assert [one["left"] for one in left] == [0]
    found = everything(server.to, run)
    assert found["status"] == "FINISHED"
    assert_all_of_it_once(found, run)
    assert {"train/loss", "validation/loss", "test/rmse/air/6h", "speed/data_stall_share"} <= set(
        found["history"]
    )
    assert {"config.yaml", "checkpoints", "skill.csv"} <= set(found["artifacts"])
    assert provenance.read(run)["mlflow"]["run_id"] == found["id"]


def unsent_known(run: RunDir, to: Destination) -> bool:
    """Whether the server has made the run."""
    return Sent.load(run.path, to.shown).run_id is not None


def test_a_run_ends_in_time_when_the_server_hangs_and_sync_sends_the_rest(
    run: RunDir, server: Served
) -> None:
    with process(run, server.to.uri, steps=100, wait=3) as ours:
        try:
            wait_for(lambda: unsent_known(run, server.to), PATIENCE)
            server.signal(signal.SIGSTOP)
            wait_for(lambda: (run.path / "over.txt").exists(), PATIENCE)
            begin = time.monotonic()
            _, said = ours.communicate(timeout=PATIENCE)
        finally:
            ours.kill()
    assert ours.returncode == 0, said
    assert time.monotonic() - begin < 3 + 20
    assert f"`skyreel review sync run={run.path}`" in said
    server.signal(signal.SIGCONT)
    assert send_pending(run, server.to, PATIENCE).left == 0
    found = everything(server.to, run)
    assert_all_of_it_once(found, run)
    assert found["status"] == "FINISHED"


def test_ctrl_c_ends_the_wait_for_a_server(run: RunDir) -> None:
    with process(run, f"http://127.0.0.1:{free_port()}", steps=1, wait=600) as ours:
        try:
            wait_for(lambda: (run.path / "over.txt").exists(), PATIENCE)
            time.sleep(1)
            assert ours.poll() is None
            begin = time.monotonic()
            ours.send_signal(signal.SIGINT)
            ours.communicate(timeout=PATIENCE)
        finally:
            ours.kill()
    assert ours.returncode == 130
    assert time.monotonic() - begin < 30
    assert '"status":"FINISHED"' in (run.tracking / "journal.jsonl").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_sends_ends_with_its_run(run: RunDir, number: signal.Signals) -> None:
    with process(run, f"http://127.0.0.1:{free_port()}", steps=100_000, wait=600) as ours:
        try:
            wait_for(lambda: len(psutil.Process(ours.pid).children()) == 1, PATIENCE)
            (helper,) = psutil.Process(ours.pid).children()
            wait_for(lambda: (run.tracking / "journal.jsonl").exists(), PATIENCE)
            time.sleep(1)
            ours.send_signal(number)
            wait_for(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, 25)
        finally:
            ours.kill()
            ours.communicate()


def test_a_file_that_is_not_taken_holds_up_nothing_and_comes_later(
    run: RunDir, server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    server.become("full")
    write_text(run.config, "seed: 0\n")
    with caplog.at_level(logging.WARNING), tracked(run, server.to, system_every=None, wait=4) as logger:
        logger.log_artifact(run.config)
        logger.log_metrics({"x": 1.0}, 1)
        wait_for(lambda: bool(Sent.load(run.path, server.to.shown).later), PATIENCE)
    found = everything(server.to, run)
    assert (found["history"]["x"], found["artifacts"]) == ([(1, "1.0")], [])
    assert "does not take the file config.yaml now (413" in caplog.text
    assert "does not take records" not in caplog.text
    assert "1 tracking records have not reached" in caplog.text
    server.become("pass")
    synced = send_pending(run, server.to, PATIENCE)
    assert (synced.sent, synced.left) == (1, 0)
    assert everything(server.to, run)["artifacts"] == ["config.yaml"]


def test_a_run_killed_while_mlflow_makes_its_database_does_no_harm(run: RunDir, tmp_path: Path) -> None:
    to = Destination(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}", str(tmp_path / "artifacts"))
    with process(run, to.uri, steps=100_000, wait=600) as ours:
        try:
            wait_for(lambda: (tmp_path / "new" / ".mlflow.db.new").exists(), PATIENCE)
        finally:
            ours.kill()
            ours.communicate()
    assert send_pending(run, to, PATIENCE).left == 0
    found = everything(to, run)
    assert found["status"] == "KILLED"
    assert found["history"]["train/loss"] == told(run)["train/loss"]


def test_a_child_is_a_child_whichever_of_the_two_is_sent_first(run: RunDir, server: Served) -> None:
    parent = RunDir(run.path.with_name("a.sweep"))
    for folder, above in ((parent.path, None), (run.path, parent.path)):
        journal = Journal(folder)
        journal.start(run.path.parent.name, folder.name, {}, above)
        journal.append("status", status="FINISHED")
        journal.close()
    for one in (run, parent):
        assert send_pending(one, server.to, PATIENCE).left == 0
    found = {one.info.run_name: one for one in runs_of(server.to, run)}
    assert set(found) == {"a", "a.sweep"}
    assert found["a"].data.tags["mlflow.parentRunId"] == found["a.sweep"].info.run_id
    assert provenance.read(parent)["mlflow"]["run_id"] == found["a.sweep"].info.run_id


def test_no_secret_of_an_address_is_written_or_told(run: RunDir, caplog: pytest.LogCaptureFixture) -> None:
    secret = "hunter2correcthorse"
    to = Destination(f"http://me:{secret}@127.0.0.1:{free_port()}/base?token={secret}", timeout=1)
    with caplog.at_level(logging.DEBUG), tracked(run, to, system_every=None, wait=4) as logger:
        logger.log_hyperparams({"tracking": {"uri": to.uri}})
        logger.log_dataset("d", "1", to.uri, "training", profile={"from": to.uri})
        logger.set_tag("where", to.uri)
        wait_for(lambda: "does not take records now" in caplog.text, PATIENCE)
    assert send_pending(run, to, timeout=1).left > 0
    assert secret not in caplog.text
    for path in (one for one in run.path.rglob("*") if one.is_file()):
        assert secret not in path.read_text(), path
