"""Attention sums to one over the frames that count, and never sees the others."""

import pytest
import torch

from lightning_modules.decoders.attention import (
    AdditiveScore,
    Memory,
    SpatialAttention,
    TemporalAttention,
    build_attention,
    masked_mean,
)
from tests.lightning_modules import small_words as small

KINDS = ["mean", "additive", "multiplicative", "spatial"]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_over_frames_that_count(kind: str) -> None:
    torch.manual_seed(0)
    memory = small.memory()
    attention = build_attention(kind, 5, small.WIDTH, 3)
    context, weights = attention(torch.randn(3, 2, 5), attention.prepare(memory))
    assert context.shape == (3, 2, small.WIDTH)
    assert weights.shape == (3, 2, 5, 4)
    torch.testing.assert_close(weights.sum((-1, -2)), torch.ones(3, 2))
    assert (weights >= 0).all()
    assert (weights.transpose(1, 2)[~memory.mask] == 0).all()
    seen = torch.einsum("bkfc,bfcw->bkw", weights, memory.values.nan_to_num())
    torch.testing.assert_close(context, seen)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_clip_is_seen_as_if_alone(kind: str) -> None:
    torch.manual_seed(0)
    memory, query = small.memory(), torch.randn(3, 2, 5)
    attention = build_attention(kind, 5, small.WIDTH, 3)
    context, weights = attention(query, attention.prepare(memory))
    for clip, frames in enumerate(small.FRAMES):
        alone = attention.prepare(small.alone(clip, memory))
        one, where = attention(query[clip : clip + 1], alone)
        torch.testing.assert_close(context[clip : clip + 1], one, atol=1e-6, rtol=0)
        torch.testing.assert_close(weights[clip : clip + 1, :, :frames], where, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_without_frames_is_remembered_as_zero(kind: str) -> None:
    torch.manual_seed(0)
    memory = Memory(torch.full((1, 3, 2, small.WIDTH), torch.nan), torch.zeros(1, 3, dtype=torch.bool))
    attention = build_attention(kind, 5, small.WIDTH, 3)
    context, weights = attention(torch.randn(1, 1, 5), attention.prepare(memory))
    assert (context == 0).all()
    assert weights.isfinite().all()
    assert (masked_mean(memory) == 0).all()


def test_additive_attention_is_bahdanaus_formula() -> None:
    torch.manual_seed(0)
    memory, query = small.alone(0, small.memory(cells=1)), torch.randn(1, 1, 5)
    score = AdditiveScore(5, small.WIDTH, 3)
    attention = TemporalAttention(score)
    _, weights = attention(query, attention.prepare(memory))
    energies = [
        score.score.weight[0]
        @ torch.tanh(score.query.weight @ query[0, 0] + score.query.bias + score.key.weight @ frame[0])
        for frame in memory.values[0]
    ]
    torch.testing.assert_close(weights[0, 0, :, 0], torch.stack(energies).softmax(0))


def test_spatial_attention_looks_within_each_frame_then_at_what_it_saw() -> None:
    torch.manual_seed(0)
    memory, query = small.alone(0, small.memory()), torch.randn(1, 1, 5)
    attention = SpatialAttention(5, small.WIDTH, 3)
    context, _ = attention(query, attention.prepare(memory))
    within = TemporalAttention(attention.place)
    seen = []
    for frame in memory.values[0]:
        cells = Memory(frame[None, :, None], torch.ones(1, len(frame), dtype=torch.bool))
        seen.append(within(query, within.prepare(cells))[0][0, 0])
    frames = Memory(torch.stack(seen)[None, :, None], memory.mask)
    between = TemporalAttention(attention.frame)
    torch.testing.assert_close(context, between(query, between.prepare(frames))[0])


def test_mean_attention_owns_no_parameters() -> None:
    assert not list(build_attention("mean", 5, 6, 3).parameters())


def test_an_unknown_attention_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'sideways'.*additive"):
        build_attention("sideways", 5, 6, 3)
