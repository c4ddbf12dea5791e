"""From the journal to the server, in order, at least once, and never in the way of the run."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.locking import Lock
from pipelines.redact import without_secrets
from pipelines.tracking.journal import (
    JOURNAL,
    REFUSED,
    Entry,
    Journal,
    Record,
    Sent,
    count,
    first_start,
    read,
)
from pipelines.tracking.server import MOST_METRICS, RefusedError, RunGoneError, TrackedRun

log = logging.getLogger(__name__)

OnRun = Callable[[str], None]


@dataclass(frozen=True)
class Destination:
    """Where records go.

    `artifacts`: the location for the files of an experiment that has to be made (None: the server's own);
    `timeout`: seconds that one request may take, unless MLFLOW_HTTP_REQUEST_TIMEOUT says.
    """

    uri: str
    artifacts: str | None = None
    timeout: float = 30.0

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return without_secrets(self.uri)


def _ignore(run_id: str) -> None:
    pass


class Outbox:
    """The unsent end of one journal. `send` stores a piece of it and only then moves the persisted offset.

    Use it under `sender_lock`: two outboxes on one run would do all work twice.
    """

    def __init__(self, run: Path, to: Destination, on_run: OnRun = _ignore) -> None:
        self._run = run
        self._journal = run / "tracking" / JOURNAL
        self._to = to
        self._on_run = on_run
        self._sent = Sent.load(run, to.shown)
        self._tracked: TrackedRun | None = None
        self._refused = 0

    @property
    def run_id(self) -> str | None:
        """The MLflow id of the run, once it is known."""
        return self._sent.run_id

    @property
    def offset(self) -> int:
        """Bytes of the journal that the server has acknowledged."""
        return self._sent.offset

    def left(self) -> int:
        """How many records are not yet acknowledged."""
        return count(self._journal, self._sent.offset)

    def send(self) -> int:
        """Store the next piece of the journal; how many records that settled, 0 when nothing is left.

        Raises what the server makes MLflow raise; the next call connects anew and goes on where this one was.
        """
        tracked = self._tracked or self._connect()
        entries = read(self._journal, self._sent.offset)
        if not entries:
            return 0
        try:
            for group in _groups(entries):
                self._send_group(tracked, group)
                self._sent = replace(self._sent, offset=group[-1].end)
            self._tracked = tracked
        except Exception:
            self._tracked = None
            raise
        finally:
            self._sent.save(self._run)
        return len(entries)

    def _connect(self) -> TrackedRun:
        """The run on the server; when the server has lost it, a new one that gets the whole journal."""
        start = first_start(self._journal)
        if not start:
            raise RuntimeError(f"{self._journal} has no record of a start")
        tracked = TrackedRun(self._to.uri, self._to.artifacts, self._run, self._to.timeout)
        try:
            run_id = tracked.open(start, self._sent.run_id)
        except RunGoneError:
            log.warning("%s no longer has run %s; all of it is sent again", self._to.shown, self._sent.run_id)
            self._sent = Sent(self._to.shown)
            run_id = tracked.open(start, None)
        if run_id != self._sent.run_id:
            self._sent = replace(self._sent, run_id=run_id)
            self._sent.save(self._run)
            self._on_run(run_id)
        return tracked

    def _send_group(self, tracked: TrackedRun, group: list[Entry]) -> None:
        records = [entry.record for entry in group if entry.record is not None]
        if not records:
            return
        try:
            tracked.send(records)
        except RefusedError as error:
            if len(group) == 1:
                self._refuse(records[0], error)
            else:
                for entry in group:
                    self._send_group(tracked, [entry])

    def _refuse(self, record: Record, error: RefusedError) -> None:
        """Put aside a record that the server will never take, so that the rest can pass."""
        self._refused += 1
        path = self._run / "tracking" / REFUSED
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"record": record, "reason": str(error)}) + "\n")
        if self._refused == 1:
            log.warning("MLflow refused a record, which is kept in %s: %s", path, error)


def _groups(entries: list[Entry]) -> Iterator[list[Entry]]:
    """The entries in order; metrics that follow one another together, up to one request's worth."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        record = entry.record
        if record is None or record["kind"] != "metrics":
            if group:
                yield group
            group, size = [], 0
            yield [entry]
            continue
        width = len(record.get("metrics", {}))
        if group and size + width > MOST_METRICS:
            yield group
            group, size = [], 0
        group.append(entry)
        size += width
    if group:
        yield group


def sender_lock(run: Path) -> Lock:
    """The lock that whoever sends the journal of `run` holds."""
    return Lock(run / "tracking" / ".sender.lock")


class Sender:
    """A daemon thread that sends the journal as it grows and waits out a server that is slow or away.

    `interval`: seconds between looks at the journal; `longest_wait`: between tries while the server is away;
    `on_run` is called, in the thread, with the MLflow run id as soon as it is known.
    """

    def __init__(
        self,
        journal: Journal,
        to: Destination,
        *,
        on_run: OnRun = _ignore,
        interval: float = 2.0,
        longest_wait: float = 30.0,
    ) -> None:
        self._run = journal.run
        self._to = to
        self._on_run = on_run
        self._interval = interval
        self._longest_wait = longest_wait
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._hurry = False
        self._stopped = False
        self._settled = -1
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._work, name="tracking-sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self, wait: float = 15.0) -> int:
        """Send what is left for at most `wait` seconds, and end; how many records are still unsent."""
        until = time.monotonic() + wait
        path = self._run / "tracking" / JOURNAL
        size = path.stat().st_size if path.exists() else 0
        with self._changed:
            self._hurry = True
            self._wake.set()
            self._changed.wait_for(lambda: self._settled >= size, timeout=max(0.0, until - time.monotonic()))
            self._stopped = True
            self._wake.set()
        self._thread.join(max(0.2, until - time.monotonic()) if self._settled >= size else 0.2)
        left = count(path, Sent.load(self._run, self._to.shown).offset)
        if left:
            log.warning(
                "%d tracking records have not reached %s and are kept in the run directory; "
                "`skyreel sync run=%s` sends them",
                left,
                self._to.shown,
                self._run,
            )
        return left

    def _work(self) -> None:
        lock = sender_lock(self._run)
        outbox: Outbox | None = None
        tries = 0
        try:
            while not self._stopped:
                try:
                    if lock.acquire():
                        outbox = outbox or Outbox(self._run, self._to, self._on_run)
                        sent = outbox.send()
                        tries = 0
                        self._note_answer(outbox)
                    else:
                        outbox, sent = None, 0
                except Exception as error:
                    tries += 1
                    self._note_silence(error)
                    sent = 0
                if not sent:
                    self._pause(min(self._longest_wait, 2.0 ** (tries - 1)) if tries else self._interval)
        finally:
            lock.release()

    def _pause(self, seconds: float) -> None:
        """Wait; once the run is over, look again soon."""
        self._wake.wait(min(seconds, 0.5) if self._hurry else seconds)
        self._wake.clear()

    def _note_answer(self, outbox: Outbox) -> None:
        if self._away_since is not None:
            log.info("%s answers again after %.0f s", self._to.shown, time.monotonic() - self._away_since)
            self._away_since = None
        with self._changed:
            self._settled = outbox.offset
            self._changed.notify_all()

    def _note_silence(self, error: Exception) -> None:
        """One line for each time the server goes away, however often it is tried."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            reason = without_secrets(str(error)).splitlines() or [type(error).__name__]
            log.warning(
                "MLflow at %s does not take records now (%s); the run goes on and keeps them in %s",
                self._to.shown,
                reason[0][:300],
                self._run / "tracking",
            )
