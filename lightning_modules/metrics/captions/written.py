"""Sentences written by many ranks, gathered by clip: each clip counts once, and the missing are known."""

from typing import NamedTuple

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from datamodules.batches import END, PAD


class Written(NamedTuple):
    """What was written: of which clips what, and of which nothing.

    sentences: by the clip's number, increasing, the tokens of its words, without the end
    missing:   numbers of the clips that did not come, increasing
    """

    sentences: dict[int, list[int]]
    missing: list[int]


class WrittenSentences(Metric):
    """Collects one sentence a clip; a clip that comes twice (padding of a sampler) counts once.

    clips: how many there are; their numbers are 0 to clips - 1
    max_words: of a sentence; its end comes on top
    """

    full_state_update = False
    tokens: list[Tensor]
    numbers: list[Tensor]

    def __init__(self, clips: int, max_words: int) -> None:
        super().__init__()
        self.clips, self.width = clips, max_words + 1
        self.add_state("tokens", [], dist_reduce_fx="cat")
        self.add_state("numbers", [], dist_reduce_fx="cat")

    def update(self, tokens: Tensor, clips: Tensor) -> None:
        """Add sentences (batch, token) int64, END and PAD behind the words, of the clips (batch,) int64.

        Errors: ValueError for sentences longer than announced.
        """
        if tokens.shape[1] > self.width:
            raise ValueError(f"sentences of {tokens.shape[1]} tokens; WrittenSentences takes {self.width}")
        padded = tokens.new_full((len(tokens), self.width), PAD)
        padded[:, : tokens.shape[1]] = tokens
        self.tokens.append(padded)
        self.numbers.append(clips)

    def compute(self) -> Written:
        """All sentences so far, of all ranks, and what is missing."""
        found: dict[int, list[int]] = {}
        if len(self.numbers):
            numbers, rows = dim_zero_cat(self.numbers).tolist(), dim_zero_cat(self.tokens).tolist()
            for number, row in zip(numbers, rows, strict=True):
                found.setdefault(number, words_of(row))
        missing = [number for number in range(self.clips) if number not in found]
        return Written(dict(sorted(found.items())), missing)


def words_of(tokens: list[int]) -> list[int]:
    """The tokens of a sentence before its end."""
    stop = next((place for place, token in enumerate(tokens) if token in (END, PAD)), len(tokens))
    return tokens[:stop]
