"""sweep: one run for each of several settings, a process each, all of them children of one MLflow run."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console

from datamodules.errors import InputError
from pipelines import provenance
from pipelines.console import attach_log, rank
from pipelines.rundir import RunDir
from pipelines.sweeps.driver import Driver, TrialsFailedError
from pipelines.sweeps.ledger import Ledger, Trial, open_ledger
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.table import show_sweep
from pipelines.tracking.destination import destination
from pipelines.tracking.journal import JOURNAL, Sent, first_start
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Destination
from pipelines.tracking.session import tracked
from pipelines.tracking.sync import send_pending
from pipelines.verbs import Call

log = logging.getLogger(__name__)

HEAD_START = 10.0
"""Seconds that the first trial waits for the sweep's own MLflow run: it makes the database for all."""


def sweep(call: Call) -> dict[str, Any]:
    """Run the trials that are left, and rank them all by a validation figure.

    The same call goes on where an earlier one ended: finished and pruned trials stay, stopped ones go on from
    their last checkpoint, failed ones are tried once more. Returns sweep, mlflow_run_id, figure, mode, best,
    trials (best first). Errors: InputError; TrialsFailedError when no trial came to an end.
    """
    plan = call.plan
    if plan is None or rank():
        raise InputError("a sweep is one process, which starts its trials; give the ranks to the trials")
    with _held(plan) as run:
        ledger = open_ledger(plan.folder, plan.asked(), plan.ranking)
        if len(ledger.done()) < plan.total:
            attach_log(ledger.log)
            _launch(call, plan, run, ledger)
        else:
            log.info("%s: all %d trials are done; this is what they found", run.path, plan.total)
    if not call.json:
        show_sweep(plan, ledger, Console())
    if ledger.trials and all(trial.state == "failed" for trial in ledger.trials.values()):
        reason = next(iter(ledger.trials.values())).reason
        raise TrialsFailedError(f"every trial failed; the first: {reason}")
    return _result(plan, run, ledger)


@contextmanager
def _held(plan: Plan) -> Iterator[RunDir]:
    """The sweep's directory, which no other process works on meanwhile. Errors: InputError."""
    run = RunDir(plan.folder)
    run.path.mkdir(parents=True, exist_ok=True)
    lock = run.lock()
    if not lock.acquire(wait=10.0):
        raise InputError(
            f"{run.path}: {lock.holder()} is at work on this sweep. Wait for it to end, stop it, or give "
            "this one another name with run.name="
        )
    with lock:
        yield run


def _launch(call: Call, plan: Plan, run: RunDir, ledger: Ledger) -> None:
    """The trials under one MLflow run, which ends as the sweep does."""
    settings = call.settings
    found = provenance.write(run, seed=plan.options.seed, data={}, arguments=["skyreel", *call.argv])
    log.info(
        "sweep %s (%s): %d trials, %d done, %d at once; ranked by %s (%s)",
        run.path,
        plan.options.method,
        plan.total,
        len(ledger.done()),
        plan.options.parallel,
        plan.ranking.figure,
        plan.ranking.mode,
    )
    to = destination(settings)
    with tracked(
        run,
        to,
        tags=provenance.run_tags(found),
        experiment=settings.tracking.experiment,
        system_every=None,
        wait=settings.tracking.timeout,
    ) as logger:
        logger.log_hyperparams(plan.asked())
        if to is not None:
            _wait_for_run(run)
        try:
            Driver(plan, ledger, lambda trial: _log_trial(plan, ledger, logger, trial)).run()
            if to is not None:
                _send_rest(ledger, to, settings.tracking.timeout)
        finally:
            _log_results(ledger, logger)


def _wait_for_run(run: RunDir) -> None:
    """Return once the sweep's run is known to MLflow, or after HEAD_START: trials find it or make it."""
    until = time.monotonic() + HEAD_START
    while time.monotonic() < until and not (provenance.read(run).get("mlflow") or {}).get("run_id"):
        time.sleep(0.1)


def _send_rest(ledger: Ledger, to: Destination, timeout: float) -> None:
    """Send what trials could not: one that is stopped waits only a moment for the server."""
    for trial in ledger.done():
        run = RunDir(ledger.run(trial))
        if first_start(run.tracking / JOURNAL) and Sent.load(run.path, to.shown).left(run.path):
            try:
                found = send_pending(run, to, timeout)
            except InputError as error:
                log.warning("%s", error)
                continue
            if found.left:
                words = "%s: %d tracking records are left; `skyreel review sync` sends them"
                log.warning(words, run.path, found.left)
                return


def _log_trial(plan: Plan, ledger: Ledger, logger: JournalLogger, trial: Trial) -> None:
    """Note a trial's figure and the best so far, as curves over the trials' numbers."""
    best, name = ledger.best(), plan.ranking.figure
    if trial.figure is not None:
        figures = {f"trial/{name}": trial.figure}
        if best is not None and best.figure is not None:
            figures[f"best/{name}"] = best.figure
        logger.log_metrics(figures, trial.number)


def _log_results(ledger: Ledger, logger: JournalLogger) -> None:
    """Note the table and who is best."""
    if not ledger.trials:
        return
    keys = list(next(iter(ledger.trials.values())).values)
    rows = [
        [trial.name, trial.state, trial.figure, *(trial.values.get(key) for key in keys)]
        for trial in ledger.ranked()
    ]
    logger.log_table("trials", ["trial", "state", ledger.ranking.figure, *keys], rows)
    for path in (ledger.results, ledger.folder / "sweep.yaml"):
        logger.log_artifact(path)
    best = ledger.best()
    if best is not None:
        logger.set_tag("skyreel.best_trial", best.name)
        logger.note(
            f"Best of {len(ledger.trials)} trials by {ledger.ranking.figure}: **{best.name}** "
            f"({best.figure:.5g}) with `{json.dumps(best.values)}`."
        )


def _result(plan: Plan, run: RunDir, ledger: Ledger) -> dict[str, Any]:
    def plain(trial: Trial) -> dict[str, Any]:
        return {**asdict(trial), "run": str(ledger.run(trial))}

    best = ledger.best()
    return {
        "sweep": str(run.path),
        "mlflow_run_id": (provenance.read(run).get("mlflow") or {}).get("run_id"),
        "figure": plan.ranking.figure,
        "mode": plan.ranking.mode,
        "best": None if best is None else plain(best),
        "trials": [plain(trial) for trial in ledger.ranked()],
    }
