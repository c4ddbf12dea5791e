"""One step of a sentence: what goes in, what comes out, and how states follow their hypotheses."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar, cast

import torch
from torch import Tensor

from lightning_modules.recurrent.stack import RecurrentStack, State

WordState: TypeAlias = "Tensor | tuple[WordState, ...]"
"""Nested tuples of tensors (batch, beam, ...); `beam`: hypotheses in search, captions in training."""
Nested = TypeVar("Nested", bound=WordState)


class WordStep(NamedTuple):
    """What a decoder says after reading one word of each hypothesis.

    logits:    (batch, beam, word), of the next word
    state:     the next state
    attention: (batch, beam, frame, cell), where it looked; sums to 1; None where nothing is looked at
    """

    logits: Tensor
    state: WordState
    attention: Tensor | None


StepFunction = Callable[[Tensor, WordState], WordStep]
"""From the words (batch, beam) int64 just written, and the state."""


def take(values: Tensor, index: Tensor) -> Tensor:
    """`values` (batch, beam, ...) at `index` (batch, taken) of its beams: (batch, taken, ...)."""
    return values[torch.arange(len(index), device=index.device)[:, None], index]


def reorder(state: Nested, index: Tensor) -> Nested:
    """The state of the hypotheses `index` (batch, taken), each of which may be taken often or never."""
    if isinstance(state, Tensor):
        return cast(Nested, take(state, index))
    return cast(Nested, tuple(reorder(part, index) for part in state))


def first_tensor(state: WordState) -> Tensor:
    """Some tensor (batch, beam, ...) of the state; ValueError where it has none."""
    if isinstance(state, Tensor):
        return state
    for part in state:
        return first_tensor(part)
    raise ValueError("the state of a sentence holds no tensor, so the batch size and device are unknown")


def advance_hypotheses(recurrent: RecurrentStack, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """Outputs (batch, beam, hidden) and next state of a stack that reads inputs (batch, beam, feature)."""
    beams = inputs.shape[:2]
    flat = tuple(tuple(part.flatten(0, 1) for part in layer) for layer in state)
    output, flat = recurrent(inputs.flatten(0, 1), flat)
    return output.unflatten(0, beams), tuple(
        tuple(part.unflatten(0, beams) for part in layer) for layer in flat
    )
