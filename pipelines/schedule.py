"""schedule: starts the shots of retraining jobs when they are due, until it is stopped; or replays a span."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from datamodules.errors import InputError
from pipelines import interrupts
from pipelines.compose import JOBS
from pipelines.locking import Lock
from pipelines.retraining.ledger import Ledger
from pipelines.scheduling.clock import SystemClock
from pipelines.scheduling.durations import parse_duration
from pipelines.scheduling.firing import Firing, Launch
from pipelines.scheduling.notes import Notes
from pipelines.scheduling.replay import Replay, replayed
from pipelines.scheduling.scheduled_jobs import JobFolder
from pipelines.scheduling.scheduler import Scheduler
from pipelines.scheduling.times import parse_time
from pipelines.verbs import Call

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=1)
"""How long a stop waits for shots at work, where `wait=` does not say."""


def schedule(call: Call) -> dict[str, Any]:
    """Start what is due until a signal says stop; with since=, replay a span of the past instead.

    Returns firings (job, due, watch, status, outcome) and left, the process ids of shots that are still at
    work; exit_status is 1 where a shot of a replay failed. Errors: InputError.
    """
    span = _span(call)
    parallel, patience = _parallel(call.parallel), _patience(call.wait)
    folder = _folder(call.jobs)
    retrain = Path(call.settings.paths.runs) / "retrain"
    retrain.mkdir(parents=True, exist_ok=True)
    notes = Notes(Ledger(retrain / "ledger.db"))
    launch = Launch(retrain.parent, call.words)
    with _alone(retrain, folder.folder), _signals_noted():
        if span is not None:
            dues = replayed(folder, *span)
            log.info("%d due times from %s until %s", len(dues), *span)
            ended, left = Replay(notes, launch, _is_stopped, patience).run(dues)
            return {**_result(ended, left), "exit_status": int(any(one.ended_ill for one in ended))}
        scheduler = Scheduler(folder, notes, launch, SystemClock(), _is_stopped, parallel, patience)
        left = scheduler.run()
        return _result(scheduler.ended, left)


def _span(call: Call) -> tuple[datetime, datetime] | None:
    """What is to be replayed; None where nothing is."""
    if call.since is None:
        if call.until is not None:
            raise InputError(f"until={call.until}: this ends a replay, which begins with since=")
        return None
    since = parse_time(call.since, "since")
    until = parse_time(call.until, "until") if call.until is not None else datetime.now(UTC)
    if until <= since:
        raise InputError(
            f"until={call.until or until}: the replay ends before it begins, at since={call.since}"
        )
    return since, until


def _folder(named: str | None) -> JobFolder:
    """The jobs that are scheduled. InputError where there is none."""
    path = Path(named) if named is not None else JOBS
    if not path.is_dir():
        raise InputError(
            f"jobs={path}: there is no such folder; it holds the retraining jobs, a YAML file each"
        )
    folder = JobFolder(path.resolve())
    folder.refresh()
    if not folder.jobs:
        told = [f"{name}: {reason}" for name, reason in folder.broken.items()]
        told += [f"{name}: has no schedule" for name in folder.unscheduled]
        raise InputError("\n".join([f"jobs={path}: no job here has a schedule that can be used", *told]))
    return folder


def _parallel(text: str | None) -> int:
    if text is None:
        return 1
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InputError(f"parallel={text}: this is how many jobs may be at work at once, a number from 1 on")
    return int(text)


def _patience(text: str | None) -> timedelta:
    if text is None:
        return PATIENCE
    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise InputError(f"wait={text}: {error.message()}") from None


@contextmanager
def _alone(retrain: Path, folder: Path) -> Iterator[None]:
    """No other scheduler works on the same jobs and runs meanwhile. Errors: InputError."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    lock = Lock(retrain / f".schedule-{digest}.lock")
    if not lock.acquire():
        raise InputError(
            f"{retrain}: {lock.holder()} schedules the jobs of {folder} already; stop it first, or give this "
            "one other jobs with jobs= or other runs with paths.runs="
        )
    with lock:
        yield


@contextmanager
def _signals_noted() -> Iterator[None]:
    """SIGTERM and Ctrl-C are noted, not raised; a second Ctrl-C is."""
    interrupts.defer()
    try:
        yield
    finally:
        interrupts.resume()


def _is_stopped() -> bool:
    return interrupts.received() is not None


def _result(ended: list[Firing], left: list[Firing]) -> dict[str, Any]:
    """The firings as plain values."""
    return {
        "firings": [
            {
                "job": one.job.name,
                "due": one.due.isoformat(),
                "watch": one.watched,
                "status": one.status,
                "outcome": one.outcome,
            }
            for one in ended
        ],
        "left": [one.process for one in left],
    }
