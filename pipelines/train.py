"""train: data -> batches -> network -> checkpoints -> scores, in a run directory that explains itself."""

import logging
import random
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from datamodules.errors import InputError
from lightning_modules.optimization import Optimized
from pipelines import interrupts, provenance
from pipelines.best_checkpoints import BestCheckpoints
from pipelines.checkpoint_files import clean_up, newest_good
from pipelines.console import attach_log, rank, shown_path
from pipelines.launching import on_lost_rank
from pipelines.lightning_trainer import build_trainer, require_gpus
from pipelines.placement import heard_from_first, placed, tell_others
from pipelines.ranks import started_again
from pipelines.redact import command_line, without_secrets
from pipelines.reports.describe import describe_end, describe_start
from pipelines.rundir import OpenRun, RunDir, default_name, open_run
from pipelines.settings import Settings
from pipelines.slurm import requeue
from pipelines.strategies import check_together
from pipelines.systems import Judged, System, open_system
from pipelines.tracking.destination import destination
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Outbox
from pipelines.tracking.session import tracked
from pipelines.tracking.sync import send_pending
from pipelines.verbs import Call
from pipelines.weights import begin_from

log = logging.getLogger(__name__)

FAILED = "failed"
"""What the first rank tells the others where it has to give up."""


def train(call: Call) -> dict[str, Any]:
    """Train, or go on training, and evaluate the best checkpoint on the test split once.

    The same call finds its own run again, and `run=` names one: an unfinished one goes on from its last good
    checkpoint, a finished one is shown. Returns run, mlflow_run_id, metrics.
    """
    require_gpus(call.settings.trainer)
    settings = call.settings.model_copy(update={"trainer": placed(call.settings.trainer)})
    check_together(settings.trainer)
    try:
        system = open_system(settings)
        return _as_other_rank(call, settings, system) if rank() else _as_first_rank(call, settings, system)
    except interrupts.Stopped as stop:
        if stop.signum == signal.SIGUSR1 and settings.trainer.requeue and not rank():
            requeue()
        raise


def _as_first_rank(call: Call, settings: Settings, system: System) -> dict[str, Any]:
    """The rank that opens the run directory for all, writes, and shows the result."""
    opened = _opened(call, settings)
    try:
        tell_others(opened.state)
        if opened.state == "finished":
            log.info("%s is finished: these are its figures; run.restart=true begins again", opened.run.path)
            _send_rest(settings, opened.run)
            return _shown(call, opened.run, system, system.found_before(opened.run))
        return _launch(call, settings, opened.run, system)
    finally:
        opened.close()


def _opened(call: Call, settings: Settings) -> OpenRun:
    """The run directory, held by this process. InputError where it cannot be: the other ranks hear of it."""
    run = _run_of(call)
    restart = settings.run.restart and not started_again()
    try:
        experiment = run.path.parent
        return open_run(experiment.parent, experiment.name, run.path.name, call.config, restart=restart)
    except InputError:
        tell_others(FAILED)
        raise


def _run_of(call: Call) -> RunDir:
    """The directory of the run that the call begins or goes on with; the same on every rank."""
    settings = call.settings
    if call.run is not None:
        return RunDir(Path(call.run).absolute())
    name = settings.run.name or default_name(_network(settings), call.config)
    return RunDir((Path(settings.paths.runs) / settings.run.experiment / name).absolute())


def _launch(call: Call, settings: Settings, run: RunDir, system: System) -> dict[str, Any]:
    """Rank 0: provenance, tracking, training, evaluation."""
    attach_log(run.log)
    log.info("run %s", run.path)
    clean_up(run)
    _refuse_other_data(run, system)
    found = provenance.write(
        run, seed=settings.seed, data={"store": system.about()}, arguments=["skyreel", *call.argv]
    )
    every = 10.0 if settings.tracking.system_metrics else None
    sweep = settings.run.sweep
    tracking = tracked(
        run,
        destination(settings),
        tags=provenance.run_tags(found),
        experiment=settings.tracking.experiment,
        system_every=every,
        wait=settings.tracking.timeout,
        parent=run.path.with_name(f"{sweep}.sweep") if sweep else None,
    )
    with tracking as logger, interrupts.in_order():
        on_lost_rank(partial(_lost, run, logger))
        logger.log_hyperparams(call.config)
        logger.log_artifact(run.config)
        describe_start(run, logger)
        for record in system.records():
            logger.log_dataset(
                record.name, record.digest, record.source, record.split, profile=dict(record.profile)
            )
        _fit(settings, run, system, logger)
        judged = system.judge(run, run.best, logger)
        describe_end(run, logger)
        logger.log_checkpoints()
        logger.log_artifact(run.provenance)
    return _shown(call, run, system, judged)


def _send_rest(settings: Settings, run: RunDir) -> None:
    """Send what a launch could not send before it was killed; nothing where all of it is there."""
    to = destination(settings)
    if to is None or not Outbox(run.path, to).left():
        return
    try:
        sent = send_pending(run, to, settings.tracking.timeout)
    except InputError as error:
        log.warning("%s", error)
    else:
        log.info("%d tracking records sent, %d left", sent.sent, sent.left)


def _lost(run: RunDir, logger: JournalLogger, message: str, stop: signal.Signals | None) -> None:
    """Note the end of a launch that waits for ever for a rank that died, or that a signal has stopped."""
    status = "FAILED" if stop is None else "KILLED"
    provenance.note_end(run, status)
    logger.journal.append("status", status=status)


def _refuse_other_data(run: RunDir, system: System) -> None:
    """Return when a run that has a checkpoint goes on with the data that it began with."""
    now = system.about()["digest"]
    before = ((provenance.read(run).get("data") or {}).get("store") or {}).get("digest", now)
    if run.last.exists() and before != now:
        raise InputError(
            f"{run.path}: the data are not those that this run began with (digest {before[:8]}, now "
            f"{now[:8]}). Give this run its own name with run.name= (start={run.path} takes its weights), "
            "or begin again with run.restart=true"
        )


def _as_other_rank(call: Call, settings: Settings, system: System) -> dict[str, Any]:
    """A rank beside the first: the same data and steps, nothing written."""
    word, run = heard_from_first(), _run_of(call)
    if word == "finished":
        return {}
    if word == FAILED:
        raise InputError("the first rank could not open the run directory; it says why")
    with interrupts.in_order():
        _fit(settings, run, system, JournalLogger(run))
        system.judge(run, run.best)
    return {}


def _fit(settings: Settings, run: RunDir, system: System, logger: JournalLogger) -> None:
    """Train until a bound; goes on from the last good checkpoint where there is one."""
    torch.manual_seed(settings.seed)
    np.random.seed(settings.seed)
    random.seed(settings.seed)
    last = newest_good(run)
    module = system.new_module(run)
    loaders = system.loaders()
    chosen_by = (module.monitor, module.mode)
    trainer = build_trainer(settings, run, logger, chosen_by, goes_on=last is not None)
    log.info("%s%s", system.counts(), f"; going on from {last.name}" if last else "")
    if settings.start is not None and last is None:
        begin_from(module, settings.start, Path(settings.paths.runs))
    if settings.trainer.compile:
        module.model.compile()
    try:
        trainer.fit(module, datamodule=loaders, ckpt_path=last, weights_only=True)
    finally:
        interrupts.resume()
    _keep_last_if_best(trainer, module, loaders, run)


def _keep_last_if_best(
    trainer: pl.Trainer, module: Optimized, loaders: pl.LightningDataModule, run: RunDir
) -> None:
    """Validate the last weights where nothing has yet; they become the best if they are."""
    best = next(one for one in trainer.callbacks if isinstance(one, BestCheckpoints))  # type: ignore[attr-defined]
    if module.validated_at != trainer.global_step:
        (figures,) = trainer.validate(module, datamodule=loaders, verbose=False)
        best.offer(trainer, figures[best.monitor])
    if not run.best.exists():
        raise InputError(
            f"{best.monitor} was never a finite number, so there is no best checkpoint to judge: it has "
            "diverged. Lower optimizer.learning_rate or optimizer.gradient_clip, and look at train/loss"
        )


def _shown(call: Call, run: RunDir, system: System, judged: Judged) -> dict[str, Any]:
    """The result; on a terminal the table of skill and what to try next."""
    if not call.json:
        judged.show()
        for line in _next_steps(call, run, system):
            sys.stdout.write(line + "\n")
    return {
        "run": str(run.path),
        "mlflow_run_id": (provenance.read(run).get("mlflow") or {}).get("run_id"),
        "metrics": dict(judged.metrics),
    }


def _next_steps(call: Call, run: RunDir, system: System) -> list[str]:
    """Three things to try next, as commands."""
    program = (
        "skyreel"
        if shutil.which("skyreel")
        else "python -m pipelines"
        if sys.argv[0].endswith(".py")
        else shown_path(Path(sys.argv[0]).absolute())
    )
    typed = [word for word in call.argv[1:] if not word.startswith(("run.", "model=", "run=", "-"))]
    words = " ".join(command_line(typed))
    steps = system.next_steps(str(program), shown_path(run.path), words)
    place = call.settings.paths.runs
    ui = "make ui" if place == "runs" else f"make ui RUNS={place}"
    uri = call.settings.tracking_uri
    if uri is not None and uri.startswith("http"):
        ui = without_secrets(uri)
    elif uri is not None and not Path("Makefile").is_file():
        ui = f"mlflow ui --backend-store-uri {without_secrets(uri)}"
    steps = [line.replace("make ui", ui) for line in steps]
    return [line for line in steps if call.run is None or f"{program} train" not in line]


def _network(settings: Settings) -> str:
    """What the network is called in a run's default name."""
    if settings.model.kind == "captioner":
        return settings.model.decoder.form if settings.model.decoder.form == "s2vt" else "captioner"
    return settings.model.recurrent.kind
