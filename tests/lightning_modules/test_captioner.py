"""Clips in, sentences out: every part learns, padding changes nothing, stored features do as frames do."""

import itertools
import math
from typing import Any

import pytest
import torch

from datamodules.batches import END, PAD, ClipBatch
from lightning_modules.caption_losses import cross_entropy
from lightning_modules.caption_options import DecodingOptions
from lightning_modules.captioner import Captioner
from lightning_modules.encoders.frames import FrameEncoder
from lightning_modules.recurrent.standard import StandardFeatures
from tests.lightning_modules.small_clips import SIZE, VOCABULARY, clips, options

DECODERS: list[dict[str, Any]] = [
    {"form": "attend", "attention": "mean", "kind": "rnn"},
    {"form": "attend", "attention": "additive", "kind": "gru", "layers": 2},
    {"form": "attend", "attention": "multiplicative", "tie": True},
    {"form": "attend", "attention": "spatial"},
    {"form": "s2vt"},
]
ENCODERS: list[dict[str, Any]] = [
    {},
    {"kind": "plain", "gather": "flatten"},
    {"gather": "points"},
    {"cells": 1},
    {"frozen": True},
]


def captioner(**more: Any) -> Captioner:
    torch.manual_seed(0)
    return Captioner(options(**more), VOCABULARY, SIZE)


def stored(features: torch.Tensor, batch: ClipBatch) -> ClipBatch:
    return batch._replace(features=features, frames=batch.frames[:, :0])


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize("recurrent", ["gru", "lstm", "rnn", "convgru", "convlstm", None])
def test_every_parameter_gets_a_gradient(recurrent: str | None, decoder: dict[str, Any]) -> None:
    for encoder, own_share in itertools.product(ENCODERS, (0.0, 0.5)):
        no_places = "gather" in encoder or encoder.get("cells") == 1
        if "gather" in encoder and recurrent in ("convgru", "convlstm"):
            continue
        if no_places and decoder.get("attention") == "spatial":
            continue
        model = captioner(encoder=encoder, recurrent=recurrent, decoder=decoder)
        batch = clips()
        logits = model(batch, own_share, "sample").logits
        assert logits.shape == (4, 2, batch.tokens.shape[-1] - 1, VOCABULARY)
        cross_entropy(logits, batch.tokens, 0.1).backward()
        learnt = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        assert not [name for name, gradient in learnt.items() if gradient is None]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in learnt.values())
        frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
        assert bool(frozen) == bool(encoder.get("frozen"))


@pytest.mark.parametrize("decoder", [DECODERS[1], DECODERS[3], DECODERS[4]], ids=str)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("recurrent", ["gru", "convlstm", None])
def test_padded_frames_change_nothing(recurrent: str | None, frozen: bool, decoder: dict[str, Any]) -> None:
    model = captioner(recurrent=recurrent, decoder=decoder, encoder={"frozen": frozen})
    batch = clips()
    model(batch)
    model.eval()
    padding = torch.randint(0, 256, (4, 2, *batch.frames.shape[2:]), dtype=torch.uint8)
    longer = batch._replace(
        frames=torch.cat([batch.frames, padding], dim=1),
        mask=torch.cat([batch.mask, torch.zeros(4, 2, dtype=torch.bool)], dim=1),
        times=torch.cat([batch.times, torch.full((4, 2), torch.nan)], dim=1),
    )
    longer.frames[:, :5][~batch.mask] = 255
    torch.testing.assert_close(model(longer).logits, model(batch).logits)
    one = [torch.narrow(part, 0, 3, 1) for part in batch]
    alone = ClipBatch(*one)._replace(frames=batch.frames[3:, :3], mask=batch.mask[3:, :3])
    torch.testing.assert_close(model(alone).logits, model(batch).logits[3:], rtol=1e-4, atol=1e-5)


def test_stored_features_give_what_the_frozen_encoder_gives() -> None:
    model = captioner(encoder={"frozen": True})
    assert model.encoder is not None
    batch = clips()
    model(batch)
    model.eval()
    other = Captioner(options(encoder={"frozen": True}), VOCABULARY, SIZE, model.feature_shape).eval()
    assert other.encoder is None
    other.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("encoder.")})
    features = model.encoder(batch.frames, batch.mask)
    torch.testing.assert_close(other(stored(features, batch)).logits, model(batch).logits)
    half = stored(features.half(), batch)
    half.features[~batch.mask] = torch.nan
    torch.testing.assert_close(other(half).logits, model(batch).logits, rtol=2e-2, atol=2e-2)
    with pytest.raises(ValueError, match=r"\(4, 9\) came in; this model reads \(4, 8\)"):
        other(stored(torch.zeros(4, 5, 4, 9), batch))


def test_fixed_features_are_standardised_by_the_frames_trained_on() -> None:
    generator = torch.Generator().manual_seed(0)
    features = 40 + 3 * torch.randn(6, 5, 4, 8, generator=generator)
    mask = torch.rand(6, 5, generator=generator) < 0.7
    features[~mask] = 1e6
    standard = StandardFeatures(8).train()
    for part in (slice(0, 1), slice(1, 4), slice(4, 6), slice(6, 6)):
        standard(features[part], mask[part])
    seen = features[mask].flatten(0, 1)
    torch.testing.assert_close(standard.mean, seen.mean(0))
    torch.testing.assert_close(standard.variance, seen.var(0, unbiased=False), rtol=1e-4, atol=1e-4)
    out = standard.eval()(features, mask)[mask]
    torch.testing.assert_close(out.std(dim=(0, 1)), torch.ones(8), rtol=0.01, atol=0.01)
    before = standard.mean.clone()
    standard(features + 1, mask)
    assert torch.equal(standard.mean, before)


def test_flattened_places_and_points_tell_where_something_is() -> None:
    batch = clips()
    moved = batch._replace(frames=batch.frames.roll(8, dims=-1))
    for gather in ("mean", "flatten", "points"):
        model = captioner(encoder={"gather": gather, "kind": "plain", "pool": 1, "cells": 4}, recurrent=None)
        change = (model.remember(moved).values - model.remember(batch).values).abs().mean()
        assert (change > 0.02) == (gather != "mean")


def test_the_order_of_frames_matters_to_the_reader() -> None:
    batch = clips()
    back = batch._replace(frames=batch.frames.flip(1), mask=torch.ones_like(batch.mask))
    model = captioner()
    forth = model.remember(batch._replace(mask=back.mask)).values.flip(1)
    assert (model.remember(back).values - forth).abs().max() > 1e-3
    model = captioner(recurrent=None)
    forth = model.remember(batch._replace(mask=back.mask)).values.flip(1)
    torch.testing.assert_close(model.remember(back).values, forth)


def test_networks_on_maps_want_squares_of_places() -> None:
    with pytest.raises(ValueError, match=r"convgru reads squares of places: there are 6 places; choose gru"):
        Captioner(options(recurrent="convgru"), VOCABULARY, SIZE, (6, 32))
    with pytest.raises(ValueError, match="convlstm reads the places of a frame"):
        captioner(encoder={"gather": "flatten"}, recurrent="convlstm")


def test_spatial_attention_looks_at_places_and_frames_that_count() -> None:
    model = captioner(decoder={"attention": "spatial"}).eval()
    batch = clips()
    found = model.write(model.remember(batch), DecodingOptions(max_words=4, width=3, n_best=2))
    assert found.attention is not None
    assert found.attention.shape == (4, 2, found.tokens.shape[-1], 5, 4)
    assert (found.attention.sum(-1).movedim(3, 1)[~batch.mask] == 0).all()
    torch.testing.assert_close(found.attention.sum((-1, -2)), (found.tokens != PAD).float())


def test_log_probabilities_of_sentences_are_those_of_the_whole_captions() -> None:
    model = captioner().eval()
    memory = model.remember(clips())
    found = model.write(memory, DecodingOptions(method="greedy", max_words=4, n_best=1))
    tokens = torch.cat([torch.ones_like(found.tokens[..., :1]), found.tokens], dim=-1)
    whole = -cross_entropy(model.logits(memory, tokens), tokens) * (found.tokens != PAD).sum()
    torch.testing.assert_close(found.log_probability.sum(), whole)


def test_smoothing_spreads_over_all_that_can_be_written() -> None:
    tokens = torch.tensor([[[1, 4, END, PAD]]])
    logits = torch.zeros(1, 1, 3, 6)
    assert cross_entropy(logits, tokens, 0.3) == pytest.approx(math.log(6))
    logits[..., PAD] = logits[..., 1] = -torch.inf
    assert cross_entropy(logits, tokens, 0.3) == pytest.approx(math.log(4))
    logits = torch.randn(1, 1, 3, 6)
    log_p = logits.log_softmax(-1)[0, 0]
    expected = -(0.7 * (log_p[0, 4] + log_p[1, END]) + 0.3 * log_p[:2, END:].mean(-1).sum()) / 2
    torch.testing.assert_close(cross_entropy(logits, tokens, 0.3), expected)


def test_a_batch_of_nothing_but_padding_has_no_loss() -> None:
    logits = torch.randn(1, 1, 2, 6, requires_grad=True)
    loss = cross_entropy(logits, torch.zeros(1, 1, 3, dtype=torch.int64), 0.1)
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_a_checkpoint_brings_the_weights_of_the_encoder() -> None:
    torch.manual_seed(0)
    chosen = options(encoder={"weights": "not/there.ckpt"})
    with pytest.raises(ValueError, match="no such file"):
        Captioner(chosen, VOCABULARY, SIZE)
    model = Captioner(chosen, VOCABULARY, SIZE, pretrained=False)
    assert isinstance(model.encoder, FrameEncoder)
