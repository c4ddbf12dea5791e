"""The sentences that differ between two captioners over the same clips, the best changes first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from datamodules.errors import InputError
from pipelines.reviewing.differences import Differences, score_differences
from pipelines.reviewing.evidence import Sentence

SCORES = ("cider", "rouge_l")
"""Scores that are means over clips, so that clips can be drawn anew."""


@dataclass(frozen=True)
class ChangedCaption:
    """A clip of which the two say something else; gain: CIDEr of the second less that of the first."""

    clip: str
    before: str
    now: str
    reference: str
    gain: float


@dataclass(frozen=True)
class CaptionComparison:
    """Two captioners over the clips that both wrote of: how scores differ, and what changed, best first."""

    differences: Differences
    changed: tuple[ChangedCaption, ...]


def compare_captions(
    first: Mapping[str, Sentence], other: Mapping[str, Sentence], tokenizer: str
) -> CaptionComparison:
    """CIDEr and ROUGE-L clip by clip, against the references of the first.

    InputError when the two share no clip, or the tokenizer cannot be used here.
    """
    from lightning_modules.metrics.captions.cider import CiderReferences
    from lightning_modules.metrics.captions.java import JavaError
    from lightning_modules.metrics.captions.rouge import RougeReferences
    from pipelines.captions.tokenisers import tokenised, tokeniser

    clips = [clip for clip in first if clip in other and first[clip].references]
    if not clips:
        raise InputError("the two wrote sentences for no clip in common")
    tokenise = tokeniser(tokenizer)
    try:
        references = tokenised([list(first[clip].references) for clip in clips], tokenise)
        said = [tokenise([who[clip].caption for clip in clips]) for who in (first, other)]
    except JavaError as error:
        raise InputError(f"task.tokenizer={tokenizer}: {error}") from error
    cider, rouge = CiderReferences(references), RougeReferences(references)
    one, two = (
        np.stack([np.asarray(cider.cider(words)), np.asarray(rouge.rouge_l(words))], axis=1) for words in said
    )
    gains = (two - one)[:, 0]
    changed = [
        ChangedCaption(
            clip, first[clip].caption, other[clip].caption, first[clip].references[0], float(gains[place])
        )
        for place, clip in enumerate(clips)
        if first[clip].caption != other[clip].caption
    ]
    changed.sort(key=lambda one: (-one.gain, one.clip))
    return CaptionComparison(score_differences(SCORES, one, two), tuple(changed))
