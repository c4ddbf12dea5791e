"""Every run tells its speed and how long it waits for data, and what to change when that is long."""

import logging
import time
from collections.abc import Sequence

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch.utils.data import Dataset

from datamodules.sampler import ShuffledBatches, training_loader
from pipelines.compose import compose
from pipelines.data_stalls import HINT_AFTER, DataStalls, Span

BATCHES, SAMPLES = 8, 32


class SlowData(Dataset[torch.Tensor]):
    """Batches that take a while to read."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __getitem__(self, batch: Sequence[int]) -> torch.Tensor:
        time.sleep(self.seconds)
        return torch.ones(len(batch), 2)


class Steps(pl.LightningModule):
    """A module whose steps take a while, and whose validation takes long."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        time.sleep(self.seconds)
        return self.layer(batch).mean()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        time.sleep(1.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Kept(Logger):
    """A logger that keeps what it is told."""

    name, version = "kept", "0"

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "speed/step_seconds" in metrics:
            self.told.append((int(step or 0), metrics))

    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """Nothing."""


def train(reading: float, working: float, stalls: DataStalls, accumulate: int = 1) -> Kept:
    """Two epochs; what was logged."""
    batches = ShuffledBatches(SAMPLES, SAMPLES // BATCHES, seed=0)
    kept = Kept()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=kept,
        callbacks=[stalls],
        accumulate_grad_batches=accumulate,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )
    check = torch.utils.data.DataLoader([torch.ones(2)])
    trainer.fit(Steps(working), training_loader(SlowData(reading), batches, 0), check)
    return kept


def stalls(*words: str) -> DataStalls:
    return DataStalls(compose(["data=netcdf", "data.path=maps.nc", *words]).settings)


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*", "ignore:.*litlogger.*"
)


def test_each_epoch_tells_its_speed_and_how_long_it_waited_without_its_validation() -> None:
    kept = train(reading=0.03, working=0.01, stalls=stalls())
    assert [step for step, _ in kept.told] == [BATCHES, 2 * BATCHES]
    for _, told in kept.told:
        assert 0.4 < told["speed/data_stall_share"] < 0.8
        assert 0.04 <= told["speed/step_seconds"] < 0.12
        per_batch = SAMPLES / BATCHES
        assert told["speed/samples_per_second"] == pytest.approx(per_batch / told["speed/step_seconds"])


def test_a_step_of_several_batches_is_one_step() -> None:
    kept = train(reading=0.0, working=0.02, stalls=stalls(), accumulate=2)
    assert [step for step, _ in kept.told] == [BATCHES // 2, BATCHES]
    assert all(told["speed/step_seconds"] >= 0.04 for _, told in kept.told)


def test_late_data_are_told_once_with_what_to_change(caplog: pytest.LogCaptureFixture) -> None:
    long = stalls("trainer.threads=1")
    long.whole.add(Span(seconds=HINT_AFTER, waited=HINT_AFTER / 2))  # a minute would be too long for a test
    with caplog.at_level(logging.WARNING):
        train(reading=0.02, working=0.001, stalls=stalls())
        assert not caplog.records
        train(reading=0.02, working=0.001, stalls=long)
    (hint,) = [record.getMessage() for record in caplog.records]
    assert "% of the training time went to waiting for data: " in hint
    assert "data.workers" in hint
