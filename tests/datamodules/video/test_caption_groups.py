"""Every caption of every clip is trained on once an epoch, in company that changes."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.batches import BEGIN, END, PAD
from datamodules.errors import InputError
from datamodules.video.caption_groups import CaptionGroups
from datamodules.video.clips import CaptionedClip
from datamodules.video.options import VocabularyOptions
from datamodules.video.vocabulary import WordVocabulary


def clips_with(*counts: int) -> tuple[CaptionedClip, ...]:
    """A clip for each count, with that many captions of different length, no two alike."""
    return tuple(
        CaptionedClip(
            f"v{n}", None, captions=tuple(f"clip{n} " + "very " * c + f"c{c}" for c in range(count))
        )
        for n, count in enumerate(counts)
    )


def grouped(
    clips: tuple[CaptionedClip, ...], size: int, seed: int = 0
) -> tuple[CaptionGroups, WordVocabulary]:
    """Groups of at most `size`, and the vocabulary that they are spelt with."""
    said = [caption for clip in clips for caption in clip.captions]
    vocabulary = WordVocabulary.fit(said, VocabularyOptions(min_count=1))
    return CaptionGroups(clips, vocabulary, max_words=30, size=size, seed=seed), vocabulary


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5), st.integers(0, 3))
def test_every_caption_of_every_clip_is_in_one_group_of_its_clip(
    counts: list[int], size: int, epoch: int
) -> None:
    clips = clips_with(*counts)
    groups, vocabulary = grouped(clips, size)
    assert len(groups) == sum(-(-count // size) for count in counts)
    found: dict[int, list[str]] = {n: [] for n in range(len(clips))}
    for group, clip in enumerate(groups.clip.tolist()):
        (captions,) = groups.tokens(epoch, np.array([group]))
        assert 1 <= len(captions) <= size
        assert all(caption[0] == BEGIN and caption[caption != PAD][-1] == END for caption in captions)
        found[clip] += [vocabulary.decode(caption.tolist()) for caption in captions]
    assert {n: sorted(said) for n, said in found.items()} == {
        n: sorted(clip.captions) for n, clip in enumerate(clips)
    }


def test_groups_of_a_clip_differ_by_one_caption_at_most() -> None:
    groups, _ = grouped(clips_with(20, 7), 6)
    sizes = [groups.tokens(0, np.array([group])).shape[1] for group in range(len(groups))]
    assert sizes == [5, 5, 5, 5, 4, 3]


def test_seed_and_epoch_alone_decide_the_groups() -> None:
    clips = clips_with(20, 20)
    one, same, other = (grouped(clips, 5, seed)[0] for seed in (1, 1, 2))
    everything = np.arange(len(one))
    later = one.tokens(3, everything)
    assert not np.array_equal(later, one.tokens(0, everything))
    assert np.array_equal(later, same.tokens(3, everything))
    assert not np.array_equal(later, other.tokens(3, everything))
    apart = one.tokens(3, np.array([4, 1]))
    assert np.array_equal(later[[4, 1], :, : apart.shape[2]], apart)


def test_tokens_are_as_wide_as_these_groups_need_and_empty_where_one_has_fewer() -> None:
    groups, _ = grouped(clips_with(5, 2), 5)
    both = groups.tokens(0, np.array([0, 1]))
    assert both.shape == (2, 5, 2 + 1 + 4 + 1)  # begin and end, the clip's word, four times very, the last
    assert both.dtype == np.int64
    assert np.all(both[1, 2:] == PAD)
    assert np.all(both[0, :, 0] == BEGIN)
    assert groups.tokens(0, np.array([1])).shape == (1, 2, 2 + 1 + 1 + 1)


def test_captions_without_a_word_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    clips = (CaptionedClip("a", None, captions=("a dog runs", "!!!", "...")),)
    with caplog.at_level(logging.WARNING):
        groups, _ = grouped(clips, 5)
    assert groups.tokens(0, np.array([0])).shape == (1, 1, 5)
    assert "2 captions without a word are left out" in caplog.text


def test_a_clip_without_captions_is_refused_by_name() -> None:
    clips = (*clips_with(2), CaptionedClip("silent one", None, captions=("?",)))
    with pytest.raises(InputError, match=r"1 training clip has no caption with a word: silent one\. Give"):
        grouped(clips, 5)
    with pytest.raises(ValueError, match="groups of 0 captions"):
        grouped(clips_with(2), 0)
