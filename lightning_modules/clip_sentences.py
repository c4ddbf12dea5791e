"""What was written of each clip, on plain types, gathered over ranks."""

import math
from typing import NamedTuple

import numpy as np
from torch import distributed

from datamodules.batches import ClipBatch
from lightning_modules.decoders.search.sentences import Sentences
from lightning_modules.metrics.captions.written import words_of


class ClipSentences(NamedTuple):
    """The distinct sentences written of one clip, best first.

    tokens: of each sentence's words, without the end
    log_probability, score: of each, the end included; the score is what the search compared
    times: (frame,) float32, seconds since the clip's first frame, of the frames that count; NaN where unknown
    attention: (token, frame) float32, of the best sentence and its end, over the frames that count, summed
        over the places of a frame; None where the decoder looks at nothing
    """

    tokens: list[list[int]]
    log_probability: list[float]
    score: list[float]
    times: np.ndarray
    attention: np.ndarray | None


def clip_sentences(sentences: Sentences, batch: ClipBatch) -> dict[int, ClipSentences]:
    """By the clip's number, what was written of it; `batch` holds the numbers, and which frames count."""
    tokens, log_p, score = (part.tolist() for part in sentences[:3])
    looked = None if sentences.attention is None else sentences.attention[:, 0].float().sum(-1).cpu().numpy()
    counts, times = batch.mask.cpu().numpy(), batch.times.float().cpu().numpy()
    found = {}
    for place, number in enumerate(batch.clip.tolist()):
        kept: dict[tuple[int, ...], int] = {}
        for rank, row in enumerate(tokens[place]):
            if math.isfinite(log_p[place][rank]):
                kept.setdefault(tuple(words_of(row)), rank)
        length = len(next(iter(kept), ())) + 1
        found[number] = ClipSentences(
            [list(words) for words in kept],
            [log_p[place][rank] for rank in kept.values()],
            [score[place][rank] for rank in kept.values()],
            times[place][counts[place]],
            None if looked is None else looked[place, :length][:, counts[place]],
        )
    return found


def gathered(found: dict[int, ClipSentences]) -> dict[int, ClipSentences]:
    """What all ranks found together, by the clip's number, increasing; a clip that came twice counts once."""
    parts = [found]
    if distributed.is_available() and distributed.is_initialized():
        parts = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(parts, found)
    return dict(sorted({number: one for part in reversed(parts) for number, one in part.items()}.items()))
