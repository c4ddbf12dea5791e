"""One trial as a process, with everything it starts in one group that ends with it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.ranks import ENDS_WITH_PARENT
from pipelines.redact import masked
from pipelines.settings import TrainerOptions

PATIENCE = 60.0
"""Seconds that a trial has to write its checkpoint once it is asked to stop."""
STOPPED = (130, 138, 143, -signal.SIGINT, -signal.SIGUSR1, -signal.SIGTERM)
"""Exit statuses of a trial that was told to stop, in order or before it could listen."""


class TrialProcess:
    """`train` with some words, in a session of its own: Ctrl-C in the terminal reaches the sweep alone.

    The process watches this one (`end_with_parent`): it stops in order when the sweep is killed.
    patience: seconds between `stop` and SIGKILL.
    """

    def __init__(
        self, words: Sequence[str], output: Path, environment: Mapping[str, str], patience: float = PATIENCE
    ) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self._output = output
        self._patience = patience
        self._began = time.monotonic()
        self._asked: float | None = None
        self._start = output.stat().st_size if output.exists() else 0
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines", "train", *words],
                env={**os.environ, **environment, ENDS_WITH_PARENT: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._began

    def ended(self) -> int | None:
        """The exit status once the process is gone, and with it all that it started; None while it runs.

        The group is ended before the process is reaped: until then its number cannot be another's.
        """
        if self._process.returncode is not None:
            return self._process.returncode
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if self._asked is not None and time.monotonic() - self._asked > self._patience:
                self.kill()
            return None
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def stop(self) -> None:
        """Ask all of the group to stop in order, once; it is killed when it takes longer than `patience`."""
        if self._asked is None:
            self._asked = time.monotonic()
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all of the group now."""
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def last_words(self, most: int = 3) -> str:
        """The last lines that this launch wrote, without secrets."""
        with self._output.open("rb") as file:
            file.seek(max(self._start, self._output.stat().st_size - 4096))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
        return masked(" / ".join(line.strip() for line in lines if line.strip()[:1])[-300 * most :])

    def last_message(self, most: int = 160) -> str:
        """The last message that this launch logged, without secrets (see the function)."""
        with self._output.open("rb") as file:
            file.seek(max(self._start, self._output.stat().st_size - 4096))
            return masked(last_message(file.read().decode("utf-8", errors="replace"), most))


MESSAGE = re.compile(r"\d\d:\d\d:\d\d [A-Z]+ (.*)")
"""A line of the log of a verb: clock, level, message."""


def last_message(text: str, most: int = 160) -> str:
    """The last whole message in what a verb has logged, at most so many characters; "begins" before any."""
    lines = text.split("\n")[:-1]
    found = next((match[1] for line in reversed(lines) if (match := MESSAGE.fullmatch(line))), "begins")
    return found if len(found) <= most else f"{found[:most]}..."


def share_of(
    slot: int, parallel: int, options: TrainerOptions, gpus: Sequence[str], processors: int
) -> dict[str, str]:
    """What the environment of a trial says so that `parallel` trials do not get in each other's way.

    slot: the place of the trial among those at once.   gpus: the ids of the GPUs that may be used.
    Each has a GPU (trainer.devices of them) of its own as far as they go round, or its share of processors.
    """
    if parallel == 1:
        return {}
    found: dict[str, str] = {}
    if gpus and options.accelerator != "cpu":
        each = options.devices if isinstance(options.devices, int) else max(1, len(gpus) // parallel)
        mine = dict.fromkeys(gpus[(slot * each + number) % len(gpus)] for number in range(each))
        found["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
    if options.threads is None:
        ranks = options.devices if isinstance(options.devices, int) else 1
        found["OMP_NUM_THREADS"] = str(max(1, processors // (parallel * ranks)))
    return found
