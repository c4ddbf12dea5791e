"""The likeliest word each time."""

from collections.abc import Callable

import torch
from torch import Tensor

from datamodules.batches import BEGIN, END, PAD
from lightning_modules.caption_options import DecodingOptions
from lightning_modules.decoders.search.rules import allowed
from lightning_modules.decoders.search.sentences import (
    Sentences,
    Written,
    beginning,
    best_first,
    without_gradients,
)
from lightning_modules.decoders.word_steps import StepFunction, WordState, reorder


@without_gradients
def greedy(
    step: StepFunction, state: WordState, options: DecodingOptions, *, unknown: bool = False
) -> Sentences:
    """One sentence a clip: a beam of width 1. Of equally likely words that with the lowest token is taken."""

    def likeliest(log_probabilities: Tensor) -> Tensor:
        return log_probabilities.argmax(dim=-1)

    return follow(step, state, options, likeliest, count=1, unknown=unknown)


def follow(
    step: StepFunction,
    state: WordState,
    options: DecodingOptions,
    choose: Callable[[Tensor], Tensor],
    *,
    count: int,
    unknown: bool,
) -> Sentences:
    """`count` sentences a clip, each on its own.

    choose: (batch, count, word) log-probabilities -> words (batch, count)

    After `max_words` words END is written, at its own log-probability. All stops when all have ended.
    """
    batch, device = beginning(state)
    words = torch.full((batch, count), BEGIN, device=device)
    state = reorder(state, torch.zeros_like(words))
    tokens = words[..., None][..., :0]
    total = torch.zeros(batch, count, device=device)
    running = torch.ones_like(words, dtype=torch.bool)
    attention = []
    for position in range(options.max_words + 1):
        logits, state, weights = step(words, state)
        last = position == options.max_words
        found = allowed(logits, tokens, last=last, no_repeat=options.no_repeat, unknown=unknown)
        words = choose(found)
        total = total + found.gather(-1, words[..., None]).squeeze(-1).masked_fill(~running, 0.0)
        words = words.masked_fill(~running, PAD)
        tokens = torch.cat([tokens, words[..., None]], dim=-1)
        attention.append(weights)
        running = running & (words != END)
        if not bool(running.any()):
            break
    trail = torch.arange(count, device=device)[:, None].expand(tokens.shape)
    return best_first(Written(tokens, total, trail, attention), count, options.length_penalty)
