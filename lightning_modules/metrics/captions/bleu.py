"""BLEU of a corpus, with references counted once."""

from collections.abc import Sequence

import numpy as np

from lightning_modules.metrics.captions.ngrams import ORDERS, UNSEEN, Counts, find
from lightning_modules.metrics.captions.prepared import CountedReferences, References

SMALL = 1e-9
TINY = 1e-15
"""pycocoevalcap adds these to denominators and numerators: no division by zero, 0 stays (next to) 0."""


class BleuReferences:
    """BLEU-1 to BLEU-4 of Papineni, Roukos, Ward and Zhu (2002), ACL, as pycocoevalcap 1.2 computes it.

    Matches of n-grams, clipped to the most that one reference has, are summed over the corpus before the
    precisions p are taken; BLEU-n = brevity * (p_1 ... p_n)^(1/n). The brevity penalty exp(1 - r/c) compares
    the words c of all hypotheses with r, the sum of the closest reference lengths (the shorter of two equally
    close). Between 0 and 1. An empty hypothesis matches nothing and counts in r; where all are empty, BLEU is
    0.
    """

    def __init__(self, references: References, counted: CountedReferences | None = None) -> None:
        self._references = counted if counted is not None else CountedReferences(references)
        sizes = self._references.table.sizes
        self._most = [
            _most_by_clip(self._references.clip, counts, size)
            for counts, size in zip(self._references.counted.counts, sizes, strict=True)
        ]

    def bleu(self, hypotheses: Sequence[str]) -> np.ndarray:
        """BLEU-1 to BLEU-4 of a hypothesis for every clip, (order,) float64."""
        counted, of = self._references.count(hypotheses)
        words = counted.words
        length, reference_length = int(words.sum()), int(self._closest_lengths(words).sum())
        product, scores = 1.0, []
        for order, counts, (keys, most), size in zip(
            ORDERS, counted.counts, self._most, self._references.table.sizes, strict=True
        ):
            key = of[counts.sentence] * size + counts.ngram
            places = find(keys, np.where(counts.ngram >= 0, key, UNSEEN))
            seen = places >= 0
            correct = int(np.minimum(counts.times[seen], most[places[seen]]).sum())
            guessed = int(np.maximum(words - order + 1, 0).sum())
            product *= (correct + TINY) / (guessed + SMALL)
            scores.append(product ** (1 / order))
        ratio = (length + TINY) / (reference_length + SMALL)
        return np.array(scores) * (np.exp(1 - 1 / ratio) if ratio < 1 else 1.0)

    def _closest_lengths(self, words: np.ndarray) -> np.ndarray:
        """For each clip the words of the reference closest to its hypothesis in length, (clip,) int64."""
        lengths = self._references.counted.words
        # Twice the distance, and one more for the longer: the least is the closest, the shorter one first.
        distance = lengths - words[self._references.clip]
        rank = 2 * np.abs(distance) + (distance > 0)
        starts = np.cumsum(self._references.per_clip) - self._references.per_clip
        least = np.minimum.reduceat(rank, starts)
        return words + np.where(least % 2 == 1, 1, -1) * (least // 2)


def _most_by_clip(clip: np.ndarray, counts: Counts, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys clip * size + n-gram, increasing, and the most times that one reference of the clip has it."""
    key = clip[counts.sentence] * size + counts.ngram
    order = np.argsort(key, kind="stable")
    keys, starts = np.unique(key[order], return_index=True)
    most = np.maximum.reduceat(counts.times[order], starts) if len(starts) else counts.times
    return keys, most
