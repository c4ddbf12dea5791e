"""The registry of searches."""

import torch

from lightning_modules.caption_options import DecodingOptions
from lightning_modules.decoders.search.beam import beam_search
from lightning_modules.decoders.search.greedy import greedy
from lightning_modules.decoders.search.sampled import sampled
from lightning_modules.decoders.search.sentences import Sentences
from lightning_modules.decoders.word_steps import StepFunction, WordState


def write_sentences(
    step: StepFunction,
    state: WordState,
    options: DecodingOptions,
    *,
    generator: torch.Generator | None = None,
    unknown: bool = False,
) -> Sentences:
    """Sentences by `options.method`: greedy one a clip, beam and sample `n_best`; best first.

    step: reads the last words (batch, beam) and the state; put the decoder in `eval` mode first
    state: before the first word, of one hypothesis a clip, (batch, 1, ...) tensors in nested tuples
    generator: of the draws (sample); None is torch's own
    unknown: UNKNOWN may be written
    """
    if options.method == "greedy":
        return greedy(step, state, options, unknown=unknown)
    if options.method == "sample":
        return sampled(step, state, options, generator=generator, unknown=unknown)
    return beam_search(step, state, options, unknown=unknown)
