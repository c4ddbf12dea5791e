"""Shots that begin, and moves of aliases that are finished however often they are interrupted."""

import logging
from glob import escape
from pathlib import Path

from datamodules.errors import InputError
from pipelines.retraining.job import Job, job_words, load_job
from pipelines.retraining.ledger import Ledger
from pipelines.retraining.promotion import CHAMPION, Models, Move, carry_out
from pipelines.retraining.retention import SHOT_TAG
from pipelines.retraining.triggers import StartOptions
from pipelines.retraining.under_way import Ending, Shot, ledger_of, model_held, time_of
from pipelines.settings import Settings
from pipelines.verbs import Call

log = logging.getLogger(__name__)

BY_HAND = "by-hand"
"""Whose shots the ledger counts moves of models as that no job makes."""
OUTCOMES = {"promotion": "promoted", "rollback": "rolled_back"}
"""What a move comes to, by its kind."""


def shot_of(job: Job, call: Call, number: int) -> Shot:
    """A shot with this number, with the ledger and the registry that the settings name."""
    from pipelines.registry.registry import open_registry

    words = (*job_words(job), *call.words)
    models, ledger = open_registry(call.settings), ledger_of(call.settings)
    return Shot(job, call.settings, words, call.argv, time_of(call.now), ledger, models, number)


def begun(job: Job, call: Call) -> Shot:
    """A new shot, which has its row in the ledger."""
    number = ledger_of(call.settings).begin(job.name, time_of(call.now), _highest(job, call.settings))
    return shot_of(job, call, number)


def _highest(job: Job, settings: Settings) -> int:
    """The highest number of a shot of the job that a run or a version is called after.

    Where a ledger was lost, a new shot must not find the challenger of an old one of its number.
    """
    from pipelines.registry.registry import open_registry, registry_is_there

    names = [path.name for path in Path(settings.paths.runs).glob(f"*/{escape(job.name)}-*")]
    if registry_is_there(settings):
        names += [one.tags.get(SHOT_TAG, "") for one in open_registry(settings).versions(job.model)]
    numbers = (name.removeprefix(f"{job.name}-") for name in names if name.startswith(f"{job.name}-"))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def moved(shot: Shot, move: Move) -> Ending:
    """How a shot ends that makes this move: written down with all that is known, then done."""
    shot.ledger.note(shot.number, known=shot.known)
    shot.ledger.intent(shot.number, move.as_plain())
    return finished(shot.ledger, shot.models, shot.number, move)


def finished(ledger: Ledger, models: Models, shot: int, move: Move) -> Ending:
    """How a shot ends whose move is in the ledger: done, noted, and only then taken off.

    A champion that somebody has set meanwhile stays.
    """
    there = models.version(move.model, CHAMPION)
    now = None if there is None else int(there.number)
    if now not in (move.before[CHAMPION], move.after[CHAMPION]):
        told = f"version {now} was made champion by hand before version {move.after[CHAMPION]} could be"
        ending = Ending("refused", f"{told}, and stays")
    elif carry_out(models, move):
        ending = Ending(OUTCOMES[move.kind], move.reason)
    else:
        ending = Ending("failed", f"version {move.after[CHAMPION]} is gone, so the champion stays")
    ledger.note(shot, ending={"outcome": ending.outcome, "reason": ending.reason})
    ledger.clear(shot)
    return ending


def finish_moves(settings: Settings, model: str) -> None:
    """Finish what shots that were killed have begun to move; the next shot of their job tells of it."""
    from pipelines.registry.registry import open_registry

    ledger = ledger_of(settings)
    if not ledger.moves(model):
        return
    with model_held(settings, model):
        for shot, plain in ledger.moves(model).items():
            ending = finished(ledger, open_registry(settings), shot, Move.from_plain(plain))
            log.info("finished the move of shot %04d: %s", shot, ending.outcome)


def job_of(call: Call, model: str) -> Job:
    """The job whose shots make versions of `model`: `job=`, else the one that last did.

    One whose file is not in conf/retrain is known by its name alone, so nobody is alerted. Errors: InputError
    for a `job=` that cannot be read.
    """
    if call.job is not None:
        return load_job(call.job)
    rows = ledger_of(call.settings).history()
    names = [row.job for row in rows if row.decision is not None and row.decision.model == model]
    name = next(iter(names), BY_HAND)
    try:
        return load_job(name)
    except InputError:
        log.warning("job %s is not in conf/retrain: its alerts are not sent; job=FILE would name it", name)
        return Job(name=name, model=model, start=StartOptions(always=True))
