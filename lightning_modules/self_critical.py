"""Self-critical training (Rennie et al. 2017): sampled sentences against the greedy one, by their reward."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from datamodules.batches import BEGIN, END, PAD, UNKNOWN, ClipBatch
from lightning_modules.caption_losses import concept_loss, policy_gradient
from lightning_modules.caption_options import DecodingOptions
from lightning_modules.captioner import Captioner
from lightning_modules.decoders.attention import masked_mean
from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.metrics.captions.written import words_of

END_WORD = "</s>"
"""The end of a sentence, as a word of the reward: a sentence that stops too soon loses its n-grams."""


class Reward:
    """CIDEr-D of sentences against the references of their clips, with the end of a sentence as a word.

    Document frequencies are of the references given: those of the training split.

    references: (clip, reference) tokenised sentences;  spell: the tokenised sentence of word tokens
    """

    def __init__(self, references: Sequence[Sequence[str]], spell: Callable[[list[int]], str]) -> None:
        ended = [[f"{sentence} {END_WORD}" for sentence in sentences] for sentences in references]
        self._references, self._spell = CiderReferences(ended), spell

    def __call__(self, tokens: Tensor, clips: Tensor) -> Tensor:
        """(batch, sample) float32 in 0 to 10, of sentences (batch, sample, token) of the clips (batch,)."""
        sentences = [self._ended(row) for row in tokens.flatten(0, 1).tolist()]
        numbers = clips.repeat_interleave(tokens.shape[1]).tolist()
        found = self._references.cider_d(sentences, numbers)
        return torch.tensor(found, dtype=torch.float32, device=tokens.device).view(tokens.shape[:2])

    def _ended(self, tokens: list[int]) -> str:
        """The sentence, with its end where it has one: a sentence that was cut has none."""
        words = self._spell(words_of(tokens))
        return f"{words} {END_WORD}" if END in tokens else words


class Criticised(NamedTuple):
    """The loss, a scalar, and the mean rewards of sampled sentences and of the greedy ones."""

    loss: Tensor
    reward: Tensor
    baseline: Tensor


def criticise(
    model: Captioner, batch: ClipBatch, reward: Reward, *, samples: int, max_words: int
) -> Criticised:
    """The policy gradient of `samples` sentences a clip; the baseline is the reward of the greedy sentence.

    Samples, baseline and gradient come from one function of the same weights: the model as it judges,
    without dropout and with the statistics of batch norm that it has. Samples are drawn from torch's global
    generator. An end that `max_words` forces is none of the model's: it earns nothing and is not learnt.
    """
    sampling = DecodingOptions(method="sample", max_words=max_words, n_best=samples)
    greedy = DecodingOptions(method="greedy", max_words=max_words, n_best=1)
    with as_it_judges(model):
        memory = model.remember(batch)
        tokens = model.write(memory, sampling).tokens[..., :max_words]
        baseline = reward(model.write(memory, greedy).tokens[..., :max_words], batch.clip)
        begin = tokens.new_full((*tokens.shape[:2], 1), BEGIN)
        logits = model.logits(memory, torch.cat([begin, tokens], dim=-1))
    rewards = reward(tokens, batch.clip)
    loss = policy_gradient(log_probability(logits, tokens), rewards - baseline)
    if model.concepts is not None:
        held = concept_loss(model.concepts(masked_mean(memory)), batch.tokens)
        loss = loss + model.concept_weight * held
    return Criticised(loss, rewards.mean(), baseline.mean())


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """(batch, sample): log p of drawing the sentences (batch, sample, token), the end among the tokens.

    That is the sum over tokens of their log-probability among all that may be written, as it is drawn from:
    padding, the beginning and the unknown word never are.

    logits: (batch, sample, token, word)
    """
    never = torch.tensor([PAD, BEGIN, UNKNOWN], device=logits.device)
    log_p = logits.float().index_fill(-1, never, -torch.inf).log_softmax(-1)
    real = tokens != PAD
    found = log_p.gather(-1, tokens.masked_fill(~real, END).unsqueeze(-1)).squeeze(-1)
    return torch.where(real, found, 0.0).sum(-1)


@contextmanager
def as_it_judges(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; every part goes back to its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
