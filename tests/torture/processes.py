"""Processes of one launch: started with a mark in their environment, found by it, never lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "SKYREEL_TORTURE"


@dataclass
class Launch:
    """A verb in a session of its own; whatever it starts inherits its mark."""

    words: list[str]
    mark: str
    log: Path
    process: "subprocess.Popen[bytes]" = field(init=False)
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", MARK: self.mark}
        self.begun = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipelines", *self.words],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def tail(self) -> str:
        """The last lines of it."""
        return "\n".join(self.said.splitlines()[-40:])

    def signal_group(self, number: int) -> None:
        """Signal every process of its group, as a terminal and a batch system do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def processes(self) -> list[int]:
        """The living processes that carry its mark, its own first."""
        return marked(self.mark)

    def gone_after(self, patience: float) -> float | None:
        """Seconds until no process of the launch was left; None when one outlives `patience`."""
        begin = time.monotonic()
        while True:
            ended = self.process.poll() is not None
            if ended and not self.processes():
                return time.monotonic() - begin
            if time.monotonic() - begin > patience:
                return None
            time.sleep(0.05)

    def end(self) -> None:
        """Kill whatever is left of it."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)


def marked(mark: str) -> list[int]:
    """The living processes (no zombies) whose environment holds `mark`, by number."""
    wanted = f"{MARK}={mark}".encode()
    return sorted(number for number in _numbers() if wanted in _environment(number) and _lives(number))


def command_of(process: int) -> str:
    """The command line of a process, for people; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _numbers() -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            yield int(entry.name)


def _environment(process: int) -> list[bytes]:
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's
        return []


def _lives(process: int) -> bool:
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")
