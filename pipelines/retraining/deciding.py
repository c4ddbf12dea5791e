"""The steps of a shot that lead to a decision: what each finds is kept in `shot.known`."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import InputError
from pipelines.compose import compose
from pipelines.retraining.challenger import ChallengerTraining, lacking_space
from pipelines.retraining.first_champion import beats_reference
from pipelines.retraining.promotion import CHALLENGER, CHAMPION, FORMER_TAG
from pipelines.retraining.retention import SHOT_TAG
from pipelines.retraining.sinking import sunk
from pipelines.retraining.under_way import EarlyEndError, Pinned, Shot
from pipelines.rundir import RunDir, read_metrics
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.registry.registry import Version
    from pipelines.retraining.data_checks import Look
    from pipelines.retraining.drift import DriftReport
    from pipelines.retraining.triggers import Trigger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """The version that is champion now, and its run directory."""

    version: "Version"
    run: RunDir


def champion_of(shot: Shot) -> Champion | None:
    """The champion, fetched; None where the model has none yet."""
    from pipelines.registry.fetch import fetch

    version = shot.models.version(shot.job.model, CHAMPION)
    if version is None:
        return None
    shot.known["champion"] = version.number
    run = fetch(f"models:/{shot.job.model}/{version.number}", shot.settings)
    shot.known["runs"] = {"champion": str(run.path)}
    return Champion(version, run)


def looked(shot: Shot) -> "Look":
    """What the data hold. Raises EarlyEndError where they are bad."""
    from pipelines.retraining.data_checks import check_data
    from pipelines.sources import bring_sources

    before = shot.ledger.good_look(shot.job.name)
    try:
        bring_sources(shot.settings.data)
        look = check_data(shot.settings, shot.job.checks, before)
    except InputError as error:
        raise EarlyEndError("refused", f"the data cannot be used: {error}") from error
    shot.known["look"] = look.as_plain()
    if look.problems:
        raise EarlyEndError("refused", f"the data look bad: {'; '.join(look.problems)}")
    return look


def drifted(shot: Shot, champion: Champion | None) -> "DriftReport | None":
    """How far the new data are from those that the champion learned from; None without a champion."""
    from pipelines.retraining.drift import drift_report

    if champion is None:
        return None
    try:
        report = drift_report(champion.run, shot.settings, shot.job.drift)
    except InputError as error:
        raise EarlyEndError("refused", f"the data cannot be compared with the champion's: {error}") from error
    shot.known["drift"] = report.as_plain()
    return report


def triggered(shot: Shot, look: "Look", champion: Champion | None, drift: "DriftReport | None") -> "Trigger":
    """Why a challenger is trained. Raises EarlyEndError where there is no cause."""
    from pipelines.retraining.triggers import due

    rows = shot.ledger.history(shot.job.name)
    sank = None if champion is None else sunk(shot, int(champion.version.number), champion.run)
    trigger = due(shot.job, look, rows, champion, drift, sank, shot.now)
    shot.known["trigger"] = trigger.as_plain()
    if not trigger.start:
        raise EarlyEndError("nothing", trigger.why)
    return trigger


def settled(shot: Shot, look: "Look", champion: Champion | None, trigger: "Trigger", folder: Path) -> Pinned:
    """The splits and the weights to begin from. Raises EarlyEndError where disk space is short."""
    from pipelines.retraining.splits import NothingNewError, plan_splits

    if short := lacking_space(Path(shot.settings.paths.runs), shot.job.limits):
        raise EarlyEndError("failed", short)
    try:
        plan = plan_splits(shot.settings, shot.job.judge, champion.run if champion else None, folder)
    except NothingNewError as error:
        raise EarlyEndError("nothing", str(error)) from error
    except InputError as error:
        raise EarlyEndError("failed", str(error)) from error
    start = champion.run.path if champion is not None and not _from_scratch(shot) else None
    return Pinned(
        job=shot.digest,
        data=look.digest,
        champion=champion.version.number if champion else None,
        trigger=trigger.as_plain(),
        plan=plan.as_plain(),
        start=str(start) if start else None,
    )


def _from_scratch(shot: Shot) -> bool:
    """Whether this challenger begins anew: the job says so, or it is every k-th that is trained."""
    options = shot.job.warm_start
    if options.weights == "scratch":
        return True
    if options.scratch_every is None:
        return False
    earlier = sum(row.trained for row in shot.ledger.history(shot.job.name))
    return (earlier + 1) % options.scratch_every == 0


def trained(shot: Shot, pinned: Pinned) -> RunDir:
    """The challenger's run, finished. Raises EarlyEndError where it failed or its time is over."""
    words = [*shot.words, *pinned.plan["words"], f"run.name={shot.run_name}"]
    words += [f"start={pinned.start}"] if pinned.start else []
    training = ChallengerTraining(
        words,
        shot.run,
        shot.folder / "training.txt",
        shot.job.limits,
        lambda retry, reason: shot.at("train", retries=retry),
    ).finish()
    shot.known["retries"] = training.retries
    shot.known["runs"] = {**shot.known.get("runs", {}), "challenger": str(shot.run.path)}
    if training.how != "finished":
        raise EarlyEndError("failed", training.reason, goes_on=training.how == "out of time")
    return shot.run


def compared(shot: Shot, pinned: Pinned, champion: Champion | None, challenger: RunDir) -> str:
    """Why the challenger passes. Raises EarlyEndError where it does not."""
    if champion is None:
        passed, told = beats_reference(read_metrics(challenger.metrics))
    else:
        passed, told = _gate(shot, pinned, champion.run, challenger)
    if not passed:
        raise EarlyEndError("refused", told)
    return told


def _gate(shot: Shot, pinned: Pinned, champion: RunDir, challenger: RunDir) -> tuple[bool, str]:
    """Both judged on the same windows, and what the gate says of it."""
    from pipelines.retraining.gate import decide
    from pipelines.retraining.paired import changed_most, paired_for

    if lacks := _lacks(champion, challenger):
        return False, lacks
    settings = compose([*shot.words, *pinned.plan["words"]]).settings
    paired = paired_for(champion, challenger, settings, shot.folder, shot.job.judge)
    verdict = decide(paired, shot.job.gate, settings.seed)
    shot.known["verdict"] = verdict.as_plain()
    shot.known["changed"] = changed_most(champion, challenger, settings, shot.folder, paired)
    return verdict.passed, verdict.told


def _lacks(champion: RunDir, challenger: RunDir) -> str | None:
    """What the champion forecasts and the challenger does not, in words; None where there is nothing."""
    before, after = (Settings.model_validate(run.read_config()) for run in (champion, challenger))
    if before.task.kind != "forecast" or after.task.kind != "forecast":
        return None
    if after.forecast.horizon < before.forecast.horizon:
        return (
            f"the challenger forecasts {after.forecast.horizon} steps, the champion "
            f"{before.forecast.horizon}: whoever uses the champion would lose lead times"
        )
    wanted, given = (one.maps.series is not None and one.maps.series.target for one in (before, after))
    return "the champion forecasts series of stations, the challenger does not" if wanted > given else None


def registered(shot: Shot, challenger: RunDir, champion: Champion | None) -> int:
    """The number of the challenger's version, made unless this shot has made it before."""
    for version in shot.models.versions(shot.job.model):
        if version.tags.get(SHOT_TAG) == shot.run_name:
            return int(version.number)
    tags = {SHOT_TAG: shot.run_name}
    if champion is not None:
        tags[FORMER_TAG] = str(champion.version.number)
    return int(shot.models.register(shot.job.model, challenger, tags=tags, alias=CHALLENGER).number)
