"""Real tracking servers, a proxy before them that does harm, and all that a server holds of a run."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.rundir import RunDir, write_text
from pipelines.tracking.journal import Sent
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Destination

PROXY = Path(__file__).with_name("faulty_proxy.py")


def client(to: Destination) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=to.uri, registry_uri=to.uri)


def runs_of(to: Destination, run: RunDir) -> list[Any]:
    experiment = client(to).get_experiment_by_name(run.path.parent.name)
    return list(client(to).search_runs([experiment.experiment_id])) if experiment else []


def everything(to: Destination, run: RunDir) -> dict[str, Any]:
    """All that the server holds of the only run of the test."""
    (found,) = runs_of(to, run)
    asked = client(to)
    history = {
        name: [(m.step, str(m.value)) for m in asked.get_metric_history(found.info.run_id, name)]
        for name in found.data.metrics
    }
    return {
        "id": found.info.run_id,
        "status": found.info.status,
        "start": found.info.start_time,
        "end": found.info.end_time,
        "params": found.data.params,
        "tags": found.data.tags,
        "history": history,
        "inputs": [(i.dataset.name, i.dataset.digest, i.tags[0].value) for i in found.inputs.dataset_inputs],
        "artifacts": sorted(item.path for item in asked.list_artifacts(found.info.run_id)),
    }


def tell_everything(logger: JournalLogger) -> None:
    write_text(logger.run.config, "seed: 0\n")
    write_text(logger.run.best, "weights")
    logger.log_hyperparams({"model": {"kind": "convgru"}, "text": "x" * 900, "sizes": [1, 2]})
    for step in range(2500):
        logger.log_metrics({"train/loss": 1 / (step + 1)}, step)
    logger.log_metrics({"test/rmse/air/24h": 2.1, "not/a number": float("nan"), "odd: name": 1.0})
    logger.log_artifact(logger.run.config)
    logger.log_checkpoints()
    logger.log_table("skill", ["lead", "rmse"], [["24h", 2.1]])
    logger.log_dataset("ncep", "abc", "/data/a.nc", "training")
    logger.note("A first run.")


def unsent(run: RunDir, to: Destination) -> int:
    journal = run.tracking / "journal.jsonl"
    return journal.stat().st_size - Sent.load(run.path, to.shown).offset


def wait_for(true: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not so after {seconds} s"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real server in a process group of its own, ready to answer; killed at the end."""
    place = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder),
    ]
    command = [sys.executable, "-m", "mlflow", "server", *place, "--port", str(port), "--workers", "1"]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }
    with (folder / "log.txt").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: answers(port), 120)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def answers(port: int, page: str = "health") -> bool:
    """Whether a server of runs is there, or, at the page `ping`, one that answers for a model."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=1) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@dataclass(frozen=True)
class Served:
    """A real server behind the proxy; `to` is the proxy's address."""

    to: Destination
    server: "subprocess.Popen[bytes]"
    folder: Path

    def become(self, mode: str) -> None:
        """Have the proxy do harm from the next request on (see faulty_proxy.py)."""
        beside = self.folder / "mode.txt.new"
        beside.write_text(mode)
        beside.replace(self.folder / "mode.txt")

    def harm(self) -> list[str]:
        """What harm was done so far."""
        path = self.folder / "harm.txt"
        return path.read_text().splitlines() if path.exists() else []

    def signal(self, number: signal.Signals) -> None:
        """Signal all processes of the server."""
        os.killpg(self.server.pid, number)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A server and a proxy, ready to answer; killed at the end."""
    (folder / "mode.txt").write_text("pass")
    port, inner = free_port(), free_port()
    words = [sys.executable, str(PROXY), str(port), str(inner), str(folder)]
    with mlflow_server(folder, inner) as server, (folder / "proxy.txt").open("ab") as log:
        proxy = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_for(lambda: answers(port), 60)
            yield Served(Destination(f"http://127.0.0.1:{port}"), server, folder)
        finally:
            proxy.kill()
            proxy.wait(10)
