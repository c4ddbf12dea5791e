"""Counts of all n-grams of many sentences at once, as arrays: what BLEU and CIDEr are made of.

A word is what white space separates (`str.split`). An n-gram of the references has a number; pairs of
numbers replace tuples of words: the n-gram "a red ball" is the pair (number of "a red", number of "ball"). So
counting is sorting of integers, and looking up is binary search.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

ORDERS = (1, 2, 3, 4)
"""Lengths of n-grams, in words."""
UNSEEN = -1
"""In place of the number of an n-gram that no reference holds."""


class Counts(NamedTuple):
    """How many times n-grams of one length occur: a row for each distinct (sentence, n-gram), by sentence."""

    sentence: np.ndarray
    """(row,) int64, which sentence."""
    ngram: np.ndarray
    """(row,) int64, the n-gram's number among those of the references; UNSEEN for others."""
    times: np.ndarray
    """(row,) int64, at least 1."""


class Counted(NamedTuple):
    """The counts of many sentences: a `Counts` for each of ORDERS, and words (sentence,) int64."""

    counts: tuple[Counts, ...]
    words: np.ndarray


class _Spelled(NamedTuple):
    """Sentences end to end: the number of each word (place,), and of the sentence it stands in (place,)."""

    word: np.ndarray
    sentence: np.ndarray
    words: np.ndarray


class NgramTable:
    """The n-grams of the sentences that it is made from, numbered from 0 for each length."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self._words: dict[str, int] = {}
        spelled = _spell(sentences, self._words, {})
        self._keys = [keys for keys, _ in _chains(spelled, len(self._words))]
        self.sizes = (len(self._words), *(len(keys) for keys in self._keys))
        """How many distinct n-grams there are of each of ORDERS."""

    def count(self, sentences: Sequence[str]) -> Counted:
        """The n-grams of `sentences`; those that the table lacks are UNSEEN, each still a row of its own."""
        extra: dict[str, int] = {}
        spelled = _spell(sentences, self._words, extra, learn=False)
        own = [spelled.word, *(chain for _, chain in _chains(spelled, len(self._words) + len(extra)))]
        numbers = np.where(spelled.word < len(self._words), spelled.word, UNSEEN)
        known = [numbers]
        for order, keys in enumerate(self._keys, start=2):
            starts = _starts(spelled.sentence, order)
            last = known[0][starts + order - 1]
            before = numbers[_among(starts, _starts(spelled.sentence, order - 1))]
            key = np.where((before >= 0) & (last >= 0), before * len(self._words) + last, UNSEEN)
            numbers = find(keys, key)
            known.append(numbers)
        counts = tuple(
            _rows(spelled.sentence[_starts(spelled.sentence, order)], mine, theirs)
            for order, mine, theirs in zip(ORDERS, own, known, strict=True)
        )
        return Counted(counts, spelled.words)


def find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of `wanted` stands in the increasing `keys`, int64; UNSEEN where it does not."""
    if len(keys) == 0:
        return np.full(len(wanted), UNSEEN, dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, UNSEEN)


def _spell(
    sentences: Sequence[str], words: dict[str, int], extra: dict[str, int], learn: bool = True
) -> _Spelled:
    """The sentences as numbers of words; a new word goes to `words`, or, not to learn, to `extra`."""
    split = [sentence.split() for sentence in sentences]
    lengths = np.fromiter(map(len, split), dtype=np.int64, count=len(split))
    flat = [word for sentence in split for word in sentence]
    if learn:
        numbers = [words.setdefault(word, len(words)) for word in flat]
    else:
        numbers = [_number(word, words, extra) for word in flat]
    spelled = np.array(numbers, dtype=np.int64)
    return _Spelled(spelled, np.repeat(np.arange(len(split), dtype=np.int64), lengths), lengths)


def _number(word: str, words: Mapping[str, int], extra: dict[str, int]) -> int:
    """The number of a word; those that `words` lacks are numbered behind them."""
    found = words.get(word)
    return extra.setdefault(word, len(words) + len(extra)) if found is None else found


def _starts(sentence: np.ndarray, order: int) -> np.ndarray:
    """The places where an n-gram of length `order` begins that ends in the same sentence, (start,) int64."""
    whole = max(len(sentence) - order + 1, 0)
    return np.flatnonzero(sentence[:whole] == sentence[order - 1 :])


def _among(places: np.ndarray, all_places: np.ndarray) -> np.ndarray:
    """The positions of `places` within `all_places`, which holds them all."""
    return np.searchsorted(all_places, places)


def _chains(spelled: _Spelled, base: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each length from 2 on: the distinct keys, increasing, and the number of each n-gram in order.

    A key is (number of the n-gram without its last word) * base + number of the last word.
    """
    chains: list[tuple[np.ndarray, np.ndarray]] = []
    numbers = spelled.word
    for order in ORDERS[1:]:
        starts = _starts(spelled.sentence, order)
        before = numbers[_among(starts, _starts(spelled.sentence, order - 1))]
        keys, numbers = np.unique(before * base + spelled.word[starts + order - 1], return_inverse=True)
        chains.append((keys, numbers))
    return chains


def _rows(sentence: np.ndarray, own: np.ndarray, known: np.ndarray) -> Counts:
    """Equal n-grams of a sentence as one row; `own` tells them apart, `known` is its name in the table."""
    base = int(own.max(initial=0)) + 1
    _, first, count = np.unique(sentence * base + own, return_index=True, return_counts=True)
    return Counts(sentence[first], known[first], count)
