"""Every decoder of words trains whole, sees only what counts, and writes a step as it writes a caption."""

import pytest
import torch
from torch.nn import functional

from datamodules.batches import END, PAD
from lightning_modules.decoders.attention import Memory
from lightning_modules.decoders.word_steps import reorder
from tests.lightning_modules import small_words as small

KINDS = ["rnn", "lstm", "gru"]


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("form", small.FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str, form: dict, tie: bool) -> None:
    decoder = small.decoder(kind=kind, tie=tie, layers=2, dropout=0.2, **form).train()
    tokens = small.captions()
    logits = decoder(small.memory(), tokens)
    functional.cross_entropy(logits.flatten(0, 2), tokens[:, :, 1:].flatten(), ignore_index=PAD).backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("form", small.FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_different_lengths_give_what_each_gives_alone(kind: str, form: dict) -> None:
    decoder, tokens = small.decoder(kind=kind, **form), small.captions()
    whole = small.memory()
    values = whole.values.clone().requires_grad_()
    logits = decoder(Memory(values, whole.mask), tokens)
    logits.square().sum().backward()
    together = {name: parameter.grad.clone() for name, parameter in decoder.named_parameters()}
    decoder.zero_grad()
    for clip, frames in enumerate(small.FRAMES):
        memory = small.alone(clip, whole)
        alone = memory.values.clone().requires_grad_()
        found = decoder(Memory(alone, memory.mask), tokens[clip : clip + 1])
        torch.testing.assert_close(logits[clip : clip + 1], found, atol=1e-6, rtol=0)
        found.square().sum().backward()
        torch.testing.assert_close(values.grad[clip, :frames], alone.grad[0], atol=1e-6, rtol=1e-5)
    assert (values.grad[~whole.mask] == 0).all()
    for name, parameter in decoder.named_parameters():
        torch.testing.assert_close(together[name], parameter.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", small.FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_the_whole_caption(kind: str, form: dict) -> None:
    decoder, tokens = small.decoder(kind=kind, tie=True, **form), small.captions()
    whole = decoder(small.memory(), tokens)
    prepared, state = decoder.begin(small.memory())
    state = reorder(state, tokens.new_zeros(tokens.shape[:2]))
    for position in range(tokens.shape[-1] - 1):
        found = decoder.step(tokens[:, :, position], state, prepared)
        state = found.state
        torch.testing.assert_close(found.logits, whole[:, :, position])
        torch.testing.assert_close(found.attention.sum((-1, -2)), torch.ones(3, 2))


@pytest.mark.parametrize("form", small.FORMS)
def test_a_word_depends_on_those_before_it_alone(form: dict) -> None:
    decoder, tokens = small.decoder(**form), small.captions()
    whole = decoder(small.memory(), tokens)
    other = tokens.clone()
    other[:, 1] = END
    other[:, :, 4:] = small.captions(seed=3)[:, :, 4:]
    torch.testing.assert_close(decoder(small.memory(), other)[:, 0, :4], whole[:, 0, :4])
    padded = functional.pad(tokens, (0, 3), value=PAD)
    torch.testing.assert_close(decoder(small.memory(), padded)[:, :, : whole.shape[2]], whole)


@pytest.mark.parametrize("form", [{"form": "s2vt"}])
def test_the_two_layers_read_frames_in_order(form: dict) -> None:
    decoder, tokens = small.decoder(**form), small.captions()
    memory = small.alone(0, small.memory())
    backwards = Memory(memory.values.flip(1), memory.mask)
    difference = decoder(memory, tokens[:1]) - decoder(backwards, tokens[:1])
    assert difference.abs().max() > 1e-3


def test_a_tied_matrix_is_one_and_is_projected_to_where_widths_differ() -> None:
    tied, same, free = small.decoder(tie=True), small.decoder(tie=True, embedding=5), small.decoder()
    assert tied.last.weight is tied.embedding.weight
    names = [name for name, _ in tied.named_parameters()]
    assert "last.weight" not in names
    assert "project.weight" in names
    assert "project.weight" not in [name for name, _ in same.named_parameters()]
    assert free.last.weight is not free.embedding.weight
    torch.testing.assert_close(tied._read(torch.tensor([5])), free._read(torch.tensor([5])))


@pytest.mark.parametrize("form", small.FORMS)
def test_bfloat16_writes_and_learns(form: dict) -> None:
    decoder, tokens = small.decoder(**form), small.captions()
    with torch.autocast("cpu", torch.bfloat16):
        logits = decoder(small.memory(), tokens)
    torch.testing.assert_close(logits.float(), decoder(small.memory(), tokens), atol=0.05, rtol=0.05)
    logits.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in decoder.parameters())


@pytest.mark.parametrize("form", small.FORMS)
def test_scheduled_sampling_that_never_samples_is_the_caption(form: dict) -> None:
    decoder, tokens = small.decoder(**form), small.captions()
    generator = torch.Generator().manual_seed(0)
    rarely = decoder(small.memory(), tokens, 1e-12, "token", generator)
    torch.testing.assert_close(rarely, decoder(small.memory(), tokens))


def test_scheduled_sampling_that_always_samples_never_reads_the_caption() -> None:
    decoder = small.decoder()
    found = [
        decoder(small.memory(), small.captions(seed=seed), 1.0, "token", torch.Generator().manual_seed(7))
        for seed in (0, 1)
    ]
    assert torch.equal(*found)
    other = decoder(small.memory(), small.captions(), 1.0, "token", torch.Generator().manual_seed(8))
    assert not torch.equal(found[0], other)


def test_sampling_per_sample_takes_a_caption_whole_or_not_at_all() -> None:
    decoder, tokens = small.decoder(words=200), small.captions(200, count=40, length=8)
    truth = decoder(small.memory(), tokens)

    def from_truth(per: str) -> torch.Tensor:
        found = decoder(small.memory(), tokens, 0.5, per, torch.Generator().manual_seed(0))
        return ((found - truth).abs().amax(-1) < 1e-6)[:, :, 1:]

    same = from_truth("sample")
    assert (same.all(-1) | ~same.any(-1)).float().mean() > 0.95
    assert 0.35 < same.all(-1).float().mean() < 0.65
    assert from_truth("token").all(-1).float().mean() < 0.15


def test_own_words_carry_no_gradient_and_every_parameter_still_learns() -> None:
    decoder, tokens = small.decoder(dropout=0.2).train(), small.captions()
    logits = decoder(small.memory(), tokens, 0.5, "token", torch.Generator().manual_seed(0))
    functional.cross_entropy(logits.flatten(0, 2), tokens[:, :, 1:].flatten(), ignore_index=PAD).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in decoder.parameters())


def test_sampling_per_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="'word'; choose token or sample"):
        small.decoder()(small.memory(), small.captions(), 0.5, "word")
