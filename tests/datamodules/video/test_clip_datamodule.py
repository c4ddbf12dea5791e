"""Loaders hand out the same batches whoever reads them, share them among ranks, and go on where they were."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from datamodules.batches import ClipBatch
from datamodules.errors import InputError
from datamodules.video.clips import CaptionedClip
from datamodules.video.datamodule import ClipDataModule
from datamodules.video.options import AugmentOptions, FrameOptions, VocabularyOptions
from datamodules.video.vocabulary import WordVocabulary
from tests.datamodules.video.moving_clips import captioned_clips

FRAMES = FrameOptions(choice="segment", count=3, size=16, augment=AugmentOptions(crop=0.5, flip=0.5))
ADVICE_ON_WORKERS = pytest.mark.filterwarnings("ignore:.*does not have many workers")
LIGHTNING_ON_TREES = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
"""The trainer's own: these clips need no workers, and its tree code is behind torch's."""


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[CaptionedClip, ...]]:
    """Five clips to train on, with 12 captions in 7 groups of two, two to validate and three to test."""
    clips = captioned_clips(tmp_path_factory.mktemp("clips"), (3, 1, 5, 2, 1, 2, 1, 1, 4, 2), frames=8)
    return {"train": clips[:5], "validation": clips[5:7], "test": clips[7:]}


@pytest.fixture
def data(splits: dict[str, tuple[CaptionedClip, ...]]) -> ClipDataModule:
    """Batches of two samples."""
    return data_module(splits)


def data_module(splits: dict[str, tuple[CaptionedClip, ...]], **settings: Any) -> ClipDataModule:
    """Of batches of two samples, groups of two captions."""
    said = [caption for clip in splits["train"] for caption in clip.captions]
    vocabulary = WordVocabulary.fit(said, VocabularyOptions(min_count=1))
    settings = {"frames": FRAMES, "captions_per_clip": 2, "batch_size": 2, "seed": 5, **settings}
    return ClipDataModule(splits, vocabulary, **settings)


def assert_same(ones: list[ClipBatch], others: list[ClipBatch]) -> None:
    """Equal batches, to the last bit."""
    for one, other in zip(ones, others, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_ids_and_raw_captions_stand_in_the_order_that_batches_number(
    data: ClipDataModule, splits: dict[str, tuple[CaptionedClip, ...]]
) -> None:
    assert data.counts == {"train": 5, "validation": 2, "test": 3}
    assert data.ids("test") == ("v7", "v8", "v9")
    assert data.references("test") == tuple(clip.captions for clip in splits["test"])
    for split, loader in (
        ("validation", data.val_dataloader()),
        ("test", data.test_dataloader()),
        ("test", data.predict_dataloader()),
        ("train", data.ordered("train")),
    ):
        batches = list(loader)
        assert torch.cat([batch.clip for batch in batches]).tolist() == list(range(data.counts[split]))
        assert all(batch.tokens.shape[1:] == (0, 0) for batch in batches)
        red = torch.cat([batch.frames[:, 0, 0].float().mean((1, 2)) for batch in batches])
        expected = torch.tensor([20.0 + 20 * int(name[1:]) for name in data.ids(split)])
        assert torch.all((red - expected).abs() <= 4)


def test_an_epoch_trains_on_every_caption_once_and_the_next_in_other_groups(data: ClipDataModule) -> None:
    loader = data.train_dataloader()
    orders = []
    for epoch in range(2):
        loader.batches.set_epoch(epoch)
        batches = list(loader)
        assert len(batches) == len(loader) == 4
        said = [
            (clip, data.vocabulary.decode(caption.tolist()))
            for batch in batches
            for clip, group in zip(batch.clip.tolist(), batch.tokens, strict=True)
            for caption in group
            if caption.any()
        ]
        expected = [(n, caption) for n, clip in enumerate(data.splits["train"]) for caption in clip.captions]
        assert sorted(said) == sorted(expected)
        orders.append(said)
    assert orders[0] != orders[1]


def test_workers_that_live_for_several_epochs_hand_out_the_same_batches(
    data: ClipDataModule, splits: dict[str, tuple[CaptionedClip, ...]]
) -> None:
    here, there = data.train_dataloader(), data_module(splits, workers=2).train_dataloader()
    epochs = []
    for epoch in (0, 1, 3):
        here.batches.set_epoch(epoch)
        there.batches.set_epoch(epoch)
        epochs.append(list(here))
        assert_same(list(there), epochs[-1])
    first, second = (
        {int(c): f for b in e for c, f in zip(b.clip, b.frames, strict=True)} for e in epochs[:2]
    )
    assert not all(torch.equal(first[clip], second[clip]) for clip in first)
    assert there.num_workers == 2
    assert there.persistent_workers


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_epoch_goes_on_with_the_batch_after_the_last_one_seen(
    data: ClipDataModule, splits: dict[str, tuple[CaptionedClip, ...]], workers: int
) -> None:
    loader = data_module(splits, workers=workers).train_dataloader()
    loader.batches.set_epoch(2)
    reading = iter(loader)
    seen = [next(reading) for _ in range(3)]
    state = loader.state_dict()
    resumed = data_module(splits, workers=workers).train_dataloader()
    resumed.load_state_dict(state)
    rest = list(resumed)
    whole = data.train_dataloader()
    whole.batches.set_epoch(2)
    assert_same(seen + rest, list(whole))


def test_ranks_share_the_samples_and_repeat_none(data: ClipDataModule) -> None:
    alone = {name: torch.cat([batch.clip for batch in loader]) for name, loader in both(data).items()}
    shares = []
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        shares.append({name: [batch.clip for batch in loader] for name, loader in both(data).items()})
    for name in alone:
        assert len(shares[0][name]) == len(shares[1][name])
        together = torch.cat([clip for share in shares for clip in share[name]])
        assert sorted(together.tolist()) == sorted(alone[name].tolist())


def both(data: ClipDataModule) -> dict[str, Any]:
    """The loaders that train and test."""
    return {"train": data.train_dataloader(), "test": data.test_dataloader()}


def test_a_bad_clip_is_told_without_the_traceback_of_the_process_that_read_it(
    splits: dict[str, tuple[CaptionedClip, ...]], tmp_path: Path
) -> None:
    broken = CaptionedClip("broken", tmp_path / "broken.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"")
    told = []
    for workers in (0, 1):
        data = data_module({**splits, "test": (broken,)}, workers=workers)
        with pytest.raises(InputError) as error:
            list(data.test_dataloader())
        told.append(str(error.value))
    assert told[0] == told[1]
    assert told[0].startswith("clip 'broken' (")
    assert "\n" not in told[0]


def test_a_split_without_clips_and_one_that_is_not_there_are_told(
    splits: dict[str, tuple[CaptionedClip, ...]],
) -> None:
    with pytest.raises(InputError, match=r"data\.split\.validation holds no clip"):
        data_module({**splits, "validation": ()})
    with pytest.raises(ValueError, match="no split 'val': there is train, validation, test"):
        data_module(splits).ids("val")


class Watching(pl.LightningModule):
    """Notes which samples the trainer hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen: list[ClipBatch] = []

    def training_step(self, batch: ClipBatch) -> torch.Tensor:
        self.seen.append(batch)
        return self.scale * batch.frames.float().mean()

    def validation_step(self, batch: ClipBatch) -> None:
        assert batch.tokens.shape[1:] == (0, 0)

    def predict_step(self, batch: ClipBatch) -> torch.Tensor:
        return batch.clip

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
def test_the_trainer_resumes_within_its_second_epoch_exactly(data: ClipDataModule, tmp_path: Path) -> None:
    straight = Watching()
    keeping = KeepAt(4 + 2, tmp_path / "middle.ckpt")
    trainer(tmp_path, max_epochs=2, callbacks=[keeping]).fit(straight, datamodule=data)
    assert len(straight.seen) == 8
    resumed = Watching()
    trainer(tmp_path, max_epochs=2).fit(resumed, datamodule=data, ckpt_path=keeping.path, weights_only=True)
    assert_same(resumed.seen, straight.seen[6:])


@ADVICE_ON_WORKERS
@LIGHTNING_ON_TREES
def test_the_trainer_predicts_every_test_clip_in_order(data: ClipDataModule, tmp_path: Path) -> None:
    found = trainer(tmp_path).predict(Watching(), datamodule=data)
    assert found is not None
    assert torch.cat(found).tolist() == [0, 1, 2]
