"""train: data -> batches -> network -> checkpoints -> scores, in a run directory that explains itself."""

import logging
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from lightning_modules.optimization import Optimized
from pipelines import provenance
from pipelines.console import attach_log, rank, shown_path
from pipelines.interrupts import graceful_fit
from pipelines.lightning_trainer import build_trainer, precision_of
from pipelines.rundir import OpenRun, RunDir, default_name, open_run
from pipelines.settings import Settings
from pipelines.systems import Judged, System, open_system
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Destination
from pipelines.tracking.server import artifact_location
from pipelines.tracking.session import tracked
from pipelines.verbs import Call
from pipelines.weights import begin_from

log = logging.getLogger(__name__)


def train(call: Call) -> dict[str, Any]:
    """Train, or go on training, and evaluate the best checkpoint on the test split once.

    The same call finds its own run again: an unfinished one goes on from its last checkpoint, a finished one
    is shown. Returns run, mlflow_run_id, metrics.
    """
    settings = call.settings
    name = settings.run.name or default_name(_network(settings), call.config)
    runs = Path(settings.paths.runs)
    if rank():
        return _as_other_rank(settings, RunDir((runs / settings.run.experiment / name).absolute()))
    system = open_system(settings)
    opened = open_run(runs, settings.run.experiment, name, call.config, restart=settings.run.restart)
    try:
        if opened.state == "finished":
            log.info("%s is finished: these are its figures; run.restart=true begins again", opened.run.path)
            return _shown(call, opened.run, system, system.found_before(opened.run))
        return _launch(call, opened, system)
    finally:
        opened.close()


def destination(settings: Settings) -> Destination | None:
    """Where tracking records go; None when nothing is tracked."""
    uri = settings.tracking_uri
    if uri is None:
        return None
    Path(settings.paths.runs).mkdir(parents=True, exist_ok=True)
    return Destination(uri, artifact_location(uri, Path(settings.paths.runs)))


def _launch(call: Call, opened: OpenRun, system: System) -> dict[str, Any]:
    """Rank 0: provenance, tracking, training, evaluation."""
    settings, run = call.settings, opened.run
    attach_log(run.log)
    log.info("run %s (%s)", run.path, opened.state)
    found = provenance.write(
        run, seed=settings.seed, data={"store": system.about()}, arguments=["skyreel", *call.argv]
    )
    every = 10.0 if settings.tracking.system_metrics else None
    with tracked(
        run,
        destination(settings),
        tags=provenance.run_tags(found),
        experiment=settings.tracking.experiment,
        system_every=every,
        wait=settings.tracking.timeout,
    ) as logger:
        logger.log_hyperparams(call.config)
        logger.log_artifact(run.config)
        for record in system.records():
            logger.log_dataset(
                record.name, record.digest, record.source, record.split, profile=dict(record.profile)
            )
        _fit(settings, run, system, logger)
        judged = system.judge(run, run.best, logger)
        logger.log_checkpoints()
        logger.log_artifact(run.provenance)
    return _shown(call, run, system, judged)


def _as_other_rank(settings: Settings, run: RunDir) -> dict[str, Any]:
    """A rank beside the first: the same data and steps, nothing written."""
    system = open_system(settings)
    _fit(settings, run, system, JournalLogger(run))
    system.judge(run, run.best)
    return {}


def _fit(settings: Settings, run: RunDir, system: System, logger: JournalLogger) -> None:
    """Train until a bound; goes on from the last checkpoint where there is one."""
    torch.manual_seed(settings.seed)
    np.random.seed(settings.seed)
    random.seed(settings.seed)
    module = system.new_module(run)
    loaders = system.loaders()
    trainer = build_trainer(settings, run, logger, (module.monitor, module.mode))
    last = run.last if run.last.exists() else None
    log.info(
        "%s; batches of %d on %d device(s), %s%s",
        system.counts(),
        settings.data.batch_size,
        trainer.world_size,
        precision_of(settings.trainer),
        f"; going on from {last.name}" if last else "",
    )
    if settings.start is not None and last is None:
        begin_from(module, settings.start, Path(settings.paths.runs))
    if settings.trainer.compile:
        module.model.compile()
    with graceful_fit():
        trainer.fit(module, datamodule=loaders, ckpt_path=last, weights_only=True)
    _keep_last_if_best(trainer, module, loaders, run)


def _keep_last_if_best(
    trainer: pl.Trainer, module: Optimized, loaders: pl.LightningDataModule, run: RunDir
) -> None:
    """Validate the last weights where a bound came in mid-epoch; they become the best if they are."""
    if module.validated_at == trainer.global_step:
        return
    best = next(c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor)
    (figures,) = trainer.validate(module, datamodule=loaders, verbose=False)
    before, now = best.best_model_score, figures[str(best.monitor)]
    if before is None or (now > float(before) if best.mode == "max" else now < float(before)):
        trainer.save_checkpoint(run.best)


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
    words = " ".join(word for word in call.argv[1:] if not word.startswith(("run.", "model=", "run=", "-")))
    return system.next_steps(str(program), shown_path(run.path), words)


def _network(settings: Settings) -> str:
    """What the network is called in a run's default name."""
    if settings.model.kind == "captioner":
        return settings.model.decoder.form if settings.model.decoder.form == "s2vt" else "captioner"
    return settings.model.recurrent.kind
