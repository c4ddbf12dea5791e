"""What tracking costs a training step while the tracking server is well, slow, broken, paused, back or dead.

    python -m benchmarks.tracking [--json]

A small convolutional network takes steps on one thread and tells three figures at every tenth step, as
training does: to a local database, to a real `mlflow server` behind a proxy that delays answers or replaces
them by errors 500, and to nobody. Each is a process of its own; they take turns of a second, one being
stopped while the other works, so that a busy machine slows both. A helper sends for a run, and
goes on while the run is stopped. `ratio` is the median over the turns of tracked over untracked time, of the
median and of the mean step of a turn: the mean also holds rare long steps. Exits with 1 when a ratio of
medians is more than 1.05.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

STATES = ("well", "slow", "error 500", "paused", "back", "killed")
TURNS = 5
SECONDS = 1.0
ALLOWED = 1.05
PROXY = Path(__file__).parents[1] / "tests" / "pipelines" / "faulty_proxy.py"


def take_steps(run: Path, uri: str) -> None:
    """Train until killed; a line "begin seconds" a step in `run`/steps.txt. No tracking without `uri`."""
    import torch
    from torch import nn

    from pipelines.rundir import RunDir
    from pipelines.tracking.sender import Destination
    from pipelines.tracking.session import tracked

    torch.set_num_threads(1)
    torch.manual_seed(0)
    logging.getLogger("pipelines").setLevel(logging.ERROR)
    network = nn.Sequential(nn.Conv2d(8, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten())
    optimizer = torch.optim.AdamW(network.parameters())
    batch = torch.randn(8, 8, 32, 32)
    to = Destination(uri, None if uri.startswith("http") else str(run / "artifacts")) if uri else None
    with (
        (run / "steps.txt").open("w", buffering=1) as told,
        tracked(RunDir(run), to, system_every=10.0 if uri else None) as logger,
    ):
        step = 0
        while True:
            begin = time.monotonic()
            optimizer.zero_grad()
            loss = network(batch).square().mean()
            loss.backward()
            optimizer.step()
            step += 1
            if uri and step % 10 == 0:
                logger.log_metrics({"train/loss": loss.item(), "train/rate": 1e-3, "epoch": 0.0}, step)
            told.write(f"{begin} {time.monotonic() - begin}\n")


class Worker:
    """A process that takes steps, stopped but for its turns."""

    def __init__(self, run: Path, uri: str) -> None:
        run.mkdir(parents=True)
        self.told = run / "steps.txt"
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--steps", str(run), uri],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ready(self) -> None:
        """Wait for the first steps, and for the import of MLflow to be over; then stop."""
        _wait(lambda: self.told.exists() and self.told.stat().st_size > 0)
        time.sleep(6.0)
        self.process.send_signal(signal.SIGSTOP)

    def turn(self) -> list[float]:
        """Seconds of each step that began and ended in one turn."""
        place, begin = self.told.stat().st_size, time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(SECONDS)
        self.process.send_signal(signal.SIGSTOP)
        lines = self.told.read_bytes()[place:].decode().splitlines()[:-1]
        pairs = [(float(one), float(other)) for one, other in map(str.split, lines[1:])]
        return [seconds for start, seconds in pairs if start >= begin]


def compare(tracking: Worker, untracked: Worker) -> dict[str, float]:
    """Ratios of the median and mean step, and the median and worst steps in ms, over all turns."""
    ratios: dict[str, list[float]] = {"median": [], "mean": []}
    found: dict[str, list[float]] = {"tracked": [], "untracked": []}
    for _ in range(TURNS):
        now, bare = tracking.turn(), untracked.turn()
        found["tracked"] += now
        found["untracked"] += bare
        ratios["median"].append(statistics.median(now) / statistics.median(bare))
        ratios["mean"].append(statistics.mean(now) / statistics.mean(bare))
    return {
        "ratio": statistics.median(ratios["median"]),
        "ratio_of_means": statistics.median(ratios["mean"]),
        **{f"{name}_ms": 1e3 * statistics.median(steps) for name, steps in found.items()},
        **{f"{name}_worst_ms": 1e3 * max(steps) for name, steps in found.items()},
    }


class Server:
    """A real server behind the proxy, and what is done to them."""

    def __init__(self, folder: Path) -> None:
        ports = [_free_port(), _free_port()]
        self.port, self.mode = ports[0], folder / "mode.txt"
        self.uri = f"http://127.0.0.1:{self.port}"
        self.mode.write_text("pass")
        database = f"sqlite:///{folder / 'server.db'}"
        place = ["--backend-store-uri", database, "--artifacts-destination", str(folder)]
        self.proxy = _start(str(PROXY), *map(str, ports), str(folder))
        self.server = _start("-m", "mlflow", "server", *place, "--port", str(ports[1]), "--workers", "1")

    def ready(self) -> None:
        """Wait until it answers."""
        _wait(self._answers)

    def become(self, state: str) -> None:
        """Do what `state` says; "killed" cannot be undone."""
        self.mode.write_text({"slow": "slow 2", "error 500": "error"}.get(state, "pass"))
        if number := {"paused": signal.SIGSTOP, "back": signal.SIGCONT, "killed": signal.SIGKILL}.get(state):
            os.killpg(self.server.pid, number)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


def _start(*words: str) -> "subprocess.Popen[bytes]":
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 180
    while not true():
        if time.monotonic() > until:
            raise TimeoutError("a process that was started does not work")
        time.sleep(0.2)


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """The figures of every state."""
    with contextlib.ExitStack() as stack:
        server = Server(folder)
        for process in (server.proxy, server.server):
            stack.callback(_end, process)
        server.ready()
        uris = {"none": "", "sqlite": f"sqlite:///{folder / 'mlflow.db'}", "server": server.uri}
        workers = {name: Worker(folder / "runs" / "bench" / name, uri) for name, uri in uris.items()}
        for worker in workers.values():
            stack.callback(worker.process.wait)
            stack.callback(worker.process.kill)
        for worker in workers.values():
            worker.ready()
        found = {"sqlite": compare(workers["sqlite"], workers["none"])}
        for state in STATES:
            server.become(state)
            found[state] = compare(workers["server"], workers["none"])
        return found


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main() -> int:
    """Print the figures; 1 when the median step of any state is more than 5 % slower, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--steps", nargs=2, metavar=("RUN", "URI"), help="take steps until killed")
    asked = parser.parse_args()
    if asked.steps:
        take_steps(Path(asked.steps[0]), asked.steps[1])
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder))
    lines = [
        f"{state:9s}  median step {one['tracked_ms']:6.2f} ms, untracked {one['untracked_ms']:6.2f} ms, "
        f"ratio {one['ratio']:.3f} (of means {one['ratio_of_means']:.3f}); "
        f"worst {one['tracked_worst_ms']:.0f} and {one['untracked_worst_ms']:.0f} ms"
        for state, one in result.items()
    ]
    worst = max(one["ratio"] for one in result.values())
    lines.append(f"worst ratio of medians {worst:.3f} (at most {ALLOWED})")
    sys.stdout.write((json.dumps(result) if asked.json else "\n".join(lines)) + "\n")
    return 0 if worst <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
