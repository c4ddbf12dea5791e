"""Processes of a test found by a mark in their environment, however they were started and whoever lives."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.pipelines.small_files import ROOT

DYING = ROOT / "tests" / "pipelines" / "dying_rank.py"
PATIENCE = 240.0


@dataclass
class Family:
    """All processes that descend from the `start`ed ones. Messages go to `said`."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, command: Sequence[str], before: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        """`command` of python, in a process group of its own; `before` are words in front of it."""
        with self.said.open("ab") as file:
            process = subprocess.Popen(
                [*before, sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "FAMILY": self.mark, **environment},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    @property
    def said(self) -> Path:
        """The file with what they all wrote."""
        return self.folder / f"said-{self.mark}.txt"

    def living(self) -> dict[int, str]:
        """The processes that live, with their commands."""
        found = {}
        mark = f"FAMILY={self.mark}".encode()
        for process in self.started:
            process.poll()
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def wait_for(self, what: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Return once `what` holds. AssertionError when it does not in time, or all have ended."""
        until = time.monotonic() + seconds
        while not what():
            alive = self.living()
            assert time.monotonic() < until, f"it never came; alive: {alive}\n{self.told()}"
            assert alive or what(), f"all have ended:\n{self.told()}"
            time.sleep(0.05)

    def seconds_until_gone(self, patience: float = 60.0) -> float:
        """Seconds until none lives. AssertionError after `patience`."""
        began = time.monotonic()
        while alive := self.living():
            assert time.monotonic() - began < patience, f"alive: {alive}\n{self.told()}"
            time.sleep(0.05)
        return time.monotonic() - began

    def told(self) -> str:
        """What they wrote."""
        return self.said.read_text(errors="replace") if self.said.exists() else ""


@contextlib.contextmanager
def family(folder: Path) -> Iterator[Family]:
    """A new family; what still lives of it at the end is killed."""
    found = Family(folder)
    try:
        yield found
    finally:
        for process in found.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for started in found.started:
            started.wait()
