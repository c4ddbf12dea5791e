"""A decision told: its files, its page, its MLflow run, its alerts, and last of all its row in the ledger."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pipelines import provenance
from pipelines.redact import masked
from pipelines.retraining.alerts import send
from pipelines.retraining.decision import Decision
from pipelines.retraining.retention import prune
from pipelines.retraining.under_way import Ending, Shot
from pipelines.rundir import RunDir, write_json
from pipelines.tracking.destination import destination
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.session import tracked

log = logging.getLogger(__name__)

SILENT = ("nothing", "busy")
"""Outcomes that have a row in the ledger and no more."""
UNTOUCHED = ("busy", "rolled_back")
"""Outcomes after which nothing is removed: another shot is at work, or somebody wants the old back."""
TOLD = "decision.json"
PAGE = "report.html"


def tell(shot: Shot, ending: Ending) -> Decision:
    """The decision as it stands in the ledger, where it is finished now, unless the next shot goes on.

    All of it may be done again after a crash: files and artifacts are written over, the MLflow run is found
    by its key; only an alert may come twice. A disk, a page or a server that fails is noted in the log, and
    keeps neither people nor the ledger from hearing of the decision.
    """
    decision = _without_secrets(shot.decision(ending))
    if decision.outcome not in SILENT:
        with _harmless(shot, "the decision could not be written into its folder"):
            _write(shot, decision)
        with _harmless(shot, "the page of the decision could not be drawn"):
            _draw(shot, decision)
        with _harmless(shot, "the decision could not be tracked"):
            decision = _track(shot, decision)
            write_json(shot.folder / TOLD, decision.as_plain())
        send(shot.job.alerts, decision)
    if decision.outcome not in UNTOUCHED:
        with _harmless(shot, "what job.keep no longer holds could not be removed"):
            prune(shot.job, shot.settings, shot.ledger, shot.models, shot.number)
    if ending.goes_on:
        shot.ledger.note(shot.number, stopped=decision.reason)
    else:
        shot.ledger.finish(decision)
    level = logging.INFO if decision.outcome in ("promoted", "nothing") else logging.WARNING
    log.log(level, "%s shot %04d: %s: %s", shot.job.name, shot.number, decision.outcome, decision.reason)
    return decision


@contextmanager
def _harmless(shot: Shot, what: str) -> Iterator[None]:
    """An error within is told in the log: the decision stands without it."""
    try:
        yield
    except Exception:
        log.exception("%s: %s", shot.folder, what)


def _without_secrets(decision: Decision) -> Decision:
    """The decision, for eyes that must not see a login in the address of data, say."""
    look = decision.look and {**decision.look, "problems": [masked(str(one)) for one in _problems(decision)]}
    return replace(decision, reason=masked(decision.reason), look=look)


def _problems(decision: Decision) -> Sequence[Any]:
    return (decision.look or {}).get("problems") or ()


def _write(shot: Shot, decision: Decision) -> None:
    """decision.json, and provenance.json with the call that was made."""
    shot.folder.mkdir(parents=True, exist_ok=True)
    write_json(shot.folder / TOLD, decision.as_plain())
    provenance.write(RunDir(shot.folder), seed=shot.settings.seed, data={}, arguments=["skyreel", *shot.argv])


def _draw(shot: Shot, decision: Decision) -> None:
    """Write the page."""
    from pipelines.reports.decision_page import decision_page

    decision_page(decision.as_plain(), shot.folder, shot.folder / PAGE)


def _track(shot: Shot, decision: Decision) -> Decision:
    """The decision with the id of its MLflow run, which holds the page and the files."""
    run, settings = RunDir(shot.folder), shot.settings
    tags = {**provenance.run_tags(provenance.read(run)), **_tags(shot, decision)}
    with tracked(
        run,
        destination(settings),
        tags=tags,
        experiment=shot.experiment or settings.tracking.experiment or settings.run.experiment,
        system_every=None,
        wait=settings.tracking.timeout,
    ) as logger:
        _log(shot, decision, logger)
    run_id = (provenance.read(run).get("mlflow") or {}).get("run_id")
    return replace(decision, mlflow_run_id=run_id)


def _tags(shot: Shot, decision: Decision) -> dict[str, str]:
    """What the decision's MLflow run is found by."""
    tags = {
        "skyreel.kind": "retrain",
        "skyreel.job": shot.job.name,
        "skyreel.shot": shot.run_name,
        "skyreel.outcome": decision.outcome,
        "skyreel.model": shot.job.model,
    }
    return {**tags, "skyreel.version": str(decision.challenger)} if decision.challenger else tags


def _log(shot: Shot, decision: Decision, logger: JournalLogger) -> None:
    """Note tags, figures and files; a decision that is told again is written over."""
    named = {"mlflow.runName": f"{shot.run_name}-{decision.outcome}"}
    for name, value in {**_tags(shot, decision), **named}.items():
        logger.set_tag(name, value)
    logger.note(f"**{decision.outcome}**: {decision.reason}")
    if figures := _figures(decision.verdict):
        logger.log_metrics(figures)
    for path in sorted(shot.folder.iterdir()):
        if path.suffix in (".json", ".html", ".png", ".txt") and path.name != "provenance.json":
            logger.log_artifact(path)


def _figures(verdict: Mapping[str, Any] | None) -> dict[str, float]:
    """The gain with its interval, as metrics."""
    gain = (verdict or {}).get("gain") or {}
    names = {"value": "gate/gain", "low": "gate/gain_low", "high": "gate/gain_high"}
    return {names[key]: float(gain[key]) for key in names if gain.get(key) is not None}
