"""Beam search over all clips and hypotheses of a batch at once."""

import torch
from torch import Tensor

from datamodules.batches import BEGIN, END, PAD
from lightning_modules.caption_options import DecodingOptions
from lightning_modules.decoders.search.rules import NEVER, allowed
from lightning_modules.decoders.search.sentences import (
    Sentences,
    Written,
    beginning,
    best_first,
    scores,
    without_gradients,
)
from lightning_modules.decoders.word_steps import StepFunction, WordState, reorder, take


@without_gradients
def beam_search(
    step: StepFunction, state: WordState, options: DecodingOptions, *, unknown: bool = False
) -> Sentences:
    """The `n_best` distinct sentences a clip that a beam of `width` finds.

    At each word the likeliest continuations of a clip's running sentences go on, END among the words. There
    are as many as the width less the sentences that have ended: those keep their place but are set apart, and
    running ones are compared with them by score, each at its own end. So width 1 is greedy under any penalty,
    and a beam with a place for every sentence finds the best of all. Of equal continuations that of the
    likelier sentence is taken, then that with the lowest token. After `max_words` words END is written, at
    its own log-probability.

    A clip is done when no running sentence can enter its best `n_best`. Log-probabilities only fall and are
    negative, so a running sentence scores at most its present one over the greatest length: this changes
    nothing in the result. The beam is only as wide as the clip with the most running sentences needs.
    """
    batch, device = beginning(state)
    longest = options.max_words + 1
    finished = _Finished(batch, options.width, longest, device)
    running = torch.zeros(batch, 1, device=device)
    words = torch.full((batch, 1), BEGIN, device=device)
    tokens = trail = words[..., None][..., :0]
    attention = []
    for position in range(longest):
        logits, state, weights = step(words, state)
        attention.append(weights)
        last = position == options.max_words
        found = allowed(logits, tokens, last=last, no_repeat=options.no_repeat, unknown=unknown)
        running, index = highest(found.add_(running[..., None]).flatten(1), options.width)
        parent, words = index // logits.shape[-1], index % logits.shape[-1]
        tokens = torch.cat([take(tokens, parent), words[..., None]], dim=-1)
        trail = torch.cat([take(trail, parent), parent[..., None]], dim=-1)
        places = torch.arange(words.shape[1], device=device) < options.width - finished.count
        ended = places & (words == END) & (running > NEVER)
        finished.add(ended, tokens, trail, running)
        running = running.masked_fill(~places | ended, NEVER)
        done = finished.beats(running, options.n_best, options.length_penalty)
        running = running.masked_fill(done[:, None], NEVER)
        most = int((running > NEVER).sum(dim=1).max())
        if most == 0:
            break
        running, order = running.sort(dim=1, descending=True, stable=True)
        running, order = running[:, :most], order[:, :most]
        words, tokens, trail = take(words, order), take(tokens, order), take(trail, order)
        state = reorder(state, take(parent, order))
    return best_first(finished.written(attention), options.n_best, options.length_penalty)


def highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest of values (batch, n), highest first and of equal ones the first first, and where.

    `topk` does not say which of equal values it takes. Where the last that is taken equals the first that is
    left, which is rare, all are sorted.
    """
    if count < values.shape[1]:
        found, index = values.topk(count + 1, dim=1)
        doubtful = (found[:, -1] == found[:, -2]) & (found[:, -1] > NEVER)
        if not bool(doubtful.any()):
            index, order = index[:, :count].sort(dim=1)
            found, order = found.gather(1, order).sort(dim=1, descending=True, stable=True)
            return found, index.gather(1, order)
    found, index = values.sort(dim=1, descending=True, stable=True)
    return found[:, :count], index[:, :count]


class _Finished:
    """The sentences of each clip that have ended, in the order in which they did.

    One place more than `width` takes what is not kept.
    """

    def __init__(self, batch: int, width: int, longest: int, device: torch.device) -> None:
        self.width = width
        self.count = torch.zeros(batch, 1, dtype=torch.int64, device=device)
        self.tokens = torch.full((batch, width + 1, longest), PAD, device=device)
        self.trail = torch.zeros_like(self.tokens)
        self.log_probability = torch.full((batch, width + 1), NEVER, device=device)

    def add(self, ended: Tensor, tokens: Tensor, trail: Tensor, log_probability: Tensor) -> None:
        """Keep the sentences (batch, beam, token) where `ended` (batch, beam)."""
        place = torch.where(ended, self.count + ended.cumsum(dim=1) - 1, self.width)
        self.log_probability.scatter_(1, place, log_probability)
        places = place[..., None].expand(tokens.shape)
        self.tokens.scatter_(1, places, tokens)
        self.trail.scatter_(1, places, trail)
        self.count = self.count + ended.sum(dim=1, keepdim=True)

    def beats(self, running: Tensor, best: int, penalty: float) -> Tensor:
        """True (batch,) where none that runs (batch, beam) can come before the `best`-th that has ended."""
        kept = self.log_probability[:, : self.width]
        length = (self.tokens[:, : self.width] != PAD).sum(dim=-1).clamp_min(1)
        threshold = scores(kept, length, penalty).topk(min(best, self.width), dim=1).values[:, -1]
        return threshold >= scores(running.amax(dim=1), self.tokens.shape[-1], penalty)

    def written(self, attention: list[Tensor | None]) -> Written:
        """All that was kept."""
        kept = slice(self.width)
        return Written(self.tokens[:, kept], self.log_probability[:, kept], self.trail[:, kept], attention)
