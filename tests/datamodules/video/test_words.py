"""A word is letters and digits of any script, and nothing else."""

import subprocess
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.video.words import split_words

ODD = "'\u2019`-\u2011 \u00ad\u200c\u200d\u0301\ufe0f\u0130\u03a3\u4eba\u0e20\u0e32\u093f\u0939\U0001f3b8_."


@settings(deadline=None, max_examples=300)
@given(st.text() | st.text(alphabet=ODD + "ab9", max_size=20), st.booleans())
def test_words_joined_by_spaces_split_into_the_same_words(text: str, lower: bool) -> None:
    words = split_words(text, lower)
    assert split_words(" ".join(words), lower) == words


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=ODD + "ab9", max_size=20))
def test_words_are_composed_and_hold_no_white_space(text: str) -> None:
    for word in split_words(text):
        assert word == unicodedata.normalize("NFC", word) != ""
        assert word.split() == [word]
        assert any(letter.isalnum() for letter in word)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=st.characters(codec="ascii"), max_size=40))
def test_plain_and_accented_sentences_follow_one_rule(text: str) -> None:
    assert split_words(f"{text} \u00e9") == [*split_words(text), "\u00e9"]
    assert split_words(f"{text} \u0436") == [*split_words(text), "\u0436"]
    assert split_words(f"{text} \U0001d7d8") == [*split_words(text), "\U0001d7d8"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man, a plan: (a canal)!", ["a", "man", "a", "plan", "a", "canal"]),
        ("Don't  don\u2019t don\u2018t don`t don\uff07t", ["don't"] * 5),
        ("rock 'n' roll, dogs' and ''quotes''", ["rock", "n", "roll", "dogs", "and", "quotes"]),
        ("t-shirt T\u2011shirt a--b -c- rock-n-roll", ["t-shirt", "t-shirt", "a", "b", "c", "rock-n-roll"]),
        ("2 cars, mp3, 2nd", ["2", "cars", "mp3", "2nd"]),
        ("x_y and/or", ["x", "y", "and", "or"]),
        ("Ein M\u00e4dchen \u2013 gro\u00df", ["ein", "m\u00e4dchen", "gro\u00df"]),
        ("cafe\u0301 l\u2019\u00e9te\u0301", ["caf\u00e9", "l'\u00e9t\u00e9"]),
        ("co\u00adoperate", ["cooperate"]),
        ("guitar \U0001f3b8 \u2764\ufe0f \U0001f469\u200d\U0001f680 1\ufe0f\u20e3", ["guitar", "1"]),
        (
            "\u4e00\u4e2a\u4eba\u8dd1\u6b65\u3002in 2024\u5e74",
            ["\u4e00", "\u4e2a", "\u4eba", "\u8dd1", "\u6b65", "in", "2024", "\u5e74"],
        ),
        ("\u30ab\u30e1\u30e9", ["\u30ab", "\u30e1", "\u30e9"]),
        ("\ud55c\uad6d\uc5b4 \ubb38\uc7a5", ["\ud55c\uad6d\uc5b4", "\ubb38\uc7a5"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u092e\u0947\u0902"],
        ),
        (
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            ["\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"],
        ),
        ("", []),
        (" ... \n\t\ud800", []),
    ],
)
def test_what_is_a_word(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_case_stays_when_it_matters() -> None:
    assert split_words("A Man, \u00c9mile", lower=False) == ["A", "Man", "\u00c9mile"]


def test_a_hundred_thousand_captions_take_seconds() -> None:
    captions = [
        "A man is playing a guitar in the park, isn't he?",
        "Ein Mann spielt Gitarre \u2013 im gr\u00fcnen Park!",
    ]
    start = time.process_time()
    for _ in range(50_000):
        for caption in captions:
            split_words(caption)
    assert time.process_time() - start < 6


def test_nothing_slow_is_imported() -> None:
    code = "import sys, datamodules.video.words; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
