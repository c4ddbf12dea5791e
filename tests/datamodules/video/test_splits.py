"""Splits are disjoint, whole and repeatable; one that cannot be meant is refused with the way out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import SPLITS, Clip, Corpus
from datamodules.video.annotations.read import read_annotations
from datamodules.video.options import ClipSplitOptions
from datamodules.video.splits import split_clips
from tests.datamodules.video.annotation_files import msvd, write

FRACTIONS = ClipSplitOptions(kind="fractions", train=0.6, validation=0.2, test=0.2)


def corpus_of(*clips: Clip, form: str = "table") -> Corpus:
    """A corpus of these clips."""
    return Corpus({clip.id: clip for clip in clips}, form, (Path("own.csv"),), ())


def named(*ids: str, split: str | None = None) -> list[Clip]:
    """A clip with one caption for each id."""
    return [Clip(clip_id, ("a dog",), split) for clip_id in ids]


@given(
    ids=st.sets(st.text("abc12", min_size=1, max_size=4), min_size=5, max_size=40),
    seed=st.integers(0, 2**31),
    shares=st.sampled_from([(0.6, 0.2, 0.2), (0.4, 0.3, 0.2), (0.25, 0.25, 0.5)]),
)
def test_fractions_share_no_clip_have_their_sizes_and_know_only_ids_and_seed(
    ids: set[str], seed: int, shares: tuple[float, float, float]
) -> None:
    options = ClipSplitOptions(kind="fractions", train=shares[0], validation=shares[1], test=shares[2])
    forward, backward = corpus_of(*named(*sorted(ids))), corpus_of(*named(*sorted(ids, reverse=True)))
    splits = split_clips(forward, options, seed)
    drawn = [clip for name in SPLITS for clip in splits[name]]
    assert len(set(drawn)) == len(drawn) == int(sum(shares) * len(ids) + 0.5 + 1e-9)
    assert all(
        abs(len(splits[n]) - share * len(ids)) < 1.001 for n, share in zip(SPLITS, shares, strict=True)
    )
    assert all(list(splits[name]) == sorted(splits[name]) for name in SPLITS)
    again = split_clips(backward, options, seed)
    assert {name: set(again[name]) for name in SPLITS} == {name: set(splits[name]) for name in SPLITS}


def test_another_seed_draws_other_clips() -> None:
    corpus = corpus_of(*named(*(f"v{number}" for number in range(40))))
    assert split_clips(corpus, FRACTIONS, 0) != split_clips(corpus, FRACTIONS, 1)


@given(st.integers(0, 1000))
def test_pieces_of_one_film_stay_in_one_split(seed: int) -> None:
    clips = [
        Clip(f"f{film}_{piece}", ("a dog",), file=f"f{film}.mp4", start=piece, stop=piece + 2)
        for film in range(8)
        for piece in range(3)
    ]
    splits = split_clips(corpus_of(*clips), FRACTIONS, seed)
    films = [{clip.partition("_")[0] for clip in splits[name]} for name in SPLITS]
    assert sum(len(one) for one in films) == 8 == len(set.union(*films))
    assert sum(len(ids) for ids in splits.values()) == 24


def test_a_fraction_of_too_few_clips_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.split\.test=0\.2 of 2 clips is no clip.*kind=whole"):
        split_clips(corpus_of(*named("a", "b")), FRACTIONS, 0)


def test_official_splits_are_the_annotations_and_leave_the_unsaid_out() -> None:
    clips = [*named("c", "a", split="train"), *named("d", split="validation"), *named("b", split="test")]
    corpus = corpus_of(*clips, *named("e"))
    assert split_clips(corpus, ClipSplitOptions(), 0) == {
        "train": ("c", "a"),
        "validation": ("d",),
        "test": ("b",),
    }


def test_official_splits_of_msvd_want_the_mapping(tmp_path: Path) -> None:
    rows = [f"a{number},1,2,3,clean,4,English,A dog." for number in (1, 1201, 1301)]
    path = msvd(tmp_path, rows)
    with pytest.raises(InputError, match=r"no clip for train and validation and test: place youtube_mapping"):
        split_clips(read_annotations(path), ClipSplitOptions(), 0)
    msvd(tmp_path, rows, [f"a{number}_1_2 vid{number}" for number in (1, 1201, 1301)])
    assert split_clips(read_annotations(path), ClipSplitOptions(), 0) == {
        "train": ("a1_1_2",),
        "validation": ("a1201_1_2",),
        "test": ("a1301_1_2",),
    }


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("table", "add a column 'split'"),
        ("coco", "captions_train2017.json"),
        ("vatex", "vatex_training"),
        ("msrvtt", "test_videodatainfo.json"),
        ("names", "kind=whole"),
    ],
)
def test_an_official_split_that_is_empty_is_refused_with_the_formats_way_out(form: str, words: str) -> None:
    corpus = corpus_of(*named("a", split="train"), *named("b", split="validation"), form=form)
    with pytest.raises(InputError, match=f"no clip for test: .*{words}.*kind=fractions or lists"):
        split_clips(corpus, ClipSplitOptions(), 0)


def test_whole_puts_every_clip_in_every_split() -> None:
    splits = split_clips(corpus_of(*named("b", "a")), ClipSplitOptions(kind="whole"), 0)
    assert splits == dict.fromkeys(SPLITS, ("b", "a"))


def lists(folder: Path, train: str, validation: str, test: str) -> ClipSplitOptions:
    """Settings with files of these ids, separated by blanks."""
    texts = {"train": train, "validation": validation, "test": test}
    paths = {name: write(folder / f"{name}.txt", "\r\n".join(text.split())) for name, text in texts.items()}
    whole = {name: str(path) for name, path in paths.items()}
    return ClipSplitOptions.model_validate({"kind": "lists", **whole})


def test_lists_are_taken_as_they_are_and_clips_in_none_left_out(tmp_path: Path) -> None:
    corpus = corpus_of(*named("a", "b", "c", "d", "e"))
    splits = split_clips(corpus, lists(tmp_path, "c a", "b", "e"), 0)
    assert splits == {"train": ("a", "c"), "validation": ("b",), "test": ("e",)}


def test_lists_that_overlap_name_strangers_or_are_absent_are_refused(tmp_path: Path) -> None:
    corpus = corpus_of(*named("a", "b", "c", "d"))
    with pytest.raises(
        InputError, match=r"data\.split\.train=.* and data\.split\.test=.* share 2 clips: a, b"
    ):
        split_clips(corpus, lists(tmp_path, "a b", "c", "b d a"), 0)
    with pytest.raises(
        InputError, match=r"data\.split\.validation=.* names 1 clip without annotations: c\.mp4"
    ):
        split_clips(corpus, lists(tmp_path, "a b", "c.mp4", "d"), 0)
    options = lists(tmp_path, "a", "b", "c")
    (tmp_path / "test.txt").unlink()
    with pytest.raises(InputError, match=r"data\.split\.test: there is no file .*test\.txt"):
        split_clips(corpus, options, 0)


def test_the_same_seconds_of_a_film_in_two_splits_are_refused() -> None:
    def film(clip_id: str, split: str, start: float | None, stop: float | None) -> Clip:
        return Clip(clip_id, ("a dog",), split, "film.mp4", start, stop)

    others = [*named("v", split="validation")]
    apart = corpus_of(film("a", "train", 0, 10), film("b", "test", 10, 20), *others)
    assert split_clips(apart, ClipSplitOptions(), 0)["test"] == ("b",)
    for start, stop in ((9.5, 20.0), (2.0, 3.0), (None, None)):
        corpus = corpus_of(
            film("a", "train", 0, 10), film("m", "train", 1, 2), film("b", "test", start, stop), *others
        )
        with pytest.raises(InputError, match=r"shows? the same seconds of a file in two splits: .*film\.mp4"):
            split_clips(corpus, ClipSplitOptions(), 0)
