"""The Lightning view of a store: loaders of whole windows for each split."""

from collections.abc import Mapping

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from datamodules.batches import MapBatch
from datamodules.gridded.dataset import WindowDataset
from datamodules.gridded.fitted import Fitted
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split, fold_of, require_windows, split_starts
from datamodules.sampler import (
    OrderedBatches,
    ResumableLoader,
    ShuffledBatches,
    judging_loader,
    training_loader,
)


class GriddedDataModule(pl.LightningDataModule):
    """Loaders of `MapBatch` over the windows of a store's splits.

    store, fitted, splits: the data, what was fitted on its training split, and its splits by name
    history, horizon:      steps of a window that are seen, and that are forecast
    batch_size:            windows per batch and rank;   workers: processes that read (0: this one)
    seed:                  with the epoch it fixes the order of the training windows
    counts:                windows of each split

    Windows are shared among the trainer's ranks here: the trainer must be made with
    `use_distributed_sampler=False`. Errors: InputError when a split holds no window.
    """

    def __init__(
        self,
        store: Store,
        fitted: Fitted,
        splits: Mapping[str, Split],
        *,
        history: int,
        horizon: int,
        batch_size: int,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        """Find the windows of every split; nothing is read yet."""
        super().__init__()
        if horizon > fitted.horizon:
            raise ValueError(f"fitted for a horizon of {fitted.horizon} steps, asked for {horizon}")
        self.counts = require_windows(splits, store.tick, history, horizon, names=splits)
        self.store, self.fitted, self.splits = store, fitted, dict(splits)
        self.history, self.horizon = history, horizon
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self._basis = fitted.basis(store.time)

    def dataset(self, split: str) -> WindowDataset:
        """The windows of one split, in order of time; training windows carry their fold."""
        starts = split_starts(self.splits[split], self.store.tick, self.history, self.horizon)
        fold = fold_of(starts, self.fitted.folds) if split == "train" else None
        return WindowDataset(self.store, self._basis, starts, self.history + self.horizon, fold)

    def train_dataloader(self) -> ResumableLoader[MapBatch]:
        """Training windows, shuffled anew each epoch; its place survives in a checkpoint."""
        rank, world = self._place()
        data = self.dataset("train")
        batches = ShuffledBatches(len(data), self.batch_size, self.seed, rank, world)
        return training_loader(data, batches, self.workers)

    def val_dataloader(self) -> DataLoader[MapBatch]:
        """Validation windows in order, each on exactly one rank."""
        return self._ordered("validation")

    def test_dataloader(self) -> DataLoader[MapBatch]:
        """Test windows in order, each on exactly one rank."""
        return self._ordered("test")

    def predict_dataloader(self) -> DataLoader[MapBatch]:
        """Test windows in order, each on exactly one rank."""
        return self._ordered("test")

    def _ordered(self, split: str) -> DataLoader[MapBatch]:
        """A loader of one split in order."""
        rank, world = self._place()
        data = self.dataset(split)
        return judging_loader(data, OrderedBatches(len(data), self.batch_size, rank, world), self.workers)

    def _place(self) -> tuple[int, int]:
        """This process's rank and the number of ranks; (0, 1) without a trainer."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size
