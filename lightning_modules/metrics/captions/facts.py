"""Do sentences say what is true of their clips? For data whose facts are known."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

ALL = "all"
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")

Phrase = tuple[str, ...]


def named(sentences: Sequence[str], facts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The share of sentences that name each fact rightly, by column, and `all` facts of their clip, 0 to 1.

    A sentence is right in a column when it names one of its clip's alternatives and no other value that the
    column has for any clip: "a red ball" is wrong of a blue one, and "a red and blue ball" as well. Words and
    phrases are matched whole, in lower case, the longest phrase of the column first: the "left" within "left
    to right" names nothing else. A clip whose value is empty has no such fact; it does not count in that
    column, and one without any fact not among `all`.

    sentences: (clip,).     facts: column -> (clip,) values, alternatives separated by "|": "circle|disc".
    Errors: ValueError for a column of another length, a column named "all", or no columns.
    """
    if not facts or ALL in facts:
        raise ValueError(f"facts need columns, none of them named '{ALL}'; these came: {list(facts)}")
    spoken = [_words(sentence) for sentence in sentences]
    whole, known = [True] * len(spoken), [False] * len(spoken)
    shares: dict[str, float] = {}
    for column, values in facts.items():
        if len(values) != len(spoken):
            raise ValueError(f"facts: {column} has {len(values)} values for {len(spoken)} sentences")
        own = [{_words(one) for one in value.split("|")} - {()} for value in values]
        phrases = sorted(set().union(*own), key=lambda phrase: (-len(phrase), phrase))
        right = [
            bool(alternatives) and _right(_found(words, phrases), alternatives)
            for words, alternatives in zip(spoken, own, strict=True)
        ]
        counting = sum(map(bool, own))
        shares[column] = sum(right) / max(counting, 1)
        known = [before or bool(alternatives) for before, alternatives in zip(known, own, strict=True)]
        whole = [
            before and (now or not alternatives)
            for before, now, alternatives in zip(whole, right, own, strict=True)
        ]
    right = [now and told for now, told in zip(whole, known, strict=True)]
    return {**shares, ALL: sum(right) / max(sum(known), 1)}


def _words(text: str) -> Phrase:
    """The words of a text in lower case, without punctuation."""
    return tuple(WORD.findall(unicodedata.normalize("NFC", text).lower()))


def _found(words: Phrase, phrases: Sequence[Phrase]) -> set[Phrase]:
    """Those of `phrases` (longest first) that the sentence holds; a word belongs to one phrase at most."""
    rest: list[str | None] = list(words)
    found = set()
    for phrase in phrases:
        for start in range(len(rest) - len(phrase) + 1):
            if tuple(rest[start : start + len(phrase)]) == phrase:
                found.add(phrase)
                rest[start : start + len(phrase)] = [None] * len(phrase)
    return found


def _right(found: set[Phrase], alternatives: set[Phrase]) -> bool:
    """Whether something was named, and nothing but the clip's own alternatives."""
    return bool(found) and found <= alternatives
