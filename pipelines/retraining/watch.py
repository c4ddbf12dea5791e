"""The champion judged again on data that came since it was promoted, and put back where it turned out bad."""

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from pipelines.compose import compose
from pipelines.locking import Lock
from pipelines.mistakes import nearest
from pipelines.registry.registry import RUN_TAG, open_registry, registry_is_there
from pipelines.retraining import deciding
from pipelines.retraining.decision import Decision
from pipelines.retraining.exit_codes import BUSY, PROMOTED, REFUSED, ROLLED_BACK
from pipelines.retraining.job import Job
from pipelines.retraining.limits import WatchOptions
from pipelines.retraining.moving import begun, finish_moves, job_of, moved, shot_of
from pipelines.retraining.promotion import CHAMPION, PREVIOUS, aliases, rollback
from pipelines.retraining.sinking import promoting
from pipelines.retraining.telling import tell
from pipelines.retraining.under_way import EarlyEndError, Shot, home_of, model_held
from pipelines.verbs import Call

if TYPE_CHECKING:
    from pipelines.retraining.gate import Verdict

log = logging.getLogger(__name__)


def watch_champion(job: Job, call: Call) -> dict[str, Any]:
    """What became of the champion: `outcome` (kept, waiting, refused, busy, rolled_back), `reason`.

    The former champion is judged beside it on the windows that came since the promotion, by the gate's paired
    bootstrap. Where the former one is better by `watch.worse_by`, and surely better at all, it is champion
    again. Only that is a decision with a row in the ledger. Errors: InputError where the job has no `watch`.
    """
    if job.watch is None:
        raise InputError(f"job={job.name}: it has no rule to watch by; give it watch: {{after_steps: 120}}")
    home = home_of(call.settings, job.name)
    home.mkdir(parents=True, exist_ok=True)
    lock = Lock(home / ".lock")
    if not lock.acquire():
        return _told("busy", f"a shot of this job is at work: {lock.holder()}", BUSY)
    with lock:
        finish_moves(call.settings, job.model)
        try:
            return _watched(job, job.watch, call)
        except EarlyEndError as early:
            ending = early.ending
            status = REFUSED if ending.outcome == "refused" else PROMOTED
            return _told(ending.outcome, ending.reason, status)


def _told(outcome: str, reason: str, status: int, **more: Any) -> dict[str, Any]:
    log.log(logging.INFO if status == PROMOTED else logging.WARNING, "%s: %s", outcome, reason)
    return {"outcome": outcome, "reason": reason, **more, "exit_status": status}


def _watched(job: Job, watch: WatchOptions, call: Call) -> dict[str, Any]:
    """The champion judged. Errors: EarlyEndError where it cannot be judged yet."""
    shot = shot_of(job, call, 0)
    pointed = aliases(shot.models, job.model)
    champion, former = pointed[CHAMPION], pointed[PREVIOUS]
    if champion is None or former is None:
        raise EarlyEndError("kept", "there is no champion that has taken another one's place")
    promoted = _promoted(shot, champion)
    look = deciding.looked(shot)
    came = look.count - int((promoted.look or {}).get("count", 0))
    row = shot.ledger.row(promoted.shot)
    stage = _stage(watch, came, int(row.notes.get("watched", 0)) if row is not None else 0)
    with TemporaryDirectory(prefix="skyreel-watch-") as folder:
        verdict = _verdict(shot, watch, promoted, Path(folder), (champion, former), stage)
    shot.ledger.note(promoted.shot, watched=came)
    what = f"version {champion}, beside version {former}, on {verdict.cases} cases since its promotion"
    if not verdict.passed:
        return _told("kept", f"{what}: {verdict.told}", PROMOTED, verdict=verdict.as_plain())
    reason = f"{what}: the former one is {verdict.told}"
    decision = _back(job, call, reason, shot.known | {"verdict": verdict.as_plain()})
    return {**decision.as_plain(), "exit_status": ROLLED_BACK}


def _promoted(shot: Shot, champion: int) -> Decision:
    """The decision that made version `champion` champion. Errors: EarlyEndError where none did."""
    decision = promoting(shot, champion)
    if decision is None:
        raise EarlyEndError("kept", f"version {champion} was not made champion by a shot of this job")
    return decision


def _stage(watch: WatchOptions, came: int, judged: int) -> int:
    """Which look this is, from 0; the champion is looked at each time that what came has doubled.

    judged: how much had come at the last look. Looking at every shot would roll back a champion as good as
    the former one sooner or later. Errors: EarlyEndError where too little came for another look.
    """
    wanted = watch.after_steps or watch.after_clips or 1
    while wanted <= judged:
        wanted *= 2
    if came < wanted:
        what = "steps" if watch.after_steps else "clips"
        raise EarlyEndError("waiting", f"{came} {what} came since the promotion; it is judged after {wanted}")
    first = watch.after_steps or watch.after_clips or 1
    return (came // first).bit_length() - 1


def _verdict(
    shot: Shot, watch: WatchOptions, promoted: Decision, folder: Path, numbers: tuple[int, int], stage: int
) -> "Verdict":
    """What the gate says of the former champion, as if it challenged the champion.

    Each further look has half the chance of the one before to be wrong, so that all of them together have
    that of `watch.confidence`.
    """
    from pipelines.registry.fetch import fetch
    from pipelines.retraining.gate import GateOptions, GuardOptions, decide
    from pipelines.retraining.paired import paired_for
    from pipelines.retraining.splits import judged_since

    try:
        plan = judged_since(shot.settings, shot.job.judge, _since(promoted.look or {}), folder)
    except InputError as error:
        raise EarlyEndError("waiting", str(error)) from error
    settings = compose([*shot.words, *plan.words]).settings
    champion, former = (fetch(f"models:/{shot.job.model}/{one}", shot.settings) for one in numbers)
    shot.known["runs"] = {"champion": str(champion.path), "former": str(former.path)}
    paired = paired_for(champion, former, settings, folder, shot.job.judge)
    unguarded = GuardOptions(lead=None, variable=None, region=None, metric=None, slice=None)
    options = GateOptions(
        minimum_gain=watch.worse_by,
        confidence=1 - (1 - watch.confidence) / 2 ** (stage + 1),
        guards=unguarded,
        resamples=shot.job.gate.resamples,
        block=shot.job.gate.block,
    )
    return decide(paired, options, settings.seed)


def _since(look: Mapping[str, Any]) -> Any:
    """What the promoted shot knew of the data: the time of the newest map, or the clips that were there."""
    return look.get("last") or (look.get("summary") or {}).get("ids") or []


def roll_back(call: Call, model: str) -> Decision:
    """The decision of a person: the former champion of `model` is champion again.

    Errors: InputError where there is none, or where no job is known for the model.
    """
    _require_champion(call, model)
    finish_moves(call.settings, model)
    return _back(job_of(call, model), call, "rolled back by hand", {})


def _require_champion(call: Call, model: str) -> None:
    """Return when the model has a champion. Errors: InputError with the models that there are."""
    models = open_registry(call.settings)
    there = registry_is_there(call.settings)
    if there and models.version(model, CHAMPION) is not None:
        return
    names = models.names() if there else []
    if model in names:
        raise InputError(f"model={model}: no version of it is champion, so there is nothing to roll back")
    near = nearest(model, names)
    hint = f". Did you mean model={near}?" if near else ""
    known = f"there are {', '.join(names)}" if names else "there is none yet"
    raise InputError(f"model={model}: no such registered model in {models.shown}; {known}{hint}")


def _back(job: Job, call: Call, reason: str, known: Mapping[str, Any]) -> Decision:
    """The decision after the move, which is in the ledger before anything moves."""
    with model_held(call.settings, job.model):
        move = rollback(open_registry(call.settings), job.model, reason)
        shot = begun(job, call)
        if call.job is None:  # then the settings are nobody's
            shot.experiment = _experiment(shot, move.before[CHAMPION])
        numbers = {"champion": move.before[CHAMPION], "former": move.before[CHAMPION]}
        shot.known.update({**known, **numbers, "restored": move.after[CHAMPION]})
        ending = moved(shot, move)
    return tell(shot, ending)


def _experiment(shot: Shot, number: int | None) -> str | None:
    """The experiment of the run that a version was made from; None where it does not say."""
    version = None if number is None else shot.models.version(shot.job.model, number)
    run = "" if version is None else version.tags.get(RUN_TAG, "")
    return run.rpartition("/")[0] or None
