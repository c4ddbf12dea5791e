"""Searches find what brute force finds, whatever the model says, and never fail."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.beam import textbook
from datamodules.batches import BEGIN, END, PAD, UNKNOWN
from lightning_modules.caption_options import DecodingOptions
from lightning_modules.decoders.search.beam import highest
from lightning_modules.decoders.search.rules import allowed
from lightning_modules.decoders.search.sampled import draw
from lightning_modules.decoders.search.sentences import Sentences
from lightning_modules.decoders.search.write import write_sentences
from lightning_modules.decoders.word_steps import WordState, WordStep, reorder
from tests.lightning_modules import small_words as small

REAL = [{"attention": "additive"}, {"attention": "spatial", "kind": "gru", "tie": True}, {"form": "s2vt"}]
PENALTIES = st.sampled_from([0.0, 0.7, 1.0, 1.5])


def search(table: small.Table, **options: object) -> Sentences:
    """Sentences of a table of logits."""
    return write_sentences(table.step, table.begin(), DecodingOptions.model_validate(options))


def search_with(decoder: object, memory: object, **options: object) -> Sentences:
    """Sentences of a real decoder."""
    prepared, state = decoder.begin(memory)  # type: ignore[attr-defined]

    def step(tokens: Tensor, state: WordState) -> WordStep:
        return decoder.step(tokens, state, prepared)  # type: ignore[attr-defined]

    return write_sentences(step, state, DecodingOptions.model_validate(options))


def assert_best(found: Sentences, clip: int, expected: list[tuple[float, float, tuple[int, ...]]]) -> None:
    """The clip's sentences are the first of `expected` (score, log-probability, sentence), best first.

    Two whose scores differ by less than float32 tells may change places.
    """
    expected = sorted(expected, key=lambda one: -one[0])
    totals = {sentence: log_probability for _, log_probability, sentence in expected}
    for best in range(found.tokens.shape[1]):
        if best >= len(expected):
            assert found.score[clip, best] == found.log_probability[clip, best] == -torch.inf
            assert (found.tokens[clip, best] == PAD).all()
            continue
        score, _, sentence = expected[best]
        written = small.sentence_of(found.tokens[clip, best])
        assert written == sentence or float(found.score[clip, best]) == pytest.approx(score, abs=2e-6)
        assert float(found.score[clip, best]) == pytest.approx(score, abs=1e-4)
        assert float(found.log_probability[clip, best]) == pytest.approx(totals[written], abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    words=st.integers(4, 8),
    most=st.integers(1, 3),
    penalty=PENALTIES,
    no_repeat=st.integers(0, 2),
    n_best=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_a_beam_as_wide_as_the_search_space_is_brute_force(
    words: int, most: int, penalty: float, no_repeat: int, n_best: int, seed: int
) -> None:
    table = small.Table(2, words, seed=seed)
    sentences = small.every_sentence(words, most, no_repeat)
    width = max(len(sentences), n_best)
    found = search(
        table, width=width, max_words=most, length_penalty=penalty, no_repeat=no_repeat, n_best=n_best
    )
    for clip in range(2):
        sums = [(table.log_probability(clip, one), one) for one in sentences]
        assert_best(found, clip, [(total / len(one) ** penalty, total, one) for total, one in sums])


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("options", REAL)
def test_a_real_decoder_with_so_wide_a_beam_is_brute_force(options: dict, penalty: float) -> None:
    decoder, memory, words, most = small.decoder(words=7, **options), small.memory(), 7, 3
    sentences = small.every_sentence(words, most)
    found = search_with(
        decoder, memory, width=len(sentences), max_words=most, n_best=len(sentences), length_penalty=penalty
    )
    length = most + 2
    tokens = torch.tensor([[BEGIN, *one, *[PAD] * (length - 1 - len(one))] for one in sentences])
    with torch.no_grad():
        logs = decoder(memory, tokens.expand(3, -1, -1)).log_softmax(-1)
    said = logs.gather(-1, tokens[:, 1:].expand(3, -1, -1)[..., None])[..., 0]
    totals = said.masked_fill(tokens[:, 1:] == PAD, 0.0).sum(-1)
    for clip in range(3):
        expected = [
            (float(total) / len(one) ** penalty, float(total), one)
            for total, one in zip(totals[clip], sentences, strict=True)
        ]
        assert len({one[2] for one in expected}) == len(sentences)
        assert_best(found, clip, expected)


@settings(max_examples=60, deadline=None)
@given(
    words=st.integers(4, 12),
    most=st.integers(1, 8),
    penalty=PENALTIES,
    no_repeat=st.integers(0, 3),
    levels=st.sampled_from([0, 2, 3]),
    seed=st.integers(0, 10_000),
)
def test_a_beam_of_width_one_is_greedy_ties_included(
    words: int, most: int, penalty: float, no_repeat: int, levels: int, seed: int
) -> None:
    table = small.Table(3, words, seed=seed, levels=levels)
    options = {"max_words": most, "length_penalty": penalty, "no_repeat": no_repeat}
    greedy = search(table, method="greedy", **options)
    beam = search(table, method="beam", width=1, n_best=1, **options)
    for one, other in zip(greedy, beam, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("options", REAL)
def test_a_real_decoder_with_a_beam_of_one_is_greedy(options: dict) -> None:
    decoder, memory = small.decoder(words=40, **options), small.memory()
    greedy = search_with(decoder, memory, method="greedy", no_repeat=2)
    beam = search_with(decoder, memory, width=1, n_best=1, no_repeat=2)
    for one, other in zip(greedy, beam, strict=True):
        torch.testing.assert_close(one, other)


@settings(max_examples=60, deadline=None)
@given(
    words=st.integers(4, 30),
    most=st.integers(1, 9),
    width=st.integers(1, 9),
    penalty=PENALTIES,
    data=st.data(),
    seed=st.integers(0, 10_000),
)
def test_a_beam_of_any_width_is_the_textbooks_and_its_early_exit_changes_nothing(
    words: int, most: int, width: int, penalty: float, data: st.DataObject, seed: int
) -> None:
    n_best = data.draw(st.integers(1, width))
    table = small.Table(2, words, seed=seed)
    options = DecodingOptions(width=width, max_words=most, n_best=n_best, length_penalty=penalty)
    found = write_sentences(table.step, table.begin(), options)
    for clip in range(2):
        alone = small.Table(1, words, seed=seed)
        alone.logits = table.logits[clip : clip + 1]
        expected = [
            (one.log_probability / len(one.tokens) ** penalty, one.log_probability, one.tokens)
            for one in textbook(alone.step, alone.begin(), options)
        ]
        assert_best(found, clip, expected)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(0, 4), min_size=1, max_size=30), count=st.integers(1, 12))
def test_of_equal_values_the_first_are_taken(values: list[int], count: int) -> None:
    rows = torch.tensor([values, values[::-1]]).float()
    found, index = highest(rows, count)
    ordered, order = rows.sort(dim=1, descending=True, stable=True)
    assert torch.equal(found, ordered[:, :count])
    assert torch.equal(index, order[:, :count])


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_a_batch_is_written_as_its_clips_alone(method: str) -> None:
    decoder, memory = small.decoder(words=30), small.memory()
    options = {"method": method, "max_words": 6, "n_best": 3, "width": 4, "top_k": 1}
    whole = search_with(decoder, memory, **options)
    for clip, frames in enumerate(small.FRAMES):
        alone = search_with(decoder, small.alone(clip, memory), **options)
        long = alone.tokens.shape[-1]
        assert torch.equal(whole.tokens[clip, :, :long], alone.tokens[0])
        assert (whole.tokens[clip, :, long:] == PAD).all()
        torch.testing.assert_close(whole.log_probability[clip], alone.log_probability[0])
        torch.testing.assert_close(whole.attention[clip, :, :long, :frames], alone.attention[0])


@pytest.mark.parametrize(("method", "width"), [("greedy", 1), ("beam", 5), ("sample", 1)])
def test_attention_follows_its_sentence_through_the_beam(method: str, width: int) -> None:
    table = small.Table(3, 12, seed=1)
    found = search(table, method=method, width=width, n_best=min(width, 4), max_words=7)
    for clip in range(3):
        for tokens, weights in zip(found.tokens[clip], found.attention[clip], strict=True):
            now = 0
            for position, token in enumerate(tokens.tolist()):
                if token == PAD:
                    assert (weights[position] == 0).all()
                    continue
                before = int(tokens[position - 1]) if position else BEGIN
                now = (now * 31 + before + 7) % table.rows
                assert weights[position].flatten().tolist() == [position, now]


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_when_nothing_ends_the_end_is_written_at_its_price(method: str) -> None:
    table = small.Table(2, 9, seed=0)
    table.logits[..., END] = -50
    found = search(table, method=method, max_words=6, width=3, n_best=3)
    assert found.tokens.shape[-1] == 7
    assert (found.tokens[..., -1] == END).all()
    for clip in range(2):
        for tokens, total in zip(found.tokens[clip], found.log_probability[clip], strict=True):
            expected = table.log_probability(clip, small.sentence_of(tokens))
            assert float(total) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_when_every_word_is_blocked_the_sentence_ends(method: str) -> None:
    table = small.Table(2, 5, seed=0)
    table.logits[..., END] = -50
    found = search(table, method=method, max_words=6, no_repeat=1, width=1, n_best=1)
    assert found.tokens.tolist() == [[[4, END]], [[4, END]]]


def test_a_clip_with_fewer_sentences_than_were_asked_for_leaves_places_empty() -> None:
    found = search(small.Table(2, 5, seed=0), max_words=2, width=9, n_best=9)
    assert found.log_probability.isfinite().sum(1).tolist() == [3, 3]
    assert (found.tokens[:, 3:] == PAD).all()
    assert (found.score[:, 3:] == -torch.inf).all()
    assert (found.attention[:, 3:] == 0).all()


@pytest.mark.parametrize("words", [3, 4])
@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_a_vocabulary_without_words_writes_empty_sentences(method: str, words: int) -> None:
    found = search(small.Table(2, words, seed=0), method=method, width=3, n_best=1)
    assert found.tokens.tolist() == [[[END]], [[END]]]
    assert found.log_probability.isfinite().all()


def test_an_end_that_the_model_rules_out_gives_no_sentence() -> None:
    for method in ("greedy", "beam", "sample"):
        table = small.Table(2, 9, seed=0)
        table.logits[..., END] = -torch.inf
        found = search(table, method=method, max_words=3, width=2, n_best=2)
        assert (found.score == -torch.inf).all()
        assert (found.tokens == PAD).all()


def test_a_beam_stops_when_nothing_that_runs_can_win() -> None:
    table = small.Table(2, 9, seed=0)
    table.logits[..., END] = 6
    search(table, max_words=30, width=5, n_best=1)
    assert table.calls <= 2
    table.calls = 0
    search(table, max_words=30, width=5, n_best=1, length_penalty=1.5)
    assert table.calls > 2


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_padding_begin_and_unknown_are_never_written_unknown_unless_asked(method: str) -> None:
    table = small.Table(2, 9, seed=0)
    table.logits[..., [PAD, BEGIN]] += 9
    table.logits[..., UNKNOWN] += 6
    options = DecodingOptions(method=method, max_words=8, width=4, n_best=4)  # type: ignore[arg-type]
    for unknown in (False, True):
        found = write_sentences(table.step, table.begin(), options, unknown=unknown)
        assert bool((found.tokens == UNKNOWN).any()) is unknown
        for tokens in found.tokens.flatten(0, 1):
            sentence = small.sentence_of(tokens)
            assert sentence[-1] == END
            assert BEGIN not in sentence
            assert PAD not in tokens[: len(sentence)]


def test_no_n_gram_comes_twice() -> None:
    for size in (1, 2, 3):
        table = small.Table(4, 8, seed=size)
        table.logits[..., END] = -9
        found = search(table, max_words=4 if size == 1 else 12, no_repeat=size, width=4, n_best=4)
        for tokens in found.tokens.flatten(0, 1):
            sentence = small.sentence_of(tokens)
            grams = [sentence[n : n + size] for n in range(len(sentence) - size + 1)]
            assert len(set(grams)) == len(grams)


def test_n_best_sentences_are_distinct_and_sorted() -> None:
    found = search(small.Table(4, 20, seed=0), max_words=8, width=10, n_best=10, length_penalty=0.6)
    for tokens, score in zip(found.tokens, found.score, strict=True):
        assert len({tuple(one) for one in tokens.tolist()}) == 10
        assert (score.diff() <= 0).all()


def test_words_are_drawn_as_often_as_their_probability_says() -> None:
    logits = torch.randn(9, generator=torch.Generator().manual_seed(0))
    logits[3] = -torch.inf
    drawn = draw(logits.expand(40_000, -1), torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=9) / len(drawn)
    torch.testing.assert_close(share, logits.softmax(-1), atol=0.01, rtol=0)
    assert share[3] == 0


def test_samples_are_drawn_from_the_models_own_distribution() -> None:
    table = small.Table(1, 6, seed=3)
    found = search(table, method="sample", n_best=20_000, max_words=1)
    first = allowed(table.logits[:, 8][None], torch.zeros(1, 1, 0))[0, 0]
    share = torch.bincount(found.tokens[0, :, 0], minlength=6) / 20_000
    torch.testing.assert_close(share, first.softmax(-1), atol=0.015, rtol=0)
    assert (found.score.diff(dim=1) <= 0).all()


@pytest.mark.parametrize("sharp", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_sampling_cut_to_one_word_is_greedy(sharp: dict) -> None:
    table = small.Table(3, 12, seed=0)
    found = search(table, method="sample", n_best=2, max_words=6, **sharp)
    greedy = search(table, method="greedy", max_words=6)
    for best in range(2):
        assert torch.equal(found.tokens[:, best], greedy.tokens[:, 0])
        torch.testing.assert_close(found.log_probability[:, best], greedy.log_probability[:, 0])


def test_top_k_and_top_p_keep_the_fewest_likeliest_words() -> None:
    table = small.Table(1, 8, seed=0)
    table.logits[:, 8] = torch.tensor([9.0, 9, 0, 9, 3, 2, 1, -1])
    for cut, kept in (
        ({"top_k": 2}, {4, 5}),
        ({"top_p": 0.7}, {4, 5}),
        ({"top_p": 0.6}, {4}),
        ({}, {2, 4, 5, 6, 7}),
    ):
        found = search(table, method="sample", n_best=2000, max_words=1, **cut)
        assert set(found.tokens[0, :, 0].tolist()) == kept, cut


def test_samples_repeat_with_their_generator() -> None:
    table = small.Table(3, 30, seed=0)
    options = DecodingOptions(method="sample", n_best=4, max_words=9)
    found = [
        write_sentences(table.step, table.begin(), options, generator=torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    ]
    assert torch.equal(found[0].tokens, found[1].tokens)
    assert not torch.equal(found[0].log_probability, found[2].log_probability)


def test_log_probabilities_are_float32_under_bfloat16() -> None:
    decoder, memory = small.decoder(words=30), small.memory()
    with torch.autocast("cpu", torch.bfloat16):
        found = search_with(decoder, memory, max_words=6)
    assert found.log_probability.dtype == found.score.dtype == torch.float32
    assert allowed(torch.zeros(1, 1, 5, dtype=torch.bfloat16), torch.zeros(1, 1, 0)).dtype == torch.float32


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_what_was_written_can_be_learnt_from(method: str) -> None:
    decoder, memory = small.decoder(words=30), small.memory()
    found = search_with(decoder, memory, method=method, max_words=6)
    assert not any(part.is_inference() for part in found)
    begun = torch.nn.functional.pad(found.tokens, (1, 0), value=BEGIN)
    logs = decoder(memory, begun).log_softmax(-1).gather(-1, found.tokens[..., None])[..., 0]
    total = logs.masked_fill(found.tokens == PAD, 0.0).sum(-1)
    torch.testing.assert_close(total.detach(), found.log_probability)
    total.sum().backward()


def test_a_decoder_that_looks_at_nothing_gives_no_attention() -> None:
    table = small.Table(2, 9, seed=0)

    def step(tokens: Tensor, state: WordState) -> WordStep:
        return table.step(tokens, state)._replace(attention=None)

    for method in ("greedy", "beam", "sample"):
        options = DecodingOptions(method=method)  # type: ignore[arg-type]
        assert write_sentences(step, table.begin(), options).attention is None


def test_states_follow_their_hypotheses_through_any_nesting() -> None:
    values = torch.arange(12).reshape(2, 3, 2)
    index = torch.tensor([[2, 2, 0, 1], [0, 1, 1, 1]])
    (one,), other = reorder(((values,), values[..., 0]), index)
    assert torch.equal(one, torch.stack([values[clip, index[clip]] for clip in range(2)]))
    assert torch.equal(other, one[..., 0])


def test_a_search_begins_with_one_hypothesis_a_clip() -> None:
    table = small.Table(2, 9, seed=0)
    with pytest.raises(ValueError, match=r"1 hypothesis a clip.*\(2, 3\)"):
        write_sentences(table.step, torch.zeros(2, 3), DecodingOptions())
    with pytest.raises(ValueError, match="holds no tensor"):
        write_sentences(table.step, (), DecodingOptions())
