"""One shot of a retraining job: from a look at the data to a champion, in steps that can each be done again.

look -> drift -> trigger -> split -> train -> compare -> register -> promote -> tell. The ledger says which
step a shot is at. Only `promote` touches the champion, in one move that is written down first (promotion.py),
so a crash at any point leaves the champion as it was, or as it is to be. The next shot goes on: it looks
again, and where job, data and champion are the same it takes over what the interrupted shot had settled; the
challenger trains on from its last checkpoint. Where they are not, that shot is given up and a new one begins.
"""

import logging
from datetime import UTC, datetime, timedelta

from datamodules.errors import InputError
from pipelines import interrupts
from pipelines.console import attach_log
from pipelines.locking import Lock
from pipelines.retraining import deciding
from pipelines.retraining.decision import Decision
from pipelines.retraining.job import Job
from pipelines.retraining.ledger import Row
from pipelines.retraining.moving import begun, finish_moves, moved, shot_of
from pipelines.retraining.promotion import CHAMPION, PREVIOUS, promotion
from pipelines.retraining.telling import tell
from pipelines.retraining.under_way import (
    EarlyEndError,
    Ending,
    GivenUpError,
    Pinned,
    Shot,
    home_of,
    ledger_of,
)
from pipelines.verbs import Call

log = logging.getLogger(__name__)

LEAVING = timedelta(minutes=1)
"""How long a shot that finds another one at work may take to say so."""


def run_shot(job: Job, call: Call) -> Decision:
    """The decision of one shot, which is told already.

    Errors: Stopped when a signal came: the shot is noted as interrupted, and the next one goes on with it.
    """
    home = home_of(call.settings, job.name)
    home.mkdir(parents=True, exist_ok=True)
    lock = Lock(home / ".lock")
    if not lock.acquire():
        return _busy(job, call, lock.holder())
    with lock:
        while True:
            shot = _next(job, call)
            try:
                return play(shot)
            except GivenUpError as reason:
                tell(shot, Ending("failed", f"given up: {reason}"))


def _busy(job: Job, call: Call, holder: str) -> Decision:
    """The decision of a shot that finds another one at work."""
    shot = begun(job, call)
    return tell(shot, Ending("busy", f"another shot of this job is at work: {holder}"))


def _next(job: Job, call: Call) -> Shot:
    """The shot that was interrupted, or a new one."""
    left = [row for row in ledger_of(call.settings).unfinished(job.name) if _was_left(row)]
    if not left:
        return begun(job, call)
    row = left[0]
    shot = shot_of(job, call, row.number)
    shot.began, shot.known = row.began, dict(row.notes.get("known", {}))
    log.info("%s goes on: it was interrupted at %s", shot.run_name, row.step or "its beginning")
    return shot


def _was_left(row: Row) -> bool:
    """Whether a row without an outcome is of a shot that was interrupted, not of one that is just leaving.

    Whoever holds the lock notes its first step at once; one that finds the lock taken never does.
    """
    age = datetime.now(UTC) - datetime.fromisoformat(row.began)
    return row.step is not None or age > LEAVING


def play(shot: Shot) -> Decision:
    """The decision of a shot, new or interrupted, played to its end and told.

    Errors: GivenUpError where it cannot go on as it began; Stopped when a signal came.
    """
    try:
        ending = _surely_ended(shot)
        shot.at("tell")
        return tell(shot, ending)
    except interrupts.Stopped as stop:
        shot.ledger.note(shot.number, interrupted=stop.signum.name)
        log.warning("%s is interrupted at %s; the next shot goes on with it", shot.run_name, shot.step)
        raise


def _surely_ended(shot: Shot) -> Ending:
    """How the shot ends. A fault that nobody foresaw is told to people too, and the next shot goes on.

    Errors: GivenUpError; Stopped.
    """
    try:
        finish_moves(shot.settings, shot.job.model)
        return _noted_ending(shot) or _end(shot)
    except (GivenUpError, interrupts.Stopped):
        raise
    except Exception as error:
        log.exception("%s: at %s", shot.run_name, shot.step)
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        return Ending("failed", f"at {shot.step}: {told}; the next shot tries it again", goes_on=True)


def _noted_ending(shot: Shot) -> Ending | None:
    """How the shot has ended, where its move was done and only the telling was interrupted."""
    row = shot.ledger.row(shot.number)
    ending = row.notes.get("ending") if row is not None else None
    return None if ending is None else Ending(ending["outcome"], ending["reason"])


def _end(shot: Shot) -> Ending:
    """How the shot ends; where it is promoted, the champion is another one now. Errors: GivenUpError."""
    try:
        number, told = _steps(shot)
        return _promoted(shot, number, told)
    except EarlyEndError as early:
        return early.ending
    except InputError as error:
        return Ending("failed", str(error))


def _steps(shot: Shot) -> tuple[int, str]:
    """The version that is to be champion, and why. Errors: EarlyEndError without one; GivenUpError."""
    shot.at("look")
    champion = deciding.champion_of(shot)
    look = deciding.looked(shot)
    drift = deciding.drifted(shot, champion)
    pinned = Pinned.read(shot.folder)
    if pinned is None:
        shot.at("trigger")
        trigger = deciding.triggered(shot, look, champion, drift)
        shot.at("split")
        shot.folder.mkdir(parents=True, exist_ok=True)
        pinned = deciding.settled(shot, look, champion, trigger, shot.folder)
        pinned.write(shot.folder)
    elif changed := pinned.differs(shot.digest, look.digest, shot.known.get("champion")):
        raise GivenUpError(changed)
    attach_log(shot.folder / "log.txt")
    shot.known["trigger"] = dict(pinned.trigger)
    shot.at("train")
    challenger = deciding.trained(shot, pinned)
    shot.at("compare")
    told = deciding.compared(shot, pinned, champion, challenger)
    shot.at("register")
    return deciding.registered(shot, challenger, champion), told


def _promoted(shot: Shot, number: int, told: str) -> Ending:
    """How it ends to make a version champion, unless the champion is not the one it was compared with."""
    shot.at("promote")
    with shot.registry_held():
        move = promotion(shot.models, shot.job.model, number, told)
        champion = move.before[CHAMPION]
        if champion not in (shot.known.get("champion"), number):
            return Ending("refused", f"version {champion} has become champion while this shot was at work")
        shot.known.update(challenger=number, former=move.after[PREVIOUS])
        return moved(shot, move)
