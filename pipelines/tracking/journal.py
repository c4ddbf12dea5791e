"""What a run has to tell, appended to a file in its directory before anyone is asked to store it.

`<run>/tracking/journal.jsonl` holds one JSON record a line: {"kind", "time" (ms since 1970, UTC), ...}.

| kind     | content                                                      |
|----------|--------------------------------------------------------------|
| start    | key, experiment, name, tags: a launch; the first names the run; |
|          | parent: the run it is a child of, relative to this one, if any |
| params   | params: nested settings                                      |
| metrics  | metrics: {name: value}, step                                 |
| tag      | name, value                                                  |
| about    | text: of the experiment, where it has no description yet     |
| artifact | path (relative to the run directory), folder                 |
| table    | path, as above, of a table in MLflow's JSON form             |
| input    | name, digest, source, context, schema, profile               |
| status   | status: FINISHED, FAILED or KILLED                           |
"""

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipelines.rundir import write_json

log = logging.getLogger(__name__)

Kind = Literal["start", "params", "metrics", "tag", "about", "artifact", "table", "input", "status"]
Record = dict[str, Any]

JOURNAL = "journal.jsonl"
SENT = "sent.json"
REFUSED = "refused.jsonl"
FILES = ("artifact", "table")
"""Kinds of records that send a file."""


class Journal:
    """An append-only file of records; `append` never raises and takes tens of microseconds.

    The file is opened by the first `append`, so that ranks which never write never touch it. Each record is
    one write to the kernel: a killed process loses nothing that was appended; at most the last line is torn.
    """

    def __init__(self, run: Path, clock: Callable[[], float] = time.time) -> None:
        self.run = run
        self.path = run / "tracking" / JOURNAL
        self._clock = clock
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._torn = False
        self._lost = 0

    def __reduce__(self) -> tuple[type["Journal"], tuple[Path]]:
        return Journal, (self.run,)

    def append(self, kind: Kind, **content: Any) -> None:
        """Add a record, stamped now unless `time` (ms) is given. A full disk costs the record, no more."""
        try:
            record = {"kind": kind, "time": int(self._clock() * 1000), **content}
            line = json.dumps(record, separators=(",", ":"), default=str).encode() + b"\n"
            with self._lock:
                self._write(line)
        except (OSError, TypeError, ValueError) as error:
            self._lost += 1
            if self._lost == 1:
                log.warning("%s: a record could not be kept (%s); the run goes on", self.path, error)

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._torn = _ends_torn(self.path)
            self._descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
        if self._torn:
            line = b"\n" + line
        self._torn = True
        written = os.write(self._descriptor, line)
        if written < len(line):
            raise OSError("the disk is full")
        self._torn = False

    def start(self, experiment: str, name: str, tags: dict[str, str], parent: Path | None = None) -> None:
        """Note a launch. The first one makes the key under which every server knows the run.

        parent: the directory of the run that this one is a child of.
        """
        key = first_start(self.path).get("key") or uuid.uuid4().hex
        belongs = {} if parent is None else {"parent": os.path.relpath(parent, self.run)}
        self.append("start", key=key, experiment=experiment, name=name, tags=tags, **belongs)

    def close(self) -> None:
        """Close the file; another `append` opens it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def _ends_torn(path: Path) -> bool:
    """Whether the file ends within a line, as a kill or a full disk leaves it."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


@dataclass(frozen=True)
class Entry:
    """A record and the offset in bytes just after it; None where a torn line stands."""

    record: Record | None
    end: int


def read(path: Path, offset: int, limit: int = 2000) -> list[Entry]:
    """Up to `limit` entries from `offset` on; a line still being written is left for the next time."""
    entries: list[Entry] = []
    if not path.exists():
        return entries
    with path.open("rb") as file:
        file.seek(offset)
        while len(entries) < limit and (line := file.readline()).endswith(b"\n"):
            entries.append(Entry(_parse(line), file.tell()))
    return entries


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record and "time" in record else None


def count(path: Path, offset: int) -> int:
    """How many records stand at and after `offset`."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def first_start(path: Path) -> Record:
    """The record of the first launch; empty when there is none."""
    for entry in read(path, 0, limit=20):
        if entry.record and entry.record["kind"] == "start":
            return entry.record
    return {}


@dataclass(frozen=True)
class Sent:
    """How far the journal has reached a server: what `<run>/tracking/sent.json` holds.

    `later`: where records before `offset` begin whose files the server did not take yet.
    """

    uri: str
    offset: int = 0
    run_id: str | None = None
    later: tuple[int, ...] = ()

    @staticmethod
    def load(run: Path, uri: str) -> "Sent":
        """What was sent to `uri`; nothing when the file is absent, unreadable, or about another server."""
        try:
            found = Sent(**json.loads((run / "tracking" / SENT).read_text(encoding="utf-8")))
            found = replace(found, later=tuple(found.later))
        except (OSError, ValueError, TypeError):
            return Sent(uri)
        path = run / "tracking" / JOURNAL
        whole = path.exists() and found.offset <= path.stat().st_size
        return found if found.uri == uri and whole else Sent(uri)

    def left(self, run: Path) -> int:
        """How many records of the run's journal the server has not acknowledged."""
        return count(run / "tracking" / JOURNAL, self.offset) + len(self.later)

    def save(self, run: Path) -> None:
        """Publish the state; what it says has been acknowledged by the server."""
        write_json(run / "tracking" / SENT, asdict(self))
