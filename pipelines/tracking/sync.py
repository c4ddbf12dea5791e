"""Send what a run kept, from another process and at any later time: `review sync`."""

import logging
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from datamodules.errors import InputError
from pipelines import provenance
from pipelines.find_run import find_run
from pipelines.rundir import RunDir
from pipelines.tracking.journal import JOURNAL, Journal, Record, first_start, read
from pipelines.tracking.sender import Destination, Outbox, sender_lock, told

log = logging.getLogger(__name__)

LONGEST_WAIT = 8.0


@dataclass(frozen=True)
class Synced:
    """What came of one run: its directory, its MLflow id, how many records were sent and are left."""

    run: str
    run_id: str | None
    sent: int
    left: int
    reason: str | None = None


def send_pending(run: RunDir, to: Destination, timeout: float = 60.0) -> Synced:
    """Send the unsent records of `run`, trying for `timeout` seconds while the server does not answer.

    A run whose launcher died without a word is ended as KILLED at the time of its last record. InputError
    when another process sends this run, or when it has no journal.
    """
    if not first_start(run.tracking / JOURNAL):
        raise InputError(f"{run.path}: has no journal of tracking records, so there is nothing to send")
    lock = sender_lock(run.path)
    if not lock.acquire(wait=3.0):
        raise InputError(
            f"{run.path}: {lock.holder()} sends this run (it is still going on); sync it once that has ended"
        )
    with lock:
        _end_if_dead(run)
        experiment = first_start(run.tracking / JOURNAL)["experiment"]
        outbox = Outbox(run.path, to, partial(provenance.note_mlflow, run, to.shown, experiment))
        return _drain(run, outbox, timeout)


def _drain(run: RunDir, outbox: Outbox, timeout: float) -> Synced:
    until = time.monotonic() + timeout
    before = outbox.left()
    pause = 1.0
    reason: str | None = None
    while time.monotonic() < until:
        try:
            if not outbox.send():
                reason = None
                break
            pause, reason = 1.0, None
        except Exception as error:
            reason = told(error)
            log.debug("not sent: %s", reason)
            time.sleep(max(0.0, min(pause, until - time.monotonic())))
            pause = min(2 * pause, LONGEST_WAIT)
    left = outbox.left()
    return Synced(str(run.path), outbox.run_id, before - left, left, reason if left else None)


def _end_if_dead(run: RunDir) -> None:
    """Note the end of a run that nobody works on and that never said how it ended."""
    lock = run.lock()
    if not lock.acquire():
        return
    with lock:
        last: Record | None = None
        newest = 0
        offset = 0
        path = run.tracking / JOURNAL
        while entries := read(path, offset):
            offset = entries[-1].end
            for entry in entries:
                if entry.record is not None:
                    newest = max(newest, int(entry.record["time"]))
                    last = entry.record if entry.record["kind"] in ("start", "status") else last
        if last is not None and last["kind"] == "start":
            journal = Journal(run.path)
            journal.append("status", status="KILLED", time=newest)
            journal.close()


def sync(run: str | None, runs: Path, to: Destination, timeout: float = 60.0) -> list[Synced]:
    """Send the unsent records of `run` (see `find_run`), or of every run under `runs` when it is None.

    InputError when the run is not known, has no journal, or is being sent by another process; among all runs
    those are passed over.
    """
    if run is not None:
        return [send_pending(find_run(run, runs), to, timeout)]
    results = []
    for journal in sorted(runs.glob(f"*/*/tracking/{JOURNAL}")):
        try:
            results.append(send_pending(RunDir(journal.parent.parent.absolute()), to, timeout))
        except InputError as error:
            log.warning("passed over: %s", error)
    return results
