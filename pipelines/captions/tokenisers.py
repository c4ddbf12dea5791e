"""How sentences and references become tokens before they are scored: by the name in the settings."""

from collections.abc import Callable, Sequence

from datamodules.video.words import split_words

Tokenise = Callable[[Sequence[str]], list[str]]
"""Raw sentences to sentences whose tokens are divided by single spaces."""


def tokeniser(name: str) -> Tokenise:
    """The tokeniser called `name`: words (no case, no punctuation), plain (white space) or ptb (needs Java).

    Errors: JavaError, when it is used, where ptb is asked for and Java or pycocoevalcap is absent.
    """
    if name == "ptb":
        return _penn_treebank
    if name == "plain":
        return lambda sentences: [" ".join(sentence.split()) for sentence in sentences]
    return lambda sentences: [" ".join(split_words(sentence)) for sentence in sentences]


def _penn_treebank(sentences: Sequence[str]) -> list[str]:
    """Tokens as the Penn Treebank divides them, through Java."""
    from lightning_modules.metrics.captions.ptb import tokenise

    return list(tokenise(sentences))


def tokenised(references: Sequence[Sequence[str]], tokenise: Tokenise) -> list[list[str]]:
    """The references of each clip, tokenised all at once (one call of Java)."""
    flat = iter(tokenise([sentence for sentences in references for sentence in sentences]))
    return [[next(flat) for _ in sentences] for sentences in references]
