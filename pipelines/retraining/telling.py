"""A decision told: its files, its page, its MLflow run, its alerts, and last of all its row in the ledger."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines import provenance
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
TOLD = "decision.json"
PAGE = "report.html"


def tell(shot: Shot, ending: Ending) -> Decision:
    """The decision as it stands in the ledger, where it is finished now, unless the next shot goes on.

    All of it may be done again after a crash: files and artifacts are written over, the MLflow run is found
    by its key; only an alert may come twice. A page or a server that fails is noted and harms nothing.
    """
    decision = shot.decision(ending)
    if decision.outcome not in SILENT:
        shot.folder.mkdir(parents=True, exist_ok=True)
        write_json(shot.folder / TOLD, decision.as_plain())
        if decision.outcome != "rolled_back":  # nobody who goes back wants anything gone
            prune(shot.job, shot.settings, shot.ledger, shot.models, shot.number)
        found = provenance.write(
            RunDir(shot.folder), seed=shot.settings.seed, data={}, arguments=["skyreel", *shot.argv]
        )
        _draw(shot, decision)
        decision = _track(shot, decision, found)
        write_json(shot.folder / TOLD, decision.as_plain())
        send(shot.job.alerts, decision)
    if ending.goes_on:
        shot.ledger.note(shot.number, stopped=decision.reason)
    else:
        shot.ledger.finish(decision)
    level = logging.INFO if decision.outcome in ("promoted", "nothing") else logging.WARNING
    log.log(level, "%s shot %04d: %s: %s", shot.job.name, shot.number, decision.outcome, decision.reason)
    return decision


def _draw(shot: Shot, decision: Decision) -> None:
    """Write the page. What goes wrong with it is told in the log: the decision stands without it."""
    try:
        from pipelines.reports.decision_page import decision_page

        decision_page(decision.as_plain(), shot.folder, shot.folder / PAGE)
    except Exception:
        log.exception("%s: the page of the decision could not be drawn", shot.folder / PAGE)


def _track(shot: Shot, decision: Decision, found: Mapping[str, Any]) -> Decision:
    """The decision with the id of its MLflow run, which holds the page and the files."""
    run, settings = RunDir(shot.folder), shot.settings
    tags = {**provenance.run_tags(found), **_tags(shot, decision)}
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
