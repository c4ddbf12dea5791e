"""ROUGE-L of single sentences, by longest common subsequences in the bits of an integer."""

from collections.abc import Sequence

import numpy as np

from lightning_modules.metrics.captions.prepared import References

BETA = 1.2
"""Weight of recall against precision."""


class RougeReferences:
    """ROUGE-L (Lin 2004) as pycocoevalcap 1.2 computes it: the F-measure, beta 1.2, of the longest common
    subsequence, with the best precision and the best recall over the references, each from any of them.

    Words are separated by single spaces, not by all white space: an empty sentence is one empty word, as
    there. So an empty hypothesis scores 0, but 1 where a reference is empty too.

    references: (clip, reference) tokenised sentences, words joined by one space; at least one a clip.
    """

    def __init__(self, references: References) -> None:
        if not all(references):
            raise ValueError("every clip needs a reference")
        self._references = [list({tuple(one.split(" ")) for one in clip}) for clip in references]

    def rouge_l(self, hypotheses: Sequence[str]) -> np.ndarray:
        """ROUGE-L of a hypothesis for every clip, (clip,) float64 in 0 to 1."""
        if len(hypotheses) != len(self._references):
            told = f"{len(hypotheses)} hypotheses for {len(self._references)} clips"
            raise ValueError(f"{told}; there must be one for each")
        return np.array([_score(*pair) for pair in zip(hypotheses, self._references, strict=True)])


def _score(hypothesis: str, references: Sequence[Sequence[str]]) -> float:
    """The F-measure of the best precision and the best recall."""
    words = hypothesis.split(" ")
    where: dict[str, int] = {}
    for place, word in enumerate(words):
        where[word] = where.get(word, 0) | 1 << place
    precision = recall = 0.0
    for reference in references:
        common = _longest_common(where, len(words), reference)
        precision = max(precision, common / len(words))
        recall = max(recall, common / len(reference))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common(where: dict[str, int], length: int, reference: Sequence[str]) -> int:
    """The length of the longest common subsequence, in words.

    A word of the reference costs one addition, whatever the sentence's length: Hyyrö (2004), "Bit-parallel
    LCS-length computation revisited". where: the places of each word of the hypothesis, as bits.
    """
    zeros = full = (1 << length) - 1
    for word in reference:
        matches = zeros & where.get(word, 0)
        zeros = ((zeros + matches) | (zeros - matches)) & full
    return length - zeros.bit_count()
