"""Caption scores are those of pycocoevalcap, and what it cannot score has its limit."""

import math
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_modules.metrics.captions.cider import CiderReferences
from lightning_modules.metrics.captions.diversity import distinct_words, mean_words, unseen_sentences
from lightning_modules.metrics.captions.human import human
from lightning_modules.metrics.captions.rouge import RougeReferences
from lightning_modules.metrics.captions.scores import SCORES, References
from lightning_modules.metrics.captions.torch_metrics import Bleu, CaptionMetric, Cider, CiderD, RougeL
from tests.lightning_modules.rank_sentences import gather, sentences_of_ranks

WORDS = [
    "a",
    "b",
    "c",
    "der",
    "Ball",
    "ball",
    "é",
    "日本",
    "🎈",
    "it's",
    "x-y",
    "\u00a0",
    "\u2028",
    "  ",
    "\t",
]
sentence = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join),
    st.text(max_size=12),
    st.just(""),
)
clip = st.tuples(sentence, st.lists(sentence, min_size=1, max_size=4))


def theirs(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """What pycocoevalcap makes of raw sentences."""
    from pycocoevalcap.bleu.bleu import Bleu as TheirBleu
    from pycocoevalcap.cider.cider import Cider as TheirCider
    from pycocoevalcap.rouge.rouge import Rouge as TheirRouge

    truths = {place: list(captions) for place, captions in enumerate(references)}
    results = {place: [hypothesis] for place, hypothesis in enumerate(hypotheses)}
    bleu, _ = TheirBleu(4).compute_score(truths, results, verbose=0)
    cider = float(TheirCider().compute_score(truths, results)[0])
    return {
        **{f"bleu_{order}": value for order, value in enumerate(bleu, start=1)},
        "rouge_l": float(TheirRouge().compute_score(truths, results)[0]),
        "cider": cider,
        "cider_d": cider,
    }


def cider_d_by_the_book(
    hypotheses: Sequence[str], clips: Sequence[int], references: Sequence[Sequence[str]]
) -> list[float]:
    """CIDEr-D word for word from the equations, lengths counted as the reference code does."""

    def vector(text: str, order: int) -> dict[tuple[str, ...], float]:
        grams = Counter(ngrams(text, order))
        return {
            gram: count * math.log(len(references) / max(holding[gram], 1)) for gram, count in grams.items()
        }

    def ngrams(text: str, order: int) -> list[tuple[str, ...]]:
        words = text.split()
        return [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]

    holding = Counter(
        gram
        for captions in references
        for gram in {gram for caption in captions for order in range(1, 5) for gram in ngrams(caption, order)}
    )
    scores = []
    for hypothesis, place in zip(hypotheses, clips, strict=True):
        total = 0.0
        for order in range(1, 5):
            mine = vector(hypothesis, order)
            for caption in references[place]:
                its = vector(caption, order)
                norms = math.hypot(*mine.values()) * math.hypot(*its.values())
                product = sum(min(value, its.get(gram, 0)) * its.get(gram, 0) for gram, value in mine.items())
                delta = len(ngrams(hypothesis, 2)) - len(ngrams(caption, 2))
                total += math.exp(-(delta**2) / 72) * (product / norms if norms else 0)
        scores.append(10 * total / 4 / len(references[place]))
    return scores


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(clip, min_size=1, max_size=6))
def test_scores_equal_pycocoevalcap_on_raw_text(clips: list[tuple[str, list[str]]]) -> None:
    hypotheses, references = [pair[0] for pair in clips], [pair[1] for pair in clips]
    ours = References(references).score(hypotheses)
    assert list(ours) == list(SCORES)
    if not any(caption.split() for captions in references for caption in captions):
        assert (ours["cider"], ours["cider_d"]) == (0, 0)  # there it raises
        return
    expected = theirs(hypotheses, references)
    assert ours == pytest.approx(expected, abs=1e-9, rel=0)


def test_each_clip_has_the_cider_and_rouge_that_pycocoevalcap_gives_it() -> None:
    from pycocoevalcap.cider.cider import Cider as TheirCider
    from pycocoevalcap.rouge.rouge import Rouge as TheirRouge

    rng = np.random.default_rng(0)
    said = [[" ".join(rng.choice(WORDS[:9], rng.integers(0, 12))) for _ in range(6)] for _ in range(40)]
    hypotheses, references = [captions[0] for captions in said], [captions[1:] for captions in said]
    truths = dict(enumerate(references))
    results = {place: [hypothesis] for place, hypothesis in enumerate(hypotheses)}
    for ours, scorer in (
        (CiderReferences(references).cider, TheirCider()),
        (RougeReferences(references).rouge_l, TheirRouge()),
    ):
        np.testing.assert_allclose(
            ours(hypotheses), scorer.compute_score(truths, results)[1], atol=1e-9, rtol=0
        )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(sentence, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
def test_cider_d_of_chosen_clips_knows_the_whole_corpus(
    references: list[list[str]], data: st.DataObject
) -> None:
    clips = data.draw(st.lists(st.integers(0, len(references) - 1), max_size=6))
    hypotheses = [data.draw(sentence) for _ in clips]
    ours = CiderReferences(references).cider_d(hypotheses, clips)
    assert ours.shape == (len(clips),)
    np.testing.assert_allclose(ours, cider_d_by_the_book(hypotheses, clips, references), atol=1e-9)


def test_repeating_a_rare_word_does_not_pay() -> None:
    references = [["a red ball rolls to the left"], ["a blue box waits"], ["two boxes fall"]]
    scorer = CiderReferences(references)
    plain, repeated = scorer.cider_d(["a red ball rolls", "red red red red"], [0, 0])
    assert plain > 3 * repeated > 0


def test_a_perfect_sentence_scores_the_top_of_every_range() -> None:
    references = [["a red ball rolls to the left"], ["a blue box waits here now"]]
    found = References(references).score([captions[0] for captions in references])
    assert found == pytest.approx({name: 10 if name.startswith("cider") else 1 for name in SCORES})


def test_only_the_scores_asked_for_are_computed() -> None:
    references = References([["a ball"], ["a box"]])
    assert list(references.score(["a ball", "a ball"], only=("cider", "bleu_4"))) == ["bleu_4", "cider"]
    with pytest.raises(ValueError, match=r"no score spice; there are bleu_1"):
        references.score(["a ball", "a ball"], only=("spice",))


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 clips have none"):
        References([["a ball"], []])
    with pytest.raises(ValueError, match="1 hypotheses for 2 clips"):
        References([["a ball"], ["a box"]]).score(["a ball"])
    with pytest.raises(ValueError, match=r"clips run from 0 to 0; 1 to 1 are named"):
        CiderReferences([["a ball"]]).cider_d(["a ball"], [1])


def test_empty_hypotheses_score_nothing() -> None:
    references = References([["a ball rolls"], ["a box falls"]])
    assert references.score(["", ""]) == pytest.approx(dict.fromkeys(SCORES, 0), abs=1e-9)


def test_prepared_references_survive_pickling() -> None:
    scorer = CiderReferences([["a ball rolls", "it rolls"], ["a box falls"]])
    again = pickle.loads(pickle.dumps(scorer))
    assert again.cider_d(["a ball", "a box"]).tolist() == scorer.cider_d(["a ball", "a box"]).tolist()


def test_a_reward_for_80_hypotheses_takes_milliseconds() -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(500)])
    references = [[" ".join(rng.choice(words, 9)) for _ in range(20)] for _ in range(400)]
    scorer = CiderReferences(references)
    hypotheses, clips = [captions[0] for captions in references[:80]], list(range(80))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        scorer.cider_d(hypotheses, clips)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03


def test_variety_is_counted() -> None:
    sentences = ["a ball rolls", "a ball  rolls", "a box", ""]
    assert distinct_words(sentences) == 4
    assert mean_words(sentences) == 2
    assert unseen_sentences(sentences, ["a ball rolls", "two boxes"]) == 0.5
    assert (distinct_words([]), mean_words([]), unseen_sentences([], [])) == (0, 0, 0)


def test_people_are_judged_by_one_another() -> None:
    references = [["a ball rolls", "a ball rolls", "a box"], ["two cats sit", "cats sit here"], ["alone"]]
    found = human(references)
    turns = [
        theirs(["a ball rolls", "two cats sit"], [["a ball rolls", "a box"], ["cats sit here"]]),
        theirs(["a ball rolls", "cats sit here"], [["a ball rolls", "a box"], ["two cats sit"]]),
    ]
    assert (found.clips, found.excluded, found.captions) == (2, 1, 2)
    assert found.figures == pytest.approx({name: (turns[0][name] + turns[1][name]) / 2 for name in SCORES})
    assert human([["alone"]]).figures == {}


def test_the_published_figures_of_nlg_eval_hold_to_the_last_digit(real_data: Path) -> None:
    lines = [
        (real_data / "captions" / "nlg-eval" / name).read_text(encoding="utf-8").strip().split("\n")
        for name in ("hyp.txt", "ref1.txt", "ref2.txt")
    ]
    hypotheses, references = [line.strip() for line in lines[0]], list(zip(*lines[1:], strict=True))
    found = References(references).score(hypotheses)
    assert {name: f"{value:.6f}" for name, value in found.items()} == {
        "bleu_1": "0.550000",
        "bleu_2": "0.428174",
        "bleu_3": "0.284043",
        "bleu_4": "0.201143",
        "rouge_l": "0.522104",
        "cider": "1.242192",
        "cider_d": "1.242192",
    }


@pytest.mark.parametrize("metric", [Bleu, RougeL, Cider, CiderD])
def test_a_torchmetric_scores_the_corpus_however_it_is_cut_into_batches(metric: type[CaptionMetric]) -> None:
    hypotheses, references, clips = sentences_of_ranks(0, 1)
    whole, parts, repeated = metric(), metric(), metric()
    whole.update(hypotheses, references)
    for place in range(len(hypotheses)):
        parts.update(hypotheses[place : place + 1], references[place : place + 1])
    repeated.update(hypotheses, references, clips)
    repeated.update(hypotheses[:2], references[:2], torch.tensor(clips[:2]))
    expected = theirs(hypotheses, references)
    names = {Bleu: SCORES[:4], RougeL: ["rouge_l"], Cider: ["cider"], CiderD: ["cider_d"]}[metric]
    for one in (whole, parts, repeated):
        np.testing.assert_allclose(
            np.atleast_1d(one.compute()), [expected[name] for name in names], atol=1e-9
        )
    whole.reset()
    with (
        pytest.raises(ValueError, match="before any sentence came"),
        pytest.warns(UserWarning, match="compute"),
    ):
        whole.compute()


def test_two_ranks_agree_with_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(gather, (2, tmp_path), nprocs=2)
    hypotheses, references, _ = sentences_of_ranks(0, 1)
    expected = theirs(hypotheses, references)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found == pytest.approx(
            [expected["bleu_4"], expected["cider_d"], expected["cider_d"]], abs=1e-9
        )


def test_scores_import_no_torch() -> None:
    code = (
        "import sys\n"
        "from lightning_modules.metrics.captions import scores, human, facts, diversity, ptb, meteor\n"
        "assert not {'torch', 'pycocoevalcap', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
