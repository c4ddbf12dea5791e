"""What a word is: the one rule of vocabularies and of the `words` tokenizer. Imports nothing slow."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

_PLAIN = re.compile(r"[A-Za-z0-9]+(?:['-][A-Za-z0-9]+)*")
_LATIN = re.compile(r"[^\W_]+(?:['\u00b7-][^\W_]+)*")
_FIRST_MARK = "\u0300"
"""Below it lie Latin letters only, and no marks to combine with them."""

_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4"
_HYPHENS = "\u2010\u2011\uff0d"
_UNSEEN = "\u00ad\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_JOINERS = "'\u00b7\u200c\u200d-"
"""Kept where letters stand on both sides: don't, a Catalan middle dot, the joiners of Persian and Hindi."""

_SPELLING = dict.fromkeys(map(ord, _APOSTROPHES), "'") | dict.fromkeys(map(ord, _HYPHENS), "-")
_DELETED: dict[int, str | None] = dict.fromkeys(
    [
        *map(ord, _UNSEEN),
        *range(0x202A, 0x202F),  # marks of direction
        *range(0x2066, 0x206A),
        *range(0xFE00, 0xFE10),  # variants of a glyph
        *range(0xE0100, 0xE01F0),
    ]
)
_TIDY = _SPELLING | _DELETED

_WITHOUT_SPACES = (
    (0x0E00, 0x0F00),  # Thai, Lao
    (0x1000, 0x10A0),  # Myanmar
    (0x1780, 0x1800),  # Khmer
    (0x2E80, 0x3130),  # radicals, kana, bopomofo
    (0x31A0, 0x3200),
    (0x3400, 0xA000),  # Han
    (0xF900, 0xFB00),
    (0xFF66, 0xFF9E),  # half-width kana
    (0x1B000, 0x1B170),
    (0x20000, 0x40000),
)
"""Code points, from and to, of scripts that put no space between words."""
_BASIC_END, _LETTERS_END = 0x10000, 0x40000
"""Code points of the basic plane, and of all letters, end here."""


def split_words(text: str, lower: bool = True) -> list[str]:
    """The words of `text` in composed Unicode (NFC): letters and digits of any script, no punctuation.

    Apostrophes and hyphens inside a word stay (don't, t-shirt), typographic ones as ' and -; symbols and
    emoji go. In scripts without spaces (Chinese, Japanese, Thai, ...) each character with its marks is a
    word. Words joined by spaces split into the same words again.

    lower: case does not matter.
    """
    if text.isascii():
        plain = text.replace("`", "'") if "`" in text else text
        return _PLAIN.findall(plain.lower() if lower else plain)
    tidy = unicodedata.normalize("NFC", text.translate(_TIDY))
    if lower:
        tidy = unicodedata.normalize("NFC", tidy.lower())
    highest = max(tidy, default="")
    if highest < _FIRST_MARK:
        return _LATIN.findall(tidy)
    return _any_script(_BASIC_END if ord(highest) < _BASIC_END else _LETTERS_END).findall(tidy)


@cache
def _any_script(stop: int) -> re.Pattern[str]:
    """The pattern of one word in any script, of code points below `stop`: the fewer, the faster."""
    members: dict[str, list[int]] = {"letter": [], "alone": [], "mark": []}
    for point in range(stop):
        character = chr(point)
        if character.isalnum() and point not in _TIDY:
            members["alone" if _has_no_spaces(point) else "letter"].append(point)
        elif unicodedata.category(character) in ("Mn", "Mc") and point not in _TIDY:
            members["mark"].append(point)
    letter, alone, mark = ("".join(_ranges(points)) for points in members.values())
    run = f"[{letter}][{letter}{mark}]*"
    return re.compile(f"{run}(?:[{_JOINERS}]{run})*|[{alone}][{mark}]*")


def _has_no_spaces(point: int) -> bool:
    return any(start <= point < stop for start, stop in _WITHOUT_SPACES)


def _ranges(points: list[int]) -> Iterator[str]:
    """Runs of neighbouring code points, as a regular expression's set spells them."""
    for _, run in groupby(enumerate(points), key=lambda pair: pair[1] - pair[0]):
        inside = [point for _, point in run]
        yield f"\\U{inside[0]:08x}-\\U{inside[-1]:08x}"
