"""A batch holds what was chosen of each clip, padded and masked, whoever reads it and in whatever order."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.batches import ClipBatch
from datamodules.errors import InputError
from datamodules.video.caption_groups import CaptionGroups
from datamodules.video.clips import CaptionedClip
from datamodules.video.dataset import ClipDataset
from datamodules.video.decode.read import read_frames
from datamodules.video.feature_identity import FeatureIdentity
from datamodules.video.feature_store import FeatureStore
from datamodules.video.feature_writer import FeatureWriter
from datamodules.video.options import AugmentOptions, FrameOptions, VocabularyOptions
from datamodules.video.vocabulary import WordVocabulary
from tests.datamodules.video.moving_clips import SIZE, STEP, captioned_clips

CHANCE = FrameOptions(
    choice="segment", count=4, size=16, augment=AugmentOptions(crop=0.5, flip=0.5, colour=0.2)
)
PLAIN = FrameOptions(choice="fps", fps=4.0, size=SIZE)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[CaptionedClip, ...]:
    """Three clips of two seconds with 3, 1 and 5 captions; of the last only the second half."""
    one, other, last = captioned_clips(tmp_path_factory.mktemp("clips"), (3, 1, 5))
    return one, other, CaptionedClip(last.id, last.file, start=1.0, captions=last.captions)


def groups_of(clips: tuple[CaptionedClip, ...], seed: int = 0) -> CaptionGroups:
    """Groups of two captions at most."""
    said = [caption for clip in clips for caption in clip.captions]
    vocabulary = WordVocabulary.fit(said, VocabularyOptions(min_count=1))
    return CaptionGroups(clips, vocabulary, max_words=30, size=2, seed=seed)


def stored(folder: Path, clips: tuple[CaptionedClip, ...]) -> FeatureStore:
    """A store with one frame more for each clip, of 2 cells with 5 features."""
    rng = np.random.default_rng(0)
    with FeatureWriter(folder, FeatureIdentity("plain", "none", {}, {}, {})) as writer:
        for number, clip in enumerate(clips):
            writer.add(clip.id, rng.normal(size=(number + 1, 2, 5)), np.arange(number + 1, dtype=np.float32))
        writer.complete()
    return FeatureStore.open(folder)


def same(one: ClipBatch, other: ClipBatch) -> bool:
    """Whether two batches are equal to the last bit."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_batch_holds_the_frames_of_each_clip_padded_and_masked(clips: tuple[CaptionedClip, ...]) -> None:
    batch = ClipDataset(clips, PLAIN)[[2, 0]]
    assert batch.clip.tolist() == [2, 0]
    assert batch.frames.dtype == torch.uint8
    assert batch.frames.is_contiguous()
    assert batch.features.shape == (2, 0, 0, 0)
    assert batch.tokens.shape == (2, 0, 0)
    assert {batch.tokens.dtype, batch.clip.dtype} == {torch.int64}
    assert batch.times.dtype == torch.float32
    for b, number in enumerate((2, 0)):
        clip, count = clips[number], int(batch.mask[b].sum())
        assert clip.file is not None
        found = read_frames(clip.file, PLAIN, start=clip.start, stop=clip.stop)
        assert batch.mask[b].tolist() == [True] * len(found.times) + [False] * (len(batch.mask[b]) - count)
        np.testing.assert_array_equal(batch.frames[b, :count], found.pixels.transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(batch.times[b, :count], found.times)
        assert not batch.frames[b, count:].any()
        assert not batch.times[b, count:].any()
        assert torch.all((batch.frames[b, :count, 0].float() - (20 + 20 * number)).abs() <= 4)
    assert batch.frames.shape[0] == 2
    assert batch.frames.shape[2:] == (3, SIZE, SIZE)
    assert batch.mask[0].sum() < batch.mask[1].sum() == batch.frames.shape[1]
    first_green = float(batch.frames[0, 0, 1].float().mean())
    assert first_green >= 20 + STEP * 12 - 4, "the second half begins with frame 12"


def test_judging_reads_each_clip_once_without_chance_and_without_captions(
    clips: tuple[CaptionedClip, ...],
) -> None:
    data = ClipDataset(clips, CHANCE)
    assert len(data) == 3
    batch = data[[0, 1, 2]]
    assert batch.frames.shape == (3, 4, 3, 16, 16)
    assert batch.tokens.shape == (3, 0, 0)
    assert same(batch, data[[0, 1, 2]])
    with pytest.raises(IndexError, match="not 3 samples of one epoch"):
        data[3]


def test_a_training_sample_is_a_clip_with_a_group_of_its_captions(clips: tuple[CaptionedClip, ...]) -> None:
    groups = groups_of(clips)
    data = ClipDataset(clips, CHANCE, groups=groups)
    assert len(data) == 2 + 1 + 3
    for epoch in range(2):
        batch = data[[epoch * len(data) + sample for sample in (5, 0, 2)]]
        assert batch.clip.tolist() == [2, 0, 1]
        np.testing.assert_array_equal(batch.tokens, groups.tokens(epoch, np.array([5, 0, 2])))
        assert torch.all((batch.frames[:, :, 0].float().mean((1, 2, 3)) - batch.clip * 20 - 20).abs() < 30)


def test_seed_epoch_and_sample_alone_decide_what_chance_decides(clips: tuple[CaptionedClip, ...]) -> None:
    data = ClipDataset(clips, CHANCE, groups=groups_of(clips))
    together, later = data[[0, 3, 5]], data[[6, 9, 11]]
    for row, position in enumerate((0, 3, 5)):
        alone = data[position]
        assert torch.equal(alone.frames[0], together.frames[row])
        assert torch.equal(alone.times[0], together.times[row])
    assert torch.equal(together.clip, later.clip)
    assert not torch.equal(together.frames, later.frames)
    assert not torch.equal(together.times, later.times)
    assert same(together, ClipDataset(clips, CHANCE, groups=groups_of(clips))[[0, 3, 5]])
    other = ClipDataset(clips, CHANCE, groups=groups_of(clips, seed=1))
    assert not torch.equal(together.frames, other[[0, 3, 5]].frames)
    with pytest.raises(IndexError, match="6 samples of one epoch"):
        data[[5, 6]]


def test_a_data_set_pickles_without_captions(clips: tuple[CaptionedClip, ...]) -> None:
    data = ClipDataset(clips, CHANCE, groups=groups_of(clips))
    frozen = pickle.dumps(data)
    assert b"says" not in frozen
    assert same(pickle.loads(frozen)[[1, 2]], data[[1, 2]])


def test_a_clip_that_cannot_be_read_is_told_with_file_reason_and_way_out(
    clips: tuple[CaptionedClip, ...], tmp_path: Path
) -> None:
    assert clips[0].file is not None
    half = tmp_path / "half.mp4"
    half.write_bytes(clips[0].file.read_bytes()[:700])
    data = ClipDataset((clips[0], CaptionedClip("broken", half)), PLAIN)
    with pytest.raises(
        InputError, match=r"clip 'broken' \(.*half\.mp4\) cannot be read: \w+.*data\.bad_clips"
    ):
        data[[0, 1]]


def test_a_clip_without_a_file_is_refused_where_files_are_read(clips: tuple[CaptionedClip, ...]) -> None:
    with pytest.raises(InputError, match=r"1 clip has no file: gone\. Put .* data\.path"):
        ClipDataset((*clips, CaptionedClip("gone", None)), PLAIN)


def test_stored_features_come_in_half_precision_padded_and_masked_with_no_file_opened(
    clips: tuple[CaptionedClip, ...], tmp_path: Path
) -> None:
    store = stored(tmp_path / "store", clips)
    filed = tuple(CaptionedClip(clip.id, None, captions=clip.captions) for clip in clips)
    data = ClipDataset(filed, CHANCE, store, groups_of(clips))
    batch = pickle.loads(pickle.dumps(data))[[5, 0]]
    assert batch.clip.tolist() == [2, 0]
    assert batch.frames.shape == (2, 0, 3, 16, 16)
    assert batch.features.dtype == torch.float16
    assert batch.features.shape == (2, 3, 2, 5)
    assert batch.mask.tolist() == [[True, True, True], [True, False, False]]
    assert batch.times.tolist() == [[0, 1, 2], [0, 0, 0]]
    for row, number in enumerate((2, 0)):
        np.testing.assert_array_equal(batch.features[row, : number + 1], store.features(clips[number].id)[0])
        assert not batch.features[row, number + 1 :].any()
    assert batch.tokens.shape[:2] == (2, 2)


def test_a_clip_without_stored_features_is_refused_before_anything_is_read(
    clips: tuple[CaptionedClip, ...], tmp_path: Path
) -> None:
    store = stored(tmp_path / "store", clips[:1])
    with pytest.raises(InputError, match=r"2 clips have no stored features: v1, v2\. Found: plain: 1 clips"):
        ClipDataset(clips, CHANCE, store)
