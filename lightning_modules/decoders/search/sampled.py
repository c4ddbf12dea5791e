"""Words drawn from the model's distribution, sharpened or cut."""

import torch
from torch import Tensor

from lightning_modules.caption_options import DecodingOptions
from lightning_modules.decoders.search.greedy import follow
from lightning_modules.decoders.search.sentences import Sentences, without_gradients
from lightning_modules.decoders.word_steps import StepFunction, WordState


@without_gradients
def sampled(
    step: StepFunction,
    state: WordState,
    options: DecodingOptions,
    *,
    generator: torch.Generator | None = None,
    unknown: bool = False,
) -> Sentences:
    """`options.n_best` sentences a clip, drawn independently (two may be equal), the best score first.

    Words are drawn from what may be written at `temperature`, cut to the `top_k` likeliest and to the fewest
    that hold `top_p` of the probability (Holtzman et al. 2020), in this order. Log-probabilities are the
    model's own, at temperature 1 and without cuts. The generator may live on another device; None is torch's.
    """

    def drawn(log_probabilities: Tensor) -> Tensor:
        if options.top_k is None and options.top_p is None:
            return draw(log_probabilities / options.temperature, generator)
        ordered, order = (log_probabilities / options.temperature).sort(dim=-1, descending=True, stable=True)
        rank = draw(_cut(ordered, options.top_k, options.top_p), generator)
        return order.gather(-1, rank[..., None]).squeeze(-1)

    return follow(step, state, options, drawn, count=options.n_best, unknown=unknown)


def draw(log_weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """Words (...) drawn in proportion to exp(log_weights) (..., word); never one of weight -inf.

    The cumulated weight is inverted in float64, so that rare words come exactly as often as they should.
    """
    heights = log_weights.softmax(dim=-1).double().cumsum(dim=-1)
    total = heights[..., -1:].contiguous()
    aim = uniform(total.shape, total.device, generator) * total
    word = torch.searchsorted(heights, aim, right=True).minimum(torch.searchsorted(heights, total))
    return word.clamp_max(heights.shape[-1] - 1).squeeze(-1)


def uniform(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Numbers in [0, 1), float64, on `device`, drawn where the generator lives: the same on every device."""
    source = device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=source, dtype=torch.float64).to(device)


def _cut(ordered: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Log-weights (..., word), highest first: the `top_k` first, -inf beyond `top_p` of their weight."""
    if top_k is not None:
        ordered = ordered[..., :top_k]
    if top_p is not None:
        share = ordered.softmax(dim=-1)
        before = share.cumsum(dim=-1) - share
        beyond = before >= top_p
        beyond[..., 0] = False
        ordered = ordered.masked_fill(beyond, -torch.inf)
    return ordered
