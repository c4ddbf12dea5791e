"""Sentences as token ids and back: what a network spells with, fitted on training captions only."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from datamodules.batches import BEGIN, END, PAD, UNKNOWN
from datamodules.errors import InputError
from datamodules.video.options import VocabularyOptions
from datamodules.video.words import split_words

FORMAT = "skyreel vocabulary"
VERSION = 1
SPECIAL = ("<pad>", "<begin>", "<end>", "<unknown>")
"""Spellings of PAD, BEGIN, END and UNKNOWN; no word is spelt like one of them."""


class Vocabulary(ABC):
    """Words or pieces of words, each with its id; it pickles as its JSON.

    options: what it was fitted with
    words:   the spelling of each id, index = id; the first four are `SPECIAL`
    """

    kind: ClassVar[str]

    def __init__(self, options: VocabularyOptions, words: Sequence[str]) -> None:
        self.options = options
        self.words = tuple(words)
        if self.words[: len(SPECIAL)] != SPECIAL or len(set(self.words)) != len(self.words):
            raise ValueError(f"a vocabulary begins with {', '.join(SPECIAL)} and holds no word twice")
        self._ids = {word: number for number, word in enumerate(self.words)}

    @classmethod
    @abstractmethod
    def fit(cls, captions: Iterable[str], options: VocabularyOptions) -> Self:
        """The vocabulary of `captions`, which are those of the training split and no others."""

    @abstractmethod
    def _spell(self, words: list[str]) -> list[int]:
        """Ids of `words`, without BEGIN and END."""

    @abstractmethod
    def _join(self, ids: list[int]) -> str:
        """The sentence that `ids` spell; none of them is PAD, BEGIN or END."""

    @classmethod
    @abstractmethod
    def _read(cls, options: VocabularyOptions, about: dict[str, Any]) -> Self:
        """The vocabulary that `_contents` described."""

    def _contents(self) -> dict[str, Any]:
        """What makes this vocabulary, as plain JSON values."""
        return {"kind": self.kind, "options": self.options.model_dump(mode="json"), "words": list(self.words)}

    def _described(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, **self._contents()}

    @property
    def size(self) -> int:
        """How many ids there are, the four special ones among them."""
        return len(self.words)

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides which ids a sentence gets."""
        return _digest(self._described())

    def encode(self, caption: str, max_words: int | None = None) -> list[int]:
        """Ids of the words of `caption`: BEGIN first, END last, UNKNOWN for a word that is not known.

        max_words: words at most, the rest is cut; a word of several pieces is one word.
        """
        return [BEGIN, *self._spell(split_words(caption, lower=self.options.lower)[:max_words]), END]

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence that `ids` spell up to the first END; PAD and BEGIN are passed over.

        Equal to the words of a caption, joined by spaces, for the ids that `encode` gave its known words.
        Errors: ValueError for an id outside 0 ... size - 1.
        """
        spelt = []
        for number in map(int, ids):
            if not 0 <= number < self.size:
                raise ValueError(f"id {number} is none of the {self.size} of this vocabulary")
            if number == END:
                break
            if number not in (PAD, BEGIN):
                spelt.append(number)
        return self._join(spelt)

    def unknown_share(self, captions: Iterable[str]) -> float:
        """Share of all words in `captions` that are not known, 0 to 1; 0 where there is no word."""
        total = unknown = 0
        for caption in captions:
            ids = self.encode(caption)
            total += len(ids) - 2
            unknown += ids.count(UNKNOWN)
        return unknown / total if total else 0.0

    def to_json(self) -> str:
        """This vocabulary as a JSON text that describes itself; `vocabulary_from_json` reads it back."""
        return json.dumps({**self._described(), "digest": self.digest}, ensure_ascii=False, indent=1)

    def __reduce__(self) -> tuple[Callable[[str], "Vocabulary"], tuple[str]]:
        """Pickle as JSON: the same in every process, whatever lies behind it."""
        return (vocabulary_from_json, (self.to_json(),))


class WordVocabulary(Vocabulary):
    """Whole words, by how often they occur in training captions and then by the alphabet."""

    kind = "words"

    @classmethod
    def fit(cls, captions: Iterable[str], options: VocabularyOptions) -> Self:
        """The words that occur `options.min_count` times or more. Errors: InputError when there is none."""
        counts, total = count_words(captions, options.lower)
        kept = [word for word, count in counts.items() if count >= options.min_count]
        if not kept:
            most = max(counts.values())
            raise InputError(
                f"data.vocabulary.min_count={options.min_count}: no word of the {total} training captions "
                f"occurs so often; the most frequent one occurs {most} times: set "
                "data.vocabulary.min_count=1"
            )
        return cls(options, [*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], word))])

    def _spell(self, words: list[str]) -> list[int]:
        return [self._ids.get(word, UNKNOWN) for word in words]

    def _join(self, ids: list[int]) -> str:
        return " ".join(self.words[number] for number in ids)

    @classmethod
    def _read(cls, options: VocabularyOptions, about: dict[str, Any]) -> Self:
        return cls(options, about["words"])


def fit_vocabulary(captions: Iterable[str], options: VocabularyOptions) -> Vocabulary:
    """A vocabulary of the kind that `options` names, fitted on `captions` of the training split."""
    return _class_of(options.kind).fit(captions, options)


def count_words(captions: Iterable[str], lower: bool) -> tuple[Counter[str], int]:
    """How often each word occurs in `captions`, and how many captions there are.

    Errors: InputError when they hold no word.
    """
    counts: Counter[str] = Counter()
    total = 0
    for caption in captions:
        counts.update(split_words(caption, lower))
        total += 1
    if not counts:
        raise InputError(
            f"the {total} training captions hold no word: a vocabulary cannot be made. Check that "
            "data.annotations names the captions of the clips, and that data.split.train is not empty"
        )
    return counts, total


def vocabulary_from_json(text: str, source: Path | str = "the vocabulary") -> Vocabulary:
    """What `to_json` wrote. Errors: InputError, naming `source`, for anything else."""
    way_out = "take the file that training left in its run directory"
    try:
        about = json.loads(text)
    except ValueError as error:
        raise InputError(f"{source} is no whole JSON ({error}): {way_out}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f'{source} is no vocabulary: it lacks \'"format": "{FORMAT}"\'; {way_out}')
    if about.get("version") != VERSION:
        raise InputError(
            f"{source}: version {about.get('version')!r} of a vocabulary, this release reads version "
            f"{VERSION}; use the release that wrote it"
        )
    if about.pop("digest", None) != _digest(about):
        raise InputError(f"{source}: the words do not match their digest, someone changed them; {way_out}")
    options = VocabularyOptions.model_validate(about["options"])
    return _class_of(options.kind)._read(options, about)


def load_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in file `path`. Errors: InputError, naming it, when absent, broken or another file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the vocabulary {path} cannot be read: {error}") from error
    return vocabulary_from_json(text, path)


def save_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Writes `vocabulary` beside `path` and renames it: a reader sees all of it or nothing."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(vocabulary.to_json())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _class_of(kind: str) -> type[Vocabulary]:
    """The class behind a kind; pieces are loaded when asked for, they need an optional package."""
    if kind == WordVocabulary.kind:
        return WordVocabulary
    from datamodules.video.byte_pairs import BytePairVocabulary

    return BytePairVocabulary


def _digest(contents: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
