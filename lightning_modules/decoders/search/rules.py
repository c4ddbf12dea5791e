"""What may be written next, the same for greedy, sampled and beam search."""

import torch
from torch import Tensor

from datamodules.batches import BEGIN, END, PAD, UNKNOWN

NEVER = -torch.inf
"""Log-probability of a word that may not be written."""


def allowed(
    logits: Tensor, written: Tensor, *, last: bool = False, no_repeat: int = 0, unknown: bool = False
) -> Tensor:
    """Log-probabilities (batch, beam, word) float32 of the next word, -inf where it may not be written.

    They are those of the model over all words: what is taken away from a word is given to no other, so that a
    sentence's log-probability is the model's own. PAD and BEGIN are never written, UNKNOWN only when
    `unknown`. END always may be, and when `last` nothing else: a sentence that is full ends there, at the
    price that the model puts on ending.

    logits: (batch, beam, word) of any float type; written: (batch, beam, token) so far, without BEGIN
    no_repeat: no n-gram of this length twice in a sentence; 0 allows all
    """
    found = logits.float().log_softmax(dim=-1)
    if last:
        found[..., :END] = NEVER
        found[..., END + 1 :] = NEVER
        return found
    found[..., PAD], found[..., BEGIN] = NEVER, NEVER
    if not unknown:
        found[..., UNKNOWN : UNKNOWN + 1] = NEVER
    if 0 < no_repeat <= written.shape[-1]:
        found.scatter_(-1, _repeating(written, no_repeat), NEVER)
    return found


def _repeating(written: Tensor, size: int) -> Tensor:
    """Words (batch, beam, window) that would complete an n-gram of `size` again; PAD stands for none."""
    windows = written.unfold(-1, size, 1)
    opening = written[..., None, written.shape[-1] - size + 1 :]
    closing = windows[..., -1]
    again = (windows[..., :-1] == opening).all(dim=-1) & (closing != END)
    return torch.where(again, closing, PAD)
