"""The losses of sentences: cross-entropy over real words, and the policy gradient of a reward."""

import torch
from torch import Tensor
from torch.nn import functional

from datamodules.batches import END, PAD, UNKNOWN


def cross_entropy(logits: Tensor, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
    """The mean over all real words, ends included, of -log p; padding counts nothing. A scalar.

    logits: (..., token - 1, word);  tokens: (..., token) int64 from BEGIN on, END, then PAD
    smoothing: share of the target spread evenly over all that can be written (Szegedy et al. 2016, section
        7); padding and the beginning cannot
    """
    target = tokens[..., 1:]
    log_p = logits.float().log_softmax(-1)
    loss = -log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    if smoothing:
        loss = (1 - smoothing) * loss - smoothing * log_p[..., END:].mean(-1)
    real = target != PAD
    return torch.where(real, loss, 0.0).sum() / real.sum().clamp_min(1)


def concept_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Binary cross-entropy of the words that any caption of a clip holds, over their number. A scalar.

    logits: (batch, word);  tokens: (batch, caption, token) int64 from BEGIN on, END, then PAD
    """
    held = torch.zeros_like(logits, dtype=torch.float32).scatter_(1, tokens.flatten(1), 1.0)
    held[:, : UNKNOWN + 1] = 0
    missed = functional.binary_cross_entropy_with_logits(logits.float(), held, reduction="none")
    return (missed.sum(1) / held.sum(1).clamp_min(1)).mean()


def policy_gradient(log_probability: Tensor, advantage: Tensor) -> Tensor:
    """A scalar whose gradient is that of -E[reward], estimated from samples: the mean over sampled sentences
    of -advantage * log p (Williams 1992; Rennie et al. 2017, equation 7).

    log_probability: (batch, sample) of whole sentences;  advantage: (batch, sample) reward less baseline
    """
    return -(advantage.detach() * log_probability).mean()
