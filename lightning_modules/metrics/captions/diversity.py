"""How varied sentences are: figures that need no references."""

from collections.abc import Collection, Sequence


def distinct_words(sentences: Sequence[str]) -> int:
    """How many different words the sentences use; a word is what white space separates."""
    return len({word for sentence in sentences for word in sentence.split()})


def mean_words(sentences: Sequence[str]) -> float:
    """Words a sentence, on average; 0 where there are no sentences."""
    return sum(len(sentence.split()) for sentence in sentences) / max(len(sentences), 1)


def unseen_sentences(sentences: Sequence[str], training: Collection[str]) -> float:
    """The share of sentences that are no training caption, word for word; 0 where there are no sentences.

    Both must have been tokenised alike.
    """
    known = {tuple(caption.split()) for caption in training}
    return sum(tuple(sentence.split()) not in known for sentence in sentences) / max(len(sentences), 1)
