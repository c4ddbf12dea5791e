"""The references of a corpus counted once, for all scores that compare n-grams."""

from collections.abc import Sequence

import numpy as np

from lightning_modules.metrics.captions.ngrams import Counted, NgramTable

References = Sequence[Sequence[str]]
"""(clip, reference): tokenised sentences, words joined by one space. Every clip has at least one."""


class CountedReferences:
    """The n-grams of every reference, and which clip each belongs to.

    references: (clip, reference) tokenised sentences. Errors: ValueError for a clip without any, or no clips.
    """

    def __init__(self, references: References) -> None:
        bare = [clip for clip, sentences in enumerate(references) if not sentences]
        if bare or not references:
            told = f"{len(bare)} of {len(references)} clips have none, the first at position {bare[:1]}"
            raise ValueError(f"every clip needs a reference: {told if bare else 'there are no clips'}")
        sentences = [sentence for clip in references for sentence in clip]
        self.clips = len(references)
        self.per_clip = np.array([len(clip) for clip in references], dtype=np.int64)
        """(clip,) how many references each has."""
        self.clip = np.repeat(np.arange(self.clips, dtype=np.int64), self.per_clip)
        """(reference,) the clip of each."""
        self.table = NgramTable(sentences)
        self.counted = self.table.count(sentences)

    def count(
        self, hypotheses: Sequence[str], clips: Sequence[int] | None = None
    ) -> tuple[Counted, np.ndarray]:
        """The n-grams of the hypotheses, and the clip of each (hypothesis,) int64.

        clips: which clip each hypothesis is of, any number for a clip; None: one for every clip, in order.
        """
        if clips is None and len(hypotheses) != self.clips:
            raise ValueError(f"{len(hypotheses)} hypotheses for {self.clips} clips; give one for each")
        of = np.arange(self.clips) if clips is None else np.asarray(clips, dtype=np.int64).reshape(-1)
        if len(of) != len(hypotheses):
            raise ValueError(f"{len(of)} clips are named for {len(hypotheses)} hypotheses")
        if len(of) and not (of.min() >= 0 and of.max() < self.clips):
            raise ValueError(f"clips run from 0 to {self.clips - 1}; {of.min()} to {of.max()} are named")
        return self.table.count(hypotheses), of
