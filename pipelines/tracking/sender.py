"""From the journal to the server, in order, at least once, and never in the way of the run."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.locking import Lock
from pipelines.redact import masked, without_secrets
from pipelines.tracking.journal import (
    FILES,
    JOURNAL,
    REFUSED,
    Entry,
    Record,
    Sent,
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


def told(error: Exception) -> str:
    """What went wrong, in one line without secrets."""
    return (masked(str(error)).strip().splitlines() or [type(error).__name__])[0][:300]


def _ignore(run_id: str) -> None:
    pass


class FilesLeftError(Exception):
    """Everything is sent but for files that the server does not take, though it answers."""


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
        self._known: str | None = None
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
        return self._sent.left(self._run)

    def open(self) -> str:
        """The MLflow id of the run, found or made; nothing is sent."""
        self._tracked = self._tracked or self._connect()
        return self._tracked.run_id

    def send(self) -> int:
        """Store the next piece of the journal; how many records that settled, 0 when nothing is left.

        A file that the server does not take, though it answers, is passed over and tried again once the rest
        is through. Raises what the server makes MLflow raise; the next call connects anew and goes on where
        this one was.
        """
        tracked = self._tracked or self._connect()
        entries = read(self._journal, self._sent.offset)
        try:
            for group in _groups(entries):
                self._send_or_put_off(tracked, group)
            settled = len(entries) or self._send_files_put_off(tracked)
            self._tracked = tracked
        except Exception:
            self._tracked = None
            raise
        finally:
            if entries or self._sent.later:
                self._sent.save(self._run)
        return settled

    def _send_or_put_off(self, tracked: TrackedRun, group: list[Entry]) -> None:
        """Send the group that begins at the offset, and move the offset behind it."""
        begin, later, first = self._sent.offset, self._sent.later, group[0].record
        try:
            self._send_group(tracked, group)
        except Exception:
            if first is None or first["kind"] not in FILES:
                raise
            tracked.ask()  # raises where the server is away: then everything waits, in order
            try:
                self._send_group(tracked, group)
            except Exception as error:
                words = "%s does not take the file %s now (%s); the rest goes on, and it is tried again"
                log.warning(words, self._to.shown, first["path"], told(error))
                later = (*later, begin)
        self._sent = replace(self._sent, offset=group[-1].end, later=later)

    def _send_files_put_off(self, tracked: TrackedRun) -> int:
        """How many of the files put off the server takes now, which are all; FilesLeftError otherwise."""
        before, failed = self._sent.later, None
        for begin in before:
            try:
                self._send_group(tracked, read(self._journal, begin, limit=1))
            except Exception as error:
                failed = failed or error
            else:
                self._sent = replace(self._sent, later=tuple(x for x in self._sent.later if x != begin))
        if failed is not None:
            raise FilesLeftError(f"{len(self._sent.later)} files: {told(failed)}") from failed
        return len(before)

    def _connect(self) -> TrackedRun:
        """The run on the server; when the server has lost it, a new one that gets the whole journal."""
        start = first_start(self._journal)
        if not start:
            raise RuntimeError(f"{self._journal} has no record of a start")
        parent = self._parent(start)
        tracked = TrackedRun(self._to.uri, self._to.artifacts, self._run, self._to.timeout)
        try:
            run_id = tracked.open(start, self._sent.run_id, parent)
        except RunGoneError:
            log.warning("%s no longer has run %s; all of it is sent again", self._to.shown, self._sent.run_id)
            self._sent = Sent(self._to.shown)
            run_id = tracked.open(start, None, parent)
        if run_id != self._sent.run_id:
            self._sent = replace(self._sent, run_id=run_id)
            self._sent.save(self._run)
        if run_id != self._known:
            self._known = run_id
            self._on_run(run_id)
        return tracked

    def _parent(self, start: Record) -> str | None:
        """The MLflow id of the run that this one is a child of, made where nobody has; None without one."""
        if not start.get("parent"):
            return None
        folder = (self._run / start["parent"]).resolve()
        if (known := Sent.load(folder, self._to.shown).run_id) is not None:
            return known
        if not first_start(folder / "tracking" / JOURNAL):
            return None  # it was moved away: this run stands alone
        lock = sender_lock(folder)
        if not lock.acquire(wait=1.0):
            raise RuntimeError(f"the run {folder.name}, which this one belongs to, is just being made there")
        with lock:
            return Outbox(folder, self._to).open()

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
            file.write(json.dumps({"record": record, "reason": masked(str(error))}) + "\n")
        if self._refused == 1:
            log.warning("MLflow refused a record, which is kept in %s: %s", path, told(error))


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
