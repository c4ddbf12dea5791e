"""Loaders hand out the store's own values, whole windows at a time."""

import os
import pickle
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from datamodules.batches import MapBatch
from datamodules.errors import InputError
from datamodules.gridded.clock import clock_features
from datamodules.gridded.datamodule import GriddedDataModule
from datamodules.gridded.dataset import WindowDataset
from datamodules.gridded.fitted import load_or_fit
from datamodules.gridded.options import SplitOptions
from datamodules.gridded.windows import fold_of, split_ranges, split_starts
from tests.datamodules.gridded.twin import make_store, weather

HISTORY, HORIZON = 3, 4
ADVICE_ON_WORKERS = pytest.mark.filterwarnings("ignore:.*does not have many workers")
LIGHTNING_ON_TREES = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
"""The trainer's own: maps are read faster without workers, and its tree code is behind torch's."""


@pytest.fixture
def data(tmp_path: Path) -> GriddedDataModule:
    """Two channels and two series with missing values, 420 steps with two gaps, three splits."""
    values = weather(420)
    values[:, 1, 0, :3] = np.nan
    series = np.random.default_rng(0).normal(size=(420, 2))
    series[::5, 1] = np.nan
    tick = np.arange(420) + 4 * (np.arange(420) > 50) + 9 * (np.arange(420) > 380)
    store = make_store(tmp_path / "store", values, tick=tick, series=series)
    splits = split_ranges(store.time, SplitOptions(), HISTORY + HORIZON, store.calendar)
    fitted = load_or_fit(store, train=splits["train"], history=HISTORY, horizon=HORIZON, folds=3)
    return GriddedDataModule(store, fitted, splits, history=HISTORY, horizon=HORIZON, batch_size=16, seed=5)


def loaders(data: GriddedDataModule) -> dict[str, DataLoader[MapBatch]]:
    """The loader of each split."""
    return {
        "train": data.train_dataloader(),
        "validation": data.val_dataloader(),
        "test": data.test_dataloader(),
    }


def test_a_batch_holds_the_stores_values_basis_clock_and_series(data: GriddedDataModule) -> None:
    store = data.store
    assert store.series is not None
    clock, basis = clock_features(store.time, store.calendar), data.fitted.basis(store.time)
    for batch in data.train_dataloader():
        assert isinstance(batch, MapBatch)
        assert batch.maps.shape[1:] == (7, 2, 4, 6)
        assert batch.start.dtype == batch.fold.dtype == torch.int64
        assert {t.dtype for t in (batch.maps, batch.basis, batch.clock, batch.series)} == {torch.float32}
        for b, start in enumerate(batch.start.tolist()):
            inside = slice(start, start + 7)
            np.testing.assert_array_equal(batch.maps[b], store.values[inside])
            np.testing.assert_array_equal(batch.series[b], store.series.values[inside])
            np.testing.assert_array_equal(batch.clock[b], clock[inside])
            np.testing.assert_array_equal(batch.basis[b], basis[inside])


def test_each_split_hands_out_all_its_windows_once_and_no_other(data: GriddedDataModule) -> None:
    for name, loader in loaders(data).items():
        starts = torch.cat([batch.start for batch in loader]).numpy()
        expected = split_starts(data.splits[name], data.store.tick, HISTORY, HORIZON)
        assert np.array_equal(np.sort(starts), expected)
        assert data.counts[name] == len(expected)
        if name != "train":
            assert np.array_equal(starts, expected)


def test_training_windows_know_their_fold_and_others_have_none(data: GriddedDataModule) -> None:
    starts = split_starts(data.splits["train"], data.store.tick, HISTORY, HORIZON)
    fold = dict(zip(starts.tolist(), fold_of(starts, 3).tolist(), strict=True))
    for batch in data.train_dataloader():
        assert batch.fold.tolist() == [fold[start] for start in batch.start.tolist()]
    assert all(torch.all(batch.fold == -1) for batch in data.val_dataloader())


def test_batches_can_be_changed_in_place_without_touching_the_store(data: GriddedDataModule) -> None:
    before = data.store.values[:50].copy()
    for batch in data.train_dataloader():
        batch.maps.zero_()
        batch.series.zero_()
        batch.basis.zero_()
    np.testing.assert_array_equal(data.store.values[:50], before)
    assert all(torch.all(batch.basis[..., 0] == 1) for batch in data.train_dataloader())


def test_worker_processes_hand_out_the_same_batches(data: GriddedDataModule) -> None:
    here = list(data.train_dataloader())
    data.workers = 1
    there = list(data.train_dataloader())
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.start, other.start)
        assert torch.equal(one.maps.nan_to_num(), other.maps.nan_to_num())


def test_a_dataset_pickles_without_its_maps(data: GriddedDataModule) -> None:
    frozen = pickle.dumps(data.dataset("test"))
    assert len(frozen) < data.store.values.nbytes / 2
    thawed = pickle.loads(frozen)
    assert torch.equal(thawed[3].start, data.dataset("test")[3].start)


def test_an_interrupted_epoch_goes_on_with_the_batch_after_the_last_one_seen(data: GriddedDataModule) -> None:
    whole = [batch.start.tolist() for batch in data.train_dataloader()]
    loader = data.train_dataloader()
    reading = iter(loader)
    for _ in range(4):
        next(reading)
    state = loader.state_dict()
    resumed = data.train_dataloader()
    resumed.load_state_dict(state)
    assert [batch.start.tolist() for batch in resumed] == whole[4:]
    assert [batch.start.tolist() for batch in resumed] == whole
    resumed.load_state_dict(resumed.state_dict())
    assert list(resumed) == []  # the epoch is over; the next one is whole
    resumed.batches.set_epoch(1)
    assert sorted(start for batch in resumed for start in batch.start.tolist()) == sorted(chain(*whole))


def test_a_split_without_windows_is_refused_by_name(data: GriddedDataModule) -> None:
    with pytest.raises(InputError, match=r"data\.split\.validation holds 56 steps"):
        GriddedDataModule(data.store, data.fitted, data.splits, history=80, horizon=4, batch_size=4)


def test_a_horizon_beyond_what_was_fitted_is_refused(data: GriddedDataModule) -> None:
    with pytest.raises(ValueError, match="fitted for a horizon of 4 steps, asked for 9"):
        GriddedDataModule(data.store, data.fitted, data.splits, history=3, horizon=9, batch_size=4)


def test_windows_outside_the_store_are_refused(data: GriddedDataModule) -> None:
    basis = data.fitted.basis(data.store.time)
    with pytest.raises(ValueError, match="leave 420"):
        WindowDataset(data.store, basis, np.array([0, 414]), 7)
    with pytest.raises(ValueError, match="the basis has 10 steps"):
        WindowDataset(data.store, basis[:10], np.array([0]), 7)


class Watching(pl.LightningModule):
    """Notes which windows the trainer hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen: list[list[int]] = []

    def training_step(self, batch: MapBatch) -> torch.Tensor:
        self.seen.append(batch.start.tolist())
        return self.scale * batch.clock.mean()

    def validation_step(self, batch: MapBatch) -> None:
        assert torch.all(batch.fold == -1)

    def predict_step(self, batch: MapBatch) -> torch.Tensor:
        return batch.start

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class KeepAt(pl.Callback):
    """Saves a checkpoint to `path` after `step` batches."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def trainer(folder: Path, **settings: Any) -> pl.Trainer:
    """A quiet one on the processor."""
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **settings,
    )


@ADVICE_ON_WORKERS
@LIGHTNING_ON_TREES
def test_the_trainer_reads_another_order_each_epoch_and_resumes_within_one(
    data: GriddedDataModule, tmp_path: Path
) -> None:
    per_epoch = len(data.train_dataloader())
    straight = Watching()
    keeping = KeepAt(per_epoch + 5, tmp_path / "middle.ckpt")
    trainer(tmp_path, max_epochs=2, callbacks=[keeping]).fit(straight, datamodule=data)
    assert len(straight.seen) == 2 * per_epoch
    assert straight.seen[:per_epoch] != straight.seen[per_epoch:]
    resumed = Watching()
    trainer(tmp_path, max_epochs=2).fit(resumed, datamodule=data, ckpt_path=keeping.path, weights_only=True)
    assert resumed.seen == straight.seen[per_epoch + 5 :]


@ADVICE_ON_WORKERS
@LIGHTNING_ON_TREES
def test_the_trainer_predicts_every_test_window_in_order(data: GriddedDataModule, tmp_path: Path) -> None:
    found = trainer(tmp_path).predict(Watching(), datamodule=data)
    assert found is not None
    expected = split_starts(data.splits["test"], data.store.tick, HISTORY, HORIZON)
    assert np.array_equal(torch.cat(found).numpy(), expected)


RANKS = """
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch

from datamodules.gridded.datamodule import GriddedDataModule
from datamodules.gridded.fitted import load_or_fit
from datamodules.gridded.options import SplitOptions
from datamodules.gridded.store import Store
from datamodules.gridded.windows import split_ranges


class Noting(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(3))

    def note(self, kind, batch):
        with open(f"{kind}-{self.current_epoch}-{self.global_rank}.txt", "a") as file:
            file.write(" ".join(str(start) for start in batch.start.tolist()) + chr(10))

    def training_step(self, batch):
        self.note("train", batch)
        return self.scale * batch.clock.mean()

    def validation_step(self, batch):
        self.note("validation", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


store = Store.open(Path(sys.argv[1]))
splits = split_ranges(store.time, SplitOptions(), 7, store.calendar)
fitted = load_or_fit(store, train=splits["train"], history=3, horizon=4, folds=3)
data = GriddedDataModule(store, fitted, splits, history=3, horizon=4, batch_size=16, seed=5)
pl.Trainer(
    accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, logger=False, enable_progress_bar=False,
    enable_model_summary=False, enable_checkpointing=False, use_distributed_sampler=False,
    num_sanity_val_steps=0,
).fit(Noting(), datamodule=data)
"""


def test_two_real_ranks_share_the_windows_and_repeat_none(data: GriddedDataModule, tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    done = subprocess.run(
        [sys.executable, str(script), str(data.store.path)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    for kind in ("train", "validation"):
        expected = split_starts(data.splits[kind], data.store.tick, HISTORY, HORIZON).tolist()
        for epoch in range(2):
            ranks = [(tmp_path / f"{kind}-{epoch}-{rank}.txt").read_text().splitlines() for rank in range(2)]
            assert len(ranks[0]) == len(ranks[1])
            assert sorted(int(start) for line in ranks[0] + ranks[1] for start in line.split()) == expected
    assert (tmp_path / "train-0-0.txt").read_text() != (tmp_path / "train-1-0.txt").read_text()
