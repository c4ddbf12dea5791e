"""Captions that need no captioner: what every score is compared with.

constant: one sentence for all clips: the training caption that scores best on the validation clips.
frequent: the most frequent training caption.
nearest:  the most typical caption of the training clip that is nearest in the encoder's feature space.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lightning_modules.metrics.captions.cider import CiderReferences

CANDIDATES = 50
"""Frequent training captions that are tried as the constant one."""
SIBLINGS = 20
"""Captions of a clip among which the most typical one is looked for."""


def frequent_caption(captions: Sequence[str]) -> str:
    """The caption that occurs most often; of several the first in the alphabet."""
    counts = Counter(captions)
    return min(counts, key=lambda caption: (-counts[caption], caption))


def constant_caption(captions: Sequence[str], validation: Sequence[Sequence[str]]) -> str:
    """The training caption with the highest mean CIDEr on the validation clips, of the most frequent ones.

    captions: of the training clips, tokenised.     validation: references of each validation clip, tokenised
    """
    counts = Counter(captions)
    tried = sorted(counts, key=lambda caption: (-counts[caption], caption))[:CANDIDATES]
    references = CiderReferences(validation)
    scores = [float(np.mean(references.cider([caption] * len(validation)))) for caption in tried]
    return tried[int(np.argmax(scores))]


def typical_captions(references: Sequence[Sequence[str]]) -> list[str]:
    """Of each clip the caption that agrees best with its other ones (CIDEr-D against all of them)."""
    scorer = CiderReferences(references)
    shown = [list(captions[:SIBLINGS]) for captions in references]
    flat = [caption for captions in shown for caption in captions]
    clips = [clip for clip, captions in enumerate(shown) for _ in captions]
    scores = iter(scorer.cider_d(flat, clips))
    return [captions[int(np.argmax([next(scores) for _ in captions]))] for captions in shown]


def nearest_clips(features: np.ndarray, training: np.ndarray) -> np.ndarray:
    """For each row of `features` (clip, feature) the most similar row of `training`, by the cosine of the
    centred features; int64 (clip,)."""
    centre = training.mean(axis=0)
    found, known = (_unit(rows - centre) for rows in (features, training))
    blocks = [np.argmax(found[i : i + 512] @ known.T, axis=1) for i in range(0, len(found), 512)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.int64)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
