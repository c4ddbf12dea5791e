"""Pieces of words by byte-pair encoding (Sennrich et al. 2016), through the optional package `tokenizers`.

Pieces are made of bytes, so that every caption can be spelt, also in letters that training never saw. They
never reach across two words, and a caption is brought to its words first, as for whole words.
"""

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Self

from datamodules.errors import InputError
from datamodules.video.options import VocabularyOptions
from datamodules.video.vocabulary import SPECIAL, Vocabulary, count_words


class BytePairVocabulary(Vocabulary):
    """Pieces of words, at most `options.size`; no word is unknown.

    merges: pairs of pieces that become one, in the order in which training found them
    """

    kind = "bpe"

    def __init__(
        self, options: VocabularyOptions, words: Sequence[str], merges: Sequence[tuple[str, str]]
    ) -> None:
        super().__init__(options, words)
        self.merges = tuple(merges)
        library = _library()
        self._pieces = library.Tokenizer(library.models.BPE(vocab=self._ids, merges=list(self.merges)))
        self._pieces.pre_tokenizer = _one_word_at_a_time(library)
        self._pieces.decoder = library.decoders.ByteLevel()

    @classmethod
    def fit(cls, captions: Iterable[str], options: VocabularyOptions) -> Self:
        """The pieces that shorten `captions` most. Errors: InputError without words, or without the extra."""
        library = _library()
        counts, _ = count_words(captions, options.lower)
        trained = library.Tokenizer(library.models.BPE())
        trained.pre_tokenizer = _one_word_at_a_time(library)
        trainer = library.trainers.BpeTrainer(
            vocab_size=options.size,
            min_frequency=2,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        occurrences = (f" {word}" for word in sorted(counts) for _ in range(counts[word]))
        trained.train_from_iterator(occurrences, trainer)
        model = json.loads(trained.to_str())["model"]
        words = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return cls(options, words, [(first, second) for first, second in model["merges"]])

    def _spell(self, words: list[str]) -> list[int]:
        return list(self._pieces.encode(_spaced(words)).ids)

    def _join(self, ids: list[int]) -> str:
        """The sentence; bytes that make no letter are left out, as a network may write such."""
        text: str = self._pieces.decode(ids, skip_special_tokens=False)
        return " ".join(text.replace("\ufffd", "").split())

    def _contents(self) -> dict[str, Any]:
        return {**super()._contents(), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def _read(cls, options: VocabularyOptions, about: dict[str, Any]) -> Self:
        return cls(options, about["words"], [(first, second) for first, second in about["merges"]])


def _spaced(words: list[str]) -> str:
    """A space before each word: where a word begins, its pieces tell."""
    return "".join(f" {word}" for word in words)


def _one_word_at_a_time(library: ModuleType) -> Any:
    """Cuts before each space, then writes bytes as printable letters."""
    before = library.pre_tokenizers
    return before.Sequence(
        [
            before.Split(" ", behavior="merged_with_next"),
            before.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _library() -> ModuleType:
    """The package `tokenizers`. Errors: InputError, naming the extra, when it is not there."""
    try:
        return import_module("tokenizers")
    except ImportError as error:
        raise InputError(
            "data.vocabulary.kind=bpe needs the package `tokenizers`, which is not installed: "
            "pip install 'skyreel[bpe]', or set data.vocabulary.kind=words"
        ) from error
