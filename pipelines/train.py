"""train: data -> windows -> forecaster -> checkpoints -> scores, in a run directory that explains itself."""

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

from datamodules.gridded.datamodule import GriddedDataModule
from lightning_modules.forecasting import ForecastingModule
from pipelines import provenance
from pipelines.console import attach_log, rank, shown_path
from pipelines.evaluate import Evaluated, found_before, judge
from pipelines.forecast_data import ForecastData, open_data
from pipelines.forecast_model import build_module, calibrated, domain_of
from pipelines.interrupts import graceful_fit
from pipelines.kept_model import keep_model
from pipelines.lightning_trainer import build_trainer, precision_of
from pipelines.rundir import OpenRun, RunDir, default_name, open_run
from pipelines.settings import Settings
from pipelines.tracking.logger import JournalLogger
from pipelines.tracking.sender import Destination
from pipelines.tracking.server import artifact_location
from pipelines.tracking.session import tracked
from pipelines.verbs import Call

log = logging.getLogger(__name__)


def train(call: Call) -> dict[str, Any]:
    """Train, or go on training, and evaluate the best checkpoint on the test split once.

    The same call finds its own run again: an unfinished one goes on from its last checkpoint, a finished one
    is shown. Returns run, mlflow_run_id, metrics.
    """
    settings = call.settings
    name = settings.run.name or default_name(settings.model.recurrent.kind, call.config)
    runs = Path(settings.paths.runs)
    if rank():
        return _as_other_rank(settings, RunDir((runs / settings.run.experiment / name).absolute()))
    data = open_data(settings.data, Path(settings.paths.stores), settings.task)
    opened = open_run(runs, settings.run.experiment, name, call.config, restart=settings.run.restart)
    try:
        if opened.state == "finished":
            log.info("%s is finished: these are its figures; run.restart=true begins again", opened.run.path)
            return _shown(call, opened.run, found_before(opened.run))
        return _launch(call, opened, data)
    finally:
        opened.close()


def destination(settings: Settings) -> Destination | None:
    """Where tracking records go; None when nothing is tracked."""
    uri = settings.tracking_uri
    if uri is None:
        return None
    Path(settings.paths.runs).mkdir(parents=True, exist_ok=True)
    return Destination(uri, artifact_location(uri, Path(settings.paths.runs)))


def _launch(call: Call, opened: OpenRun, data: ForecastData) -> dict[str, Any]:
    """Rank 0: provenance, tracking, training, evaluation."""
    settings, run = call.settings, opened.run
    attach_log(run.log)
    log.info("run %s (%s)", run.path, opened.state)
    about = _about(data, settings)
    found = provenance.write(
        run, seed=settings.seed, data={"store": about}, arguments=["skyreel", *call.argv]
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
        for split, part in data.splits.items():
            logger.log_dataset(
                f"{data.store.path.name}-{split}",
                data.store.digest,
                str(data.store.path),
                split,
                profile={"steps": len(part), "first": part.first, "stop": part.stop},
            )
        _fit(settings, run, data, logger)
        evaluated = judge(settings, run, data, run.best, logger)
        logger.log_checkpoints()
        logger.log_artifact(run.provenance)
    return _shown(call, run, evaluated)


def _as_other_rank(settings: Settings, run: RunDir) -> dict[str, Any]:
    """A rank beside the first: the same data and steps, nothing written."""
    data = open_data(settings.data, Path(settings.paths.stores), settings.task)
    _fit(settings, run, data, JournalLogger(run))
    judge(settings, run, data, run.best, None)
    return {}


def _fit(settings: Settings, run: RunDir, data: ForecastData, logger: JournalLogger) -> None:
    """Train until a bound; goes on from the last checkpoint where there is one."""
    torch.manual_seed(settings.seed)
    np.random.seed(settings.seed)
    random.seed(settings.seed)
    windows = data.windows(settings.task, settings.data.batch_size, settings.data.workers, settings.seed)
    fitted = calibrated(data.fitted, settings, data.store, windows)
    module = build_module(settings, domain_of(data.store, settings.task.horizon), fitted)
    if not rank():
        keep_model(run, data.store, fitted)
    trainer = build_trainer(settings, run, logger)
    last = run.last if run.last.exists() else None
    log.info(
        "%s training windows, %s validation, %s test; batches of %d on %d device(s), %s%s",
        *(f"{windows.counts[name]:,}" for name in ("train", "validation", "test")),
        settings.data.batch_size,
        trainer.world_size,
        precision_of(settings.trainer),
        f"; going on from {last.name}" if last else "",
    )
    if settings.trainer.compile:
        module.model.compile()
    with graceful_fit():
        trainer.fit(module, datamodule=windows, ckpt_path=last, weights_only=True)
    _keep_last_if_best(trainer, module, windows, run)


def _keep_last_if_best(
    trainer: pl.Trainer, module: ForecastingModule, windows: GriddedDataModule, run: RunDir
) -> None:
    """Validate the last weights where a bound came in mid-epoch; they become the best if they are."""
    if module.validated_at == trainer.global_step:
        return
    best = next(c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor)
    (figures,) = trainer.validate(module, datamodule=windows, verbose=False)
    if best.best_model_score is None or figures["validation/loss"] < float(best.best_model_score):
        trainer.save_checkpoint(run.best)


def _about(data: ForecastData, settings: Settings) -> dict[str, Any]:
    """What provenance says of the data."""
    path = settings.data.path
    return {
        "name": settings.data.name,
        "path": str(data.store.path),
        "digest": data.store.digest,
        "fitted": data.fitted.digest,
        "sources": path if isinstance(path, str) else list(path),
        "splits": {name: [split.first, split.stop] for name, split in data.splits.items()},
    }


def _shown(call: Call, run: RunDir, evaluated: Evaluated) -> dict[str, Any]:
    """The result; on a terminal the table of skill and what to try next."""
    if not call.json:
        evaluated.show()
        for line in _next_steps(call, run):
            sys.stdout.write(line + "\n")
    return {
        "run": str(run.path),
        "mlflow_run_id": (provenance.read(run).get("mlflow") or {}).get("run_id"),
        "metrics": dict(evaluated.metrics),
    }


def _next_steps(call: Call, run: RunDir) -> list[str]:
    """Three things to try next, as commands."""
    place = shown_path(run.path)
    program = (
        "skyreel"
        if shutil.which("skyreel")
        else "python -m pipelines"
        if sys.argv[0].endswith(".py")
        else shown_path(Path(sys.argv[0]).absolute())
    )
    other = "convlstm" if call.settings.model.recurrent.kind != "convlstm" else "convgru"
    words = " ".join(word for word in call.argv[1:] if not word.startswith(("run.", "model=", "run=", "-")))
    return [
        f"everything of this run is in {place}: metrics.json, skill.csv, plots/, log.txt",
        "next:",
        f"  {program} predict run={place} output=forecast.nc    # a forecast from the newest maps",
        f"  {program} train {words} model={other}    # another network, side by side in MLflow",
        "  make ui    # the runs in MLflow, on this machine",
    ]
