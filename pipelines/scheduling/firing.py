"""What a due time starts: processes of `skyreel retrain` that live on when the scheduler ends."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipelines.redact import masked
from pipelines.retraining.exit_codes import FAILED, MISTAKE, OF_OUTCOME
from pipelines.scheduling.scheduled_jobs import ScheduledJob

COMMAND = (sys.executable, "-m", "pipelines")
WATCH = "watch-champion"
OUTCOMES = {status: outcome for outcome, status in OF_OUTCOME.items()} | {MISTAKE: "mistake"}


@dataclass(frozen=True)
class Launch:
    """How shots are started.

    runs: the folder paths.runs.     words: settings passed on to each shot.     command: the program.
    """

    runs: Path
    words: tuple[str, ...] = ()
    command: Sequence[str] = COMMAND

    def log(self, job: str) -> Path:
        """What the processes of a job write, below one another."""
        return self.runs / "retrain" / job / "scheduled.log"

    def start(self, job: ScheduledJob, action: str | None, now: datetime | None) -> subprocess.Popen[bytes]:
        """`skyreel retrain` in a session of its own: no signal to the scheduler, nor its end, reaches it."""
        call = [*self.command, "retrain", *([action] if action else []), f"job={job.named}"]
        if now is not None:
            call.append(f"now={now.isoformat()}")
        path = self.log(job.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            return subprocess.Popen(
                [*call, *self.words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@dataclass
class Firing:
    """One due time at work: the champion is watched first where the job says so, then comes the shot.

    In this order a champion that turned out bad is rolled back before a challenger starts from its weights.
    now: what the processes take to be now; None leaves them the clock.
    watched, status: exit statuses, None as long as there is none; of a process that a signal ended, -signal.
    trouble: why no process could be started.
    """

    job: ScheduledJob
    due: datetime
    launch: Launch
    now: datetime | None = None
    watched: int | None = None
    status: int | None = None
    trouble: str | None = None
    began: float = field(default_factory=time.monotonic)
    _process: subprocess.Popen[bytes] | None = None
    _shot: bool = False

    def go_on(self, stopping: bool = False) -> bool:
        """Start what is next once its predecessor has ended; False when the firing is over.

        stopping: nothing new is started any more.
        """
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return True
            self._process = None
            if self._shot:
                self.status = status
                return False
            self.watched = status
        if self._shot or stopping:
            return False
        self._shot = not self.job.watch or self.watched is not None
        try:
            self._process = self.launch.start(self.job, None if self._shot else WATCH, self.now)
        except OSError as error:
            self.trouble = f"no process could be started: {error}"
            return False
        return True

    @property
    def has_ended(self) -> bool:
        """Whether the shot has ended or could not be started."""
        return self.status is not None or self.trouble is not None

    @property
    def has_shot(self) -> bool:
        """Whether the shot itself was started."""
        return self._shot

    @property
    def process(self) -> int | None:
        """The process id of what is at work."""
        return None if self._process is None else self._process.pid

    @property
    def outcome(self) -> str:
        """How the shot ended, in a word: that of the decision, mistake, or failed."""
        return OUTCOMES.get(FAILED if self.status is None else self.status, "failed")

    @property
    def ended_ill(self) -> bool:
        """Whether somebody has to look: the shot failed, was mistaken, or was ended by a signal."""
        return self.outcome in ("failed", "mistake")

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self.began

    def last_words(self, most: int = 3) -> str:
        """Why no process could be started, else the last lines that the job's wrote, without secrets."""
        if self.trouble is not None:
            return masked(self.trouble)
        with self.launch.log(self.job.name).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
        return masked(" / ".join([line.strip() for line in lines if line.strip()][-most:]))
