"""What a shot would do now, and why, while nothing is changed: `skyreel retrain job=NAME --dry-run`."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.locking import Lock
from pipelines.registry.registry import registry_is_there
from pipelines.retraining import deciding
from pipelines.retraining.exit_codes import BUSY, FAILED, NOTHING, PROMOTED, REFUSED
from pipelines.retraining.job import Job
from pipelines.retraining.moving import shot_of
from pipelines.retraining.under_way import EarlyEndError, Pinned, Shot, home_of
from pipelines.verbs import Call

log = logging.getLogger(__name__)

WOULD = {"train": PROMOTED, "nothing": NOTHING, "refuse": REFUSED, "fail": FAILED, "wait": BUSY}
"""What a shot would do, and the exit status that tells it."""
OF_OUTCOME = {"nothing": "nothing", "refused": "refuse", "failed": "fail"}


def foreseen(job: Job, call: Call) -> dict[str, Any]:
    """`would` (train, nothing, refuse, fail, wait), `reason`, and what was found: look, drift, trigger, plan.

    No row, no run, no folder and no alias is made or changed; packed data and a fetched champion are kept as
    caches.
    """
    if holder := _holder(home_of(call.settings, job.name) / ".lock"):
        return _told(job, "wait", f"another shot of this job is at work: {holder}", {})
    shot = shot_of(job, call, 0)
    with TemporaryDirectory(prefix="skyreel-dry-run-") as folder:
        try:
            return _would_train(shot, Path(folder))
        except EarlyEndError as early:
            return _told(job, OF_OUTCOME[early.ending.outcome], early.ending.reason, shot.known)


def _would_train(shot: Shot, folder: Path) -> dict[str, Any]:
    """What the steps before training find. Errors: EarlyEndError where training would not begin."""
    champion = deciding.champion_of(shot) if registry_is_there(shot.settings) else None
    look = deciding.looked(shot)
    drift = deciding.drifted(shot, champion)
    reason, again = _left(shot, look.digest)
    if again is None:
        trigger = deciding.triggered(shot, look, champion, drift)
        again = deciding.settled(shot, look, champion, trigger, folder)
        reason += trigger.why
    begins = f"beginning from {again.start}" if again.start else "beginning anew"
    known = {**shot.known, "plan": dict(again.plan), "start": again.start}
    return _told(shot.job, "train", f"{reason}; {begins}", known)


def _left(shot: Shot, data: str) -> tuple[str, Pinned | None]:
    """What would become of a shot that was interrupted: words, and what it had settled if it would go on."""
    rows = shot.ledger.unfinished(shot.job.name)
    if not rows:
        return "", None
    row = rows[0]
    pinned = Pinned.read(home_of(shot.settings, shot.job.name) / f"{row.number:04d}")
    if pinned is None:
        return "", None
    changed = pinned.differs(shot.digest, data, shot.known.get("champion"))
    if changed is None:
        return f"shot {row.number:04d} was interrupted at {row.step} and would go on", pinned
    return f"shot {row.number:04d} was interrupted and would be given up: {changed}; ", None


def _holder(path: Path) -> str | None:
    """Who holds the lock at `path`, which is not made; None where nobody does."""
    if not path.exists():
        return None
    lock = Lock(path)
    if not lock.acquire():
        return lock.holder()
    lock.release()
    return None


def _told(job: Job, would: str, reason: str, known: dict[str, Any]) -> dict[str, Any]:
    does = "do nothing" if would == "nothing" else would
    log.info("%s would %s: %s (nothing was changed; packed data are kept as a cache)", job.name, does, reason)
    found = {"job": job.name, "model": job.model, "dry_run": True, "would": would, "reason": reason}
    return {**found, **known, "exit_status": WOULD[would]}
