"""Sentences as a search returns them: the best first, cut to the longest, with what was looked at."""

import functools
from collections.abc import Callable
from typing import NamedTuple, ParamSpec

import torch
from torch import Tensor

from datamodules.batches import PAD
from lightning_modules.decoders.word_steps import WordState, first_tensor, take

Arguments = ParamSpec("Arguments")


class Sentences(NamedTuple):
    """The best sentences of each clip, best first.

    tokens: (batch, best, token) int64, without BEGIN; END, then PAD; only PAD where there is no sentence
    log_probability: (batch, best) float32, the sum of the model's log-probabilities, END included; -inf where
        there is no sentence, which happens when a clip has fewer distinct ones than were asked for
    score: (batch, best) float32, log_probability / length ** length_penalty; END counts in the length
    attention: (batch, best, token, frame, cell) when each token was written, 0 at PAD; None where the decoder
        looks at nothing
    """

    tokens: Tensor
    log_probability: Tensor
    score: Tensor
    attention: Tensor | None


class Written(NamedTuple):
    """Sentences in no order, as a search leaves them.

    tokens: (batch, place, token) int64; log_probability: (batch, place), -inf at empty places
    trail: (batch, place, token) int64, the beam in which a sentence stood when its token was written
    attention: of each position of the sentence, (batch, beam, frame, cell) or None
    """

    tokens: Tensor
    log_probability: Tensor
    trail: Tensor
    attention: list[Tensor | None]


def without_gradients(search: Callable[Arguments, Sentences]) -> Callable[Arguments, Sentences]:
    """The search in inference mode; its sentences are ordinary tensors, which training may read."""

    @functools.wraps(search)
    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> Sentences:
        with torch.inference_mode():
            found = search(*arguments, **named)
        attention = None if found.attention is None else found.attention.clone()
        return Sentences(found.tokens.clone(), found.log_probability.clone(), found.score.clone(), attention)

    return run


def beginning(state: WordState) -> tuple[int, torch.device]:
    """Batch size and device of the state before the first word; ValueError unless it has one hypothesis."""
    tensor = first_tensor(state)
    if tensor.shape[1] != 1:
        raise ValueError(
            f"a search begins with 1 hypothesis a clip; its state (batch, beam, ...) is {tuple(tensor.shape)}"
        )
    return len(tensor), tensor.device


def scores(log_probability: Tensor, length: Tensor | int, penalty: float) -> Tensor:
    """log_probability / length ** penalty; -inf stays."""
    return log_probability / length**penalty


def best_first(written: Written, best: int, penalty: float) -> Sentences:
    """The `best` sentences of each clip, of equal ones the earlier place first."""
    length = (written.tokens != PAD).sum(dim=-1).clamp_min(1)
    score, order = scores(written.log_probability, length, penalty).sort(dim=1, descending=True, stable=True)
    score, order = score[:, :best], order[:, :best]
    log_probability = take(written.log_probability, order)
    tokens = take(written.tokens, order).masked_fill((log_probability == -torch.inf)[..., None], PAD)
    longest = max(1, int((tokens != PAD).sum(dim=-1).max()))
    tokens, trail = tokens[..., :longest], take(written.trail, order)[..., :longest]
    return Sentences(tokens, log_probability, score, _attention(tokens, trail, written.attention))


def _attention(tokens: Tensor, trail: Tensor, weights: list[Tensor | None]) -> Tensor | None:
    """Weights (batch, best, token, frame, cell) found along the trail of each sentence."""
    found = [
        take(there, trail[..., position])
        for position, there in enumerate(weights[: tokens.shape[-1]])
        if there is not None
    ]
    if len(found) < tokens.shape[-1]:
        return None
    return torch.stack(found, dim=2).masked_fill((tokens == PAD)[..., None, None], 0.0)
