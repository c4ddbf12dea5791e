"""The gradient is that of the expected reward; the end counts as a word; all comes from one function."""

import itertools
import time

import pytest
import torch
from torch import Tensor

from datamodules.batches import BEGIN, END, PAD, UNKNOWN
from lightning_modules.caption_options import DecodingOptions
from lightning_modules.captioner import Captioner
from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.self_critical import Reward, as_it_judges, criticise, log_probability
from tests.lightning_modules.small_clips import (
    CAPTIONS,
    SIZE,
    VOCABULARY,
    clips,
    options,
    spell,
    spelled_out,
)


def captioner(dropout: float = 0.5, words: int = VOCABULARY) -> Captioner:
    torch.manual_seed(0)
    return Captioner(options(decoder={"dropout": dropout}), words, SIZE)


def sentences(*rows: str, cut: bool = False) -> Tensor:
    """(1, sentence, token)"""
    spelled = [spelled_out(row)[1 : -1 if cut else None] for row in rows]
    width = max(map(len, spelled))
    return torch.tensor([[one + [PAD] * (width - len(one)) for one in spelled]])


def test_the_reward_is_cider_d_with_the_end_as_a_word() -> None:
    reward = Reward(CAPTIONS, spell)
    told = reward(sentences("a green dot stays here", "a dot"), torch.tensor([1]))
    expected = CiderReferences([[f"{one} </s>" for one in clip] for clip in CAPTIONS]).cider_d(
        ["a green dot stays here </s>", "a dot </s>"], [1, 1]
    )
    torch.testing.assert_close(told, torch.tensor(expected, dtype=torch.float32)[None])
    assert told[0, 0] == pytest.approx(10)
    cut = reward(sentences("a green dot stays here", cut=True), torch.tensor([1]))
    assert cut[0, 0] < 9.5


def test_the_gradient_is_reinforce_with_the_greedy_sentence_as_baseline() -> None:
    model, batch, reward = captioner(), clips(), Reward(CAPTIONS, spell)
    torch.manual_seed(5)
    found = criticise(model, batch, reward, samples=3, max_words=4)
    found.loss.backward()
    gradient = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert gradient.keys() == dict(model.named_parameters()).keys()
    model.zero_grad()
    assert model.training

    model.eval()
    torch.manual_seed(5)
    memory = model.remember(batch)
    drawn = model.write(memory, DecodingOptions(method="sample", n_best=3, max_words=4)).tokens
    greedy = model.write(memory, DecodingOptions(method="greedy", max_words=4)).tokens
    total = torch.zeros(())
    for clip, sample in itertools.product(range(4), range(3)):
        row = drawn[clip, sample, :4].tolist()
        prepared, state = model.decoder.begin(memory)
        last, log_p = torch.full((4, 1), BEGIN), torch.zeros(())
        for token in row:
            if token == PAD:
                break
            logits, state, _ = model.decoder.step(last, state, prepared)
            odds = logits[clip, 0].exp()
            log_p = log_p + (odds[token] / odds[[END, *range(UNKNOWN + 1, VOCABULARY)]].sum()).log()
            last = torch.full((4, 1), token)
        number = torch.tensor([clip])
        own = reward(torch.tensor([[row]]), number) - reward(greedy[clip : clip + 1, :, :4], number)
        total = total - own.squeeze() * log_p / 12
    total.backward()
    torch.testing.assert_close(found.loss, total)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_many_samples_give_the_gradient_of_the_expected_reward() -> None:
    words = 7
    model = captioner(words=words).eval()
    batch = clips()._replace(tokens=torch.zeros(4, 0, 0))
    reward = Reward([["a red"], ["red", "green"], ["green a"], ["a"]], spell)
    written = range(UNKNOWN + 1, words)
    every = [[END, PAD], *([one, END] for one in written), *map(list, itertools.product(written, written))]
    tokens = torch.tensor(every).expand(4, -1, -1)
    memory = model.remember(batch)
    logits = model.logits(memory, torch.cat([torch.full_like(tokens[..., :1], BEGIN), tokens], dim=-1))
    log_p = log_probability(logits, tokens)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(4))
    expected = (log_p.exp() * reward(tokens, batch.clip)).sum(-1).mean()
    expected.backward()
    exact = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    torch.manual_seed(1)
    found = criticise(model, batch, reward, samples=4000, max_words=2)
    found.loss.backward()
    drawn = -torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert torch.cosine_similarity(exact, drawn, dim=0) > 0.97
    assert drawn.norm() == pytest.approx(float(exact.norm()), rel=0.15)
    assert float(found.reward) == pytest.approx(float(expected.detach()), rel=0.1)


def test_an_end_that_was_forced_earns_nothing_and_is_not_learnt() -> None:
    model, batch, words = captioner(words=6), clips(), 6
    reward = Reward([["a"], ["red"], ["a"], ["red a"]], spell)
    with torch.no_grad():
        model.decoder.last.bias.zero_()
        model.decoder.last.bias[END] = -50.0
    torch.manual_seed(0)
    found = criticise(model, batch, reward, samples=4, max_words=1)
    found.loss.backward()
    bias = model.decoder.last.bias.grad
    assert bias is not None
    assert abs(float(bias[END])) < 1e-6
    assert float(bias[UNKNOWN + 1 : words].abs().max()) > 1e-3
    assert found.reward < 9.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_writing_in_between_takes_no_gradient_away(dtype: torch.dtype) -> None:
    model, reward = captioner(), Reward(CAPTIONS, spell)
    torch.manual_seed(2)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
        loss = criticise(model, clips(), reward, samples=4, max_words=6).loss
    loss.backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


def test_every_part_gets_its_mode_back() -> None:
    model = captioner()
    model.reader.eval()
    with as_it_judges(model):
        assert not any(module.training for module in model.modules())
    assert model.training
    assert not model.reader.training
    assert model.decoder.training


def test_rewards_of_a_batch_take_milliseconds() -> None:
    captions = [[f"{one} {number % 7}" for one in CAPTIONS[number % 4]] for number in range(1200)]
    reward = Reward(captions, spell)
    tokens = torch.randint(4, VOCABULARY, (16, 6, 12), generator=torch.Generator().manual_seed(0))
    begun = time.perf_counter()
    for _ in range(5):
        reward(tokens, torch.arange(16))
    assert (time.perf_counter() - begun) / 5 < 0.1
