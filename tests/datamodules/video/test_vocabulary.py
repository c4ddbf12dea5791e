"""Sentences become ids and come back; what is known comes from the captions that were given."""

import json
import os
import pickle
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.batches import BEGIN, END, PAD, UNKNOWN
from datamodules.errors import InputError
from datamodules.video.byte_pairs import BytePairVocabulary
from datamodules.video.options import VocabularyOptions
from datamodules.video.vocabulary import (
    Vocabulary,
    WordVocabulary,
    fit_vocabulary,
    load_vocabulary,
    save_vocabulary,
    vocabulary_from_json,
)
from datamodules.video.words import split_words

CAPTIONS = [
    "A man is playing a guitar.",
    "A woman plays the guitar!",
    "Ein M\u00e4dchen l\u00e4uft",
    "\u4e00\u4e2a\u4eba\u5728\u8dd1\u6b65",
    "They don\u2019t stop; a t-shirt",
] * 3
WORDS = VocabularyOptions(min_count=1)
PIECES = VocabularyOptions(kind="bpe", size=300)
BOTH = pytest.mark.parametrize("options", [WORDS, PIECES], ids=["words", "bpe"])


@cache
def pieces() -> Vocabulary:
    return fit_vocabulary(CAPTIONS, PIECES)


@BOTH
@pytest.mark.parametrize("caption", CAPTIONS[:5])
def test_a_caption_comes_back_as_its_words(options: VocabularyOptions, caption: str) -> None:
    vocabulary = fit_vocabulary(CAPTIONS, options)
    ids = vocabulary.encode(caption, max_words=30)
    assert (ids[0], ids[-1]) == (BEGIN, END)
    assert all(END < one < vocabulary.size for one in ids[1:-1])
    assert vocabulary.decode(ids) == " ".join(split_words(caption))


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30))
def test_pieces_spell_any_text(text: str) -> None:
    vocabulary = pieces()
    ids = vocabulary.encode(text)
    assert UNKNOWN not in ids
    assert vocabulary.decode(ids) == " ".join(split_words(text))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 299), max_size=20))
def test_whatever_ids_a_network_writes_become_a_sentence(ids: list[int]) -> None:
    sentence = pieces().decode(ids)
    assert "\ufffd" not in sentence
    assert sentence.split() == sentence.split(" ") or sentence == ""


def test_words_stand_by_count_and_then_by_the_alphabet_whatever_the_order_of_captions() -> None:
    captions = ["b a a", "c b", "A d c"]
    found = WordVocabulary.fit(captions, WORDS)
    assert found.words == ("<pad>", "<begin>", "<end>", "<unknown>", "a", "b", "c", "d")
    for seed in range(3):
        shuffled = random.Random(seed).sample(captions, 3)
        assert WordVocabulary.fit(iter(shuffled), WORDS).digest == found.digest


def test_the_special_tokens_have_the_ids_of_every_vocabulary() -> None:
    for options in (WORDS, PIECES):
        words = fit_vocabulary(CAPTIONS, options).words
        assert [words[one] for one in (PAD, BEGIN, END, UNKNOWN)] == [
            "<pad>",
            "<begin>",
            "<end>",
            "<unknown>",
        ]


def test_rare_words_are_unknown() -> None:
    vocabulary = WordVocabulary.fit(["a dog", "a cat"], VocabularyOptions(min_count=2))
    assert vocabulary.size == 5
    assert vocabulary.encode("a dog") == [BEGIN, 4, UNKNOWN, END]
    assert vocabulary.unknown_share(["a dog", "the cat", "a"]) == 3 / 5
    assert vocabulary.unknown_share(["..."]) == 0


@BOTH
def test_a_caption_is_cut_at_whole_words_and_still_ends(options: VocabularyOptions) -> None:
    vocabulary = fit_vocabulary(CAPTIONS, options)
    ids = vocabulary.encode("a woman plays the guitar", max_words=3)
    assert ids[-1] == END
    assert vocabulary.decode(ids) == "a woman plays"
    assert vocabulary.encode("!!!") == [BEGIN, END]


def test_decoding_stops_at_the_end_and_passes_over_padding() -> None:
    vocabulary = WordVocabulary.fit(["a b"], WORDS)
    assert vocabulary.decode([PAD, BEGIN, 4, PAD, 5, END, 4]) == "a b"
    assert vocabulary.decode([5]) == "b"
    with pytest.raises(ValueError, match="id 6 is none of the 6"):
        vocabulary.decode([6])


def test_case_is_kept_on_demand() -> None:
    vocabulary = WordVocabulary.fit(["A a"], VocabularyOptions(min_count=1, lower=False))
    assert vocabulary.decode(vocabulary.encode("a A")) == "a A"


def test_no_word_that_is_frequent_enough_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        InputError, match=r"min_count=13: .* occurs 12 times: set data\.vocabulary\.min_count=1"
    ):
        WordVocabulary.fit(CAPTIONS, VocabularyOptions(min_count=13))


@BOTH
def test_captions_without_a_word_are_refused(options: VocabularyOptions) -> None:
    with pytest.raises(InputError, match="the 1 training captions hold no word"):
        fit_vocabulary(["?!"], options)


@BOTH
def test_a_vocabulary_is_the_same_after_saving_and_after_pickling(
    options: VocabularyOptions, tmp_path: Path
) -> None:
    vocabulary = fit_vocabulary(CAPTIONS, options)
    save_vocabulary(vocabulary, tmp_path / "vocabulary.json")
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.json"]
    again: Vocabulary
    for again in (load_vocabulary(tmp_path / "vocabulary.json"), pickle.loads(pickle.dumps(vocabulary))):
        assert type(again) is type(vocabulary)
        assert (again.digest, again.words, again.options) == (
            vocabulary.digest,
            vocabulary.words,
            vocabulary.options,
        )
        assert again.encode("a woman \u00e9t\u00e9") == vocabulary.encode("a woman \u00e9t\u00e9")


@BOTH
def test_the_file_describes_itself(options: VocabularyOptions) -> None:
    about = json.loads(fit_vocabulary(CAPTIONS, options).to_json())
    assert about["format"] == "skyreel vocabulary"
    assert about["version"] == 1
    assert about["kind"] == options.kind
    assert about["options"] == options.model_dump()
    assert about["words"][:4] == ["<pad>", "<begin>", "<end>", "<unknown>"]


ELSEWHERE = """
import json, os, sys
from datamodules.video.options import VocabularyOptions
from datamodules.video.vocabulary import fit_vocabulary

captions, choices = json.loads(sys.argv[1])
found = [fit_vocabulary(captions, VocabularyOptions(**options)) for options in choices]
if os.fork() == 0:
    os._exit(len(found[1].encode("a man")) == 0)
assert os.wait()[1] == 0
sys.stdout.write(" ".join(one.digest for one in found))
"""


def test_every_process_fits_the_same_and_its_forked_readers_are_silent() -> None:
    told = json.dumps([CAPTIONS, [WORDS.model_dump(), PIECES.model_dump()]])
    there = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, told],
        capture_output=True,
        text=True,
        check=True,
        env={**there, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.split() == [fit_vocabulary(CAPTIONS, one).digest for one in (WORDS, PIECES)]
    assert "tokenizers" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format": "skyreel voc', "is no whole JSON"),
        ("[1, 2]", "is no vocabulary"),
        ('{"model": {"vocab": {}}}', "is no vocabulary"),
        ('{"format": "skyreel vocabulary", "version": 99}', "version 99"),
        ('{"format": "skyreel vocabulary", "version": 1, "words": []}', "do not match their digest"),
    ],
)
def test_broken_and_foreign_files_are_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "words.json"
    file.write_text(text)
    with pytest.raises(InputError, match=told) as refused:
        load_vocabulary(file)
    assert str(file) in str(refused.value)


def test_absent_and_unreadable_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json cannot be read"):
        load_vocabulary(tmp_path / "absent.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"bytes\.json cannot be read"):
        load_vocabulary(tmp_path / "bytes.json")


def test_words_changed_by_hand_are_refused() -> None:
    about = json.loads(WordVocabulary.fit(["a b"], WORDS).to_json())
    about["words"].reverse()
    with pytest.raises(InputError, match="do not match their digest"):
        vocabulary_from_json(json.dumps(about))


def test_pieces_reach_the_size_asked_for_and_not_more() -> None:
    chance = random.Random(0)
    captions = ["".join(chance.choices("abcde", k=9)) for _ in range(300)] * 2
    vocabulary = fit_vocabulary(captions, VocabularyOptions(kind="bpe", size=350))
    assert vocabulary.size == 350
    assert vocabulary.unknown_share(["zebra \u732b"]) == 0


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"skyreel\[bpe\]"):
        BytePairVocabulary.fit(CAPTIONS, PIECES)
