"""CIDEr and CIDEr-D, with the tf-idf of the references computed once."""

from collections.abc import Sequence

import numpy as np

from lightning_modules.metrics.captions.ngrams import UNSEEN, Counted, Counts, find
from lightning_modules.metrics.captions.prepared import CountedReferences, References

SIGMA = 6.0
"""Of the Gaussian penalty on lengths, in words."""
SCALE = 10.0
"""CIDEr runs from 0 to this."""


class CiderReferences:
    """The references of a corpus, ready to score hypotheses by CIDEr and CIDEr-D. Pickles.

    With g the tf-idf vector of a sentence's n-grams, l its length, s_1 .. s_m the references of the clip:

        score_n = 10/m sum_j exp(-(l(c) - l(s_j))^2 / (2 6^2)) min(g(c), g(s_j)) . g(s_j) / (|g(c)| |g(s_j)|)

    and the score is the mean of score_1 to score_4: CIDEr-D, equation 4 of Vedantam, Zitnick and Parikh
    (2015), CVPR, arXiv 1411.5726. The idf of an n-gram is log(clips / clips in whose references it occurs),
    of one that no reference holds log(clips). Vectors are clipped and foreign lengths punished, so that
    repeating rare words does not pay; the paper's own "CIDEr", equation 2, does neither, and stems the words.

    What pycocoevalcap calls CIDEr (its `Cider`, and so nearly every published "CIDEr") is this same CIDEr-D:
    it clips, has the Gaussian and stems nothing. The `ciderD` scorer of vrama91/cider, and its descendants in
    self-critical training, are that code with the choice of a ready-made table of document frequencies.
    Hence `cider` and `cider_d` agree to the last digit. They differ in what may be asked: `cider` is the
    figure of a corpus, one hypothesis for every clip; `cider_d` the reward of any hypotheses of any clips,
    under the document frequencies of the whole corpus. Both codes count length in bigrams, that is words - 1,
    so that an empty sentence is as long as one of one word; that is kept.

    Limits: in a corpus of one clip, and where all references are empty (pycocoevalcap raises), every idf or
    vector is 0 and so is every score. An empty hypothesis scores 0.

    references: (clip, reference) tokenised sentences, words joined by one space.
    """

    def __init__(self, references: References, counted: CountedReferences | None = None) -> None:
        self._references = counted if counted is not None else CountedReferences(references)
        self._log_clips = float(np.log(float(self._references.clips)))
        sizes = self._references.table.sizes
        self._orders = [
            _Order(self._references, counts, size, self._log_clips)
            for counts, size in zip(self._references.counted.counts, sizes, strict=True)
        ]
        self._length = _length(self._references.counted)

    def cider(self, hypotheses: Sequence[str]) -> np.ndarray:
        """CIDEr as pycocoevalcap's `Cider`, of one hypothesis for every clip, (clip,) float64 in 0 to 10."""
        return self.cider_d(hypotheses)

    def cider_d(self, hypotheses: Sequence[str], clips: Sequence[int] | None = None) -> np.ndarray:
        """CIDEr-D of each hypothesis, (hypothesis,) float64 in 0 to 10.

        clips: which clip each hypothesis is of, several for a clip if need be; None: one for every clip.
        """
        counted, of = self._references.count(hypotheses, clips)
        length = _length(counted)
        total = np.zeros(len(hypotheses))
        for order, counts in zip(self._orders, counted.counts, strict=True):
            row, reference, product = order.products(counts, of)
            hypothesis = counts.sentence[row]
            delta = length[hypothesis] - self._length[reference]
            product = product * np.exp(-(delta**2) / (2 * SIGMA**2))
            norm = order.norms(counts, len(hypotheses))
            sums = np.bincount(hypothesis, weights=product, minlength=len(hypotheses))
            total += np.divide(sums, norm, out=np.zeros_like(total), where=norm > 0)
        return SCALE * total / len(self._orders) / self._references.per_clip[of]


class _Order:
    """The tf-idf of the references' n-grams of one length, found by clip and n-gram."""

    def __init__(self, references: CountedReferences, counts: Counts, size: int, log_clips: float) -> None:
        key = references.clip[counts.sentence] * size + counts.ngram
        order = np.argsort(key, kind="stable")
        self._size = size
        self._keys, self._start = np.unique(key[order], return_index=True)
        self._stop = np.append(self._start[1:], len(key)).astype(np.int64)
        holding_clips = np.bincount(self._keys % max(size, 1), minlength=size)
        self._idf = log_clips - np.log(np.maximum(holding_clips, 1))
        self._unseen_idf = log_clips
        self._reference = counts.sentence[order]
        self._times = counts.times[order]
        norm = self.norms(counts, len(references.clip))[self._reference]
        weight = self._idf[counts.ngram[order]] ** 2 * self._times
        self._weight = np.divide(weight, norm, out=np.zeros_like(weight), where=norm > 0)

    def norms(self, counts: Counts, sentences: int) -> np.ndarray:
        """The length of each sentence's tf-idf vector, (sentence,)."""
        idf = np.append(self._idf, self._unseen_idf)[counts.ngram]  # UNSEEN is the last
        return np.sqrt(np.bincount(counts.sentence, weights=(counts.times * idf) ** 2, minlength=sentences))

    def products(self, counts: Counts, of: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each n-gram of a hypothesis met with each reference of its clip that holds it.

        Its row in `counts`, the reference, and min(g(c), g(s)) g(s) / |g(s)|: three arrays (meeting,).
        """
        key = of[counts.sentence] * self._size + counts.ngram
        places = find(self._keys, np.where(counts.ngram >= 0, key, UNSEEN))
        rows = np.flatnonzero(places >= 0)
        starts, stops = self._start[places[rows]], self._stop[places[rows]]
        meetings = stops - starts
        row = np.repeat(rows, meetings)
        offset = np.repeat(np.cumsum(meetings) - meetings, meetings)
        posting = np.arange(len(row)) - offset + np.repeat(starts, meetings)
        clipped = np.minimum(counts.times[row], self._times[posting])
        return row, self._reference[posting], clipped * self._weight[posting]


def _length(counted: Counted) -> np.ndarray:
    """Lengths as both reference codes count them, in bigrams, (sentence,)."""
    return np.maximum(counted.words - 1, 0)
