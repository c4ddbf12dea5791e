"""What a launch is about to do, told before its first step and kept in provenance.json."""

import logging

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from pipelines import provenance
from pipelines.plan import Plan, changed_plan, make_plan, plan_lines
from pipelines.rundir import RunDir
from pipelines.settings import Settings

log = logging.getLogger(__name__)


class TellPlan(Callback):
    """Logs the plan of a launch, and what of it is not as it was when the run goes on.

    precision: Lightning's name of it.   goes_on: whether steps were taken before.
    """

    def __init__(self, settings: Settings, run: RunDir, precision: str, *, goes_on: bool) -> None:
        self._settings, self._run, self._precision, self._goes_on = settings, run, precision, goes_on

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell, on the first rank."""
        if not trainer.is_global_zero:
            return
        now = self._plan(trainer)
        log.info("%s", "; ".join(plan_lines(now)))
        before = Plan.from_json(provenance.read(self._run).get("plan"))
        if self._goes_on and before is not None:
            for change in changed_plan(before, now):
                log.warning("%s", change)
        if now.max_steps is not None and trainer.global_step >= now.max_steps:
            log.warning("step %d is at the bound already: there is nothing to train", trainer.global_step)
        provenance.note(self._run, plan=now.to_json())

    def _plan(self, trainer: pl.Trainer) -> Plan:
        options = self._settings.trainer
        on_gpu = trainer.strategy.root_device.type == "cuda"
        return make_plan(
            ranks=trainer.world_size,
            batch_size=self._settings.data.batch_size,
            batches=int(trainer.num_training_batches),
            accumulate=options.accumulate,
            learning_rate=self._settings.optimizer.learning_rate,
            max_epochs=options.max_epochs,
            max_steps=options.max_steps,
            max_minutes=options.max_minutes,
            precision=self._precision,
            device=torch.cuda.get_device_name() if on_gpu else "CPU",
        )
