"""The process that sends a run's journal, seen from the run and from within.

It is a process and not a thread because a thread that imports MLflow, or writes a batch into a database,
takes turns with training at every line of Python. The two talk in lines of JSON: the run says what to do, and
that it has ended; the process tells the run's MLflow id and what belongs into the log. It ends with the run,
however that ends, and a run never waits for it but in `Sender.close`.
"""

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pipelines.tracking.journal import JOURNAL, Sent
from pipelines.tracking.sender import Destination, FilesLeftError, Outbox, sender_lock, told

log = logging.getLogger(__name__)

BEGIN = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import main; main()"
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
"""Signals that are meant for the run: it ends in order, and how it ended is still to be sent."""
AGAIN = 5
"""How many times in a run the process is started again after something has killed it."""
NICE = 10
"""How much the process steps back when processors are short."""


class Sender:
    """Sends the journal of `run` as it grows, in a process that waits out a server that is slow or away.

    `interval`: seconds between looks at the journal; `longest_wait`: between tries while the server is away;
    `on_run` is called, in a thread, with the MLflow run id as soon as it is known.
    """

    def __init__(
        self,
        run: Path,
        to: Destination,
        *,
        on_run: Callable[[str], None] = lambda run_id: None,
        interval: float = 2.0,
        longest_wait: float = 30.0,
    ) -> None:
        self._run, self._to, self._on_run = run, to, on_run
        self._order = {"run": str(run), "to": asdict(to), "interval": interval, "longest_wait": longest_wait}
        self._process: subprocess.Popen[bytes] | None = None
        self._listening = threading.Thread()
        self._again = AGAIN
        self._closing = threading.Event()
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin to send. What the system refuses is told, and costs the run no more than its tracking."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", BEGIN, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("nothing is sent to %s during this run: %s", self._to.shown, error)
            return
        self._process = process
        self._tell({**self._order, "parent": os.getpid()})
        self._listening = threading.Thread(
            target=self._listen, args=(process,), name="tracking-sender", daemon=True
        )
        self._listening.start()

    def close(self, wait: float = 15.0) -> int:
        """Send what is left for at most `wait` seconds, and end; how many records are still unsent."""
        until = time.monotonic() + wait
        self._closing.set()
        with self._starting:
            pass  # one that died just now has been followed by another, or will not be
        while self._process is not None:
            process = self._process
            self._end(process, until)
            killed = process.returncode != 0 and time.monotonic() < until
            if not killed or not self._again:
                break
            self._again -= 1
            self.start()
            if self._process is process:
                break  # the system gave no other
        left = Sent.load(self._run, self._to.shown).left(self._run)
        if left:
            log.warning(
                "%d tracking records have not reached %s and are kept in the run directory; "
                "`skyreel review sync run=%s` sends them",
                left,
                self._to.shown,
                self._run,
            )
        return left

    def _end(self, process: subprocess.Popen[bytes], until: float) -> None:
        """Have the process send what is left until then, and end."""
        try:
            self._tell({"end": True})
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        finally:
            process.kill()
            process.wait()
        if self._listening.is_alive():
            self._listening.join(5.0)
        _close_pipes(process)

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died; what is left is told at the end
            self._process.stdin.write(json.dumps(what).encode() + b"\n")

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what the process tells until it ends; start another where something has killed it."""
        assert process.stdout is not None
        for line in iter(process.stdout.readline, b""):
            heard = json.loads(line)
            if "run_id" in heard:
                self._on_run(heard["run_id"])
            else:
                log.log(heard["level"], "%s", heard["text"])
        if process.wait() == 0 or self._closing.wait(1.0):
            return
        with self._starting:
            if not self._closing.is_set() and self._again:
                self._again -= 1
                _close_pipes(process)
                log.warning("the process that sends tracking records was killed; another goes on")
                self.start()


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def main() -> None:
    """Send one journal, as the line on standard input says, until that says that the run has ended."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    tell = _Told(os.fdopen(os.dup(1), "wb", buffering=0))
    os.dup2(2, 1)  # what libraries print is no message
    heard = os.fdopen(0, "rb", buffering=0)
    order = json.loads(heard.readline())
    logging.basicConfig(level=logging.INFO, handlers=[tell], force=True)
    ended = threading.Event()
    threading.Thread(target=_obey, args=(heard, order["parent"], ended), daemon=True).start()
    run, to = Path(order["run"]), Destination(**order["to"])
    try:
        _send(run, to, tell.run_id, ended, order["interval"], order["longest_wait"])
    except Exception as error:
        log.warning("nothing more is sent to %s during this run: %s", to.shown, told(error))
    os._exit(0)  # no thread of a library may hold up the end


class _Told(logging.Handler):
    """Writes lines for `Sender`; a run that is gone ends this process."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a log line."""
        if record.name.partition(".")[0] == "pipelines":
            self._line({"level": record.levelno, "text": record.getMessage()})

    def run_id(self, run_id: str) -> None:
        """Tell the run's id."""
        self._line({"run_id": run_id})

    def _line(self, what: dict[str, Any]) -> None:
        try:
            self._pipe.write(json.dumps(what).encode() + b"\n")
        except OSError:
            os._exit(1)


def _obey(heard: IO[bytes], parent: int, ended: threading.Event) -> None:
    """Set `ended` when the run says so; end this process, in the middle of a request if need be, once the run
    is gone. Data workers that outlive it may hold the pipe open, so its pid counts too."""
    while True:
        readable, _, _ = select.select([heard], [], [], 1.0)
        if (readable and not heard.readline()) or os.getppid() != parent:
            os._exit(1)
        if readable:
            ended.set()


def _send(
    run: Path,
    to: Destination,
    on_run: Callable[[str], None],
    ended: threading.Event,
    interval: float,
    longest_wait: float,
) -> None:
    """Send what is in the journal and what comes; return once the run has ended and all has arrived."""
    lock, journal = sender_lock(run), run / "tracking" / JOURNAL
    outbox: Outbox | None = None
    away_since: float | None = None
    pause = interval
    while True:
        over, sent = ended.is_set(), 0
        if journal.exists() and lock.acquire():
            try:
                outbox = outbox or Outbox(run, to, on_run)
                sent = outbox.send()
                if over and not outbox.left():
                    return
                if away_since is not None:
                    log.info("%s answers again after %.0f s", to.shown, time.monotonic() - away_since)
                away_since, pause = None, interval
            except FilesLeftError:  # the log has it already
                pause = longest_wait
            except Exception as error:
                if away_since is None:
                    away_since, pause = time.monotonic(), 0.5
                    words = (
                        "MLflow at %s does not take records now (%s); the run goes on and keeps them in %s"
                    )
                    log.warning(words, to.shown, told(error), run / "tracking")
                pause = min(longest_wait, 2 * pause)
        if over:
            time.sleep(0.0 if sent else 0.2)
        elif not sent:
            ended.wait(pause)
