"""The Lightning view of captioned clips: loaders of batches for each split."""

from collections.abc import Mapping, Sequence

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from datamodules.batches import ClipBatch
from datamodules.errors import InputError
from datamodules.sampler import (
    EpochBatches,
    OrderedBatches,
    ResumableLoader,
    judging_loader,
    training_loader,
)
from datamodules.video.caption_groups import CaptionGroups
from datamodules.video.clips import CaptionedClip
from datamodules.video.dataset import ClipDataset
from datamodules.video.feature_store import FeatureSource
from datamodules.video.options import FrameOptions
from datamodules.video.vocabulary import Vocabulary


class ClipDataModule(pl.LightningDataModule):
    """Loaders of `ClipBatch` over the clips of splits.

    splits:            clips of "train", "validation", "test", each in the order that numbers them
    vocabulary:        what training captions are spelt with
    frames, features:  which frames are read; a frozen encoder's features instead of them, or None
    captions_per_clip: captions of a clip in one training sample at most;  max_words: longer ones are cut
    batch_size:        samples per batch and rank;   workers: processes that read (0: this one)
    seed:              with the epoch it fixes the order, the groups of captions and the random frames
    counts:            clips of each split

    Samples are shared among the trainer's ranks here: the trainer must be made with
    `use_distributed_sampler=False`. Errors: InputError when a split holds no clip, or a clip has nothing to
    read; from the loader that trains, when a clip has no caption.
    """

    def __init__(
        self,
        splits: Mapping[str, Sequence[CaptionedClip]],
        vocabulary: Vocabulary,
        *,
        frames: FrameOptions,
        features: FeatureSource | None = None,
        captions_per_clip: int = 5,
        max_words: int = 30,
        batch_size: int = 16,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        """Take the clips of every split; nothing is read yet."""
        super().__init__()
        for name, clips in splits.items():
            if not clips:
                raise InputError(f"data.split.{name} holds no clip that can be read: give it more clips")
        self.splits = {name: tuple(clips) for name, clips in splits.items()}
        self.counts = {name: len(clips) for name, clips in self.splits.items()}
        self.vocabulary, self.frames, self.features = vocabulary, frames, features
        self.captions_per_clip, self.max_words = captions_per_clip, max_words
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        for name in self.splits:
            self.dataset(name)  # refuses clips without anything to read

    def ids(self, split: str) -> tuple[str, ...]:
        """The ids of a split's clips, in the order of `ClipBatch.clip`."""
        return tuple(clip.id for clip in self._clips(split))

    def references(self, split: str) -> tuple[tuple[str, ...], ...]:
        """The raw captions of a split's clips, in the order of `ClipBatch.clip`."""
        return tuple(clip.captions for clip in self._clips(split))

    def dataset(self, split: str, training: bool = False) -> ClipDataset:
        """The clips of one split for judging; for training with groups of their captions."""
        clips = self._clips(split)
        groups = None
        if training:
            groups = CaptionGroups(
                clips,
                self.vocabulary,
                max_words=self.max_words,
                size=self.captions_per_clip,
                seed=self.seed,
            )
        return ClipDataset(clips, self.frames, self.features, groups)

    def train_dataloader(self) -> ResumableLoader[ClipBatch]:
        """Training samples, grouped and shuffled anew each epoch; its place survives in a checkpoint."""
        rank, world = self._place()
        data = self.dataset("train", training=True)
        batches = EpochBatches(len(data), self.batch_size, self.seed, rank, world)
        return training_loader(data, batches, self.workers)

    def val_dataloader(self) -> DataLoader[ClipBatch]:
        """Validation clips in order, each on exactly one rank."""
        return self.ordered("validation")

    def test_dataloader(self) -> DataLoader[ClipBatch]:
        """Test clips in order, each on exactly one rank."""
        return self.ordered("test")

    def predict_dataloader(self) -> DataLoader[ClipBatch]:
        """Test clips in order, each on exactly one rank."""
        return self.ordered("test")

    def ordered(self, split: str) -> DataLoader[ClipBatch]:
        """The clips of any split in order, as they are judged, each on exactly one rank."""
        rank, world = self._place()
        data = self.dataset(split)
        return judging_loader(data, OrderedBatches(len(data), self.batch_size, rank, world), self.workers)

    def _clips(self, split: str) -> tuple[CaptionedClip, ...]:
        """The clips of a split. Errors: ValueError with the names there are."""
        if split not in self.splits:
            raise ValueError(f"there is no split {split!r}: there is {', '.join(self.splits)}")
        return self.splits[split]

    def _place(self) -> tuple[int, int]:
        """This process's rank and the number of ranks; (0, 1) without a trainer."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size
