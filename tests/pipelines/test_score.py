"""`skyreel score` judges anybody's captions; every id counts, and what is missing is told."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lightning_modules.metrics.captions.scores import References
from pipelines.captions.scoring import render
from tests.pipelines.small_files import ROOT, answer, result

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")

SAID = {
    "v1": ["A man plays a guitar.", "someone plays guitar", "a man is playing"],
    "v2": ["two cats sit there", "cats are sitting"],
    "v3": ["a red ball rolls", "the ball rolls away"],
}
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "meteor")
WRITTEN = {"v1": "a man plays", "v2": "two cats sit", "v3": "a box"}


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path on which nothing is found."""
    monkeypatch.setenv("PATH", str(tmp_path))


def coco(folder: Path, said: dict[str, list[str]], written: dict[str, str]) -> tuple[str, str]:
    """The arguments for COCO captions and COCO results."""
    pairs = [(clip, caption) for clip, captions in said.items() for caption in captions]
    images = [{"id": clip, "file_name": f"{clip}.jpg"} for clip in said]
    captions = [{"id": i, "image_id": clip, "caption": caption} for i, (clip, caption) in enumerate(pairs)]
    (folder / "refs.json").write_text(
        json.dumps({"images": images, "annotations": captions}), encoding="utf-8"
    )
    results = [{"image_id": clip, "caption": caption} for clip, caption in written.items()]
    (folder / "hyps.json").write_text(json.dumps(results), encoding="utf-8")
    return f"hypotheses={folder}/hyps.json", f"references={folder}/refs.json"


def lines(path: Path, *sentences: str) -> Path:
    """A text file of one sentence a line."""
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    return path


def figures(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Scores of sentences whose tokens white space divides."""
    return References([[*captions] for captions in references]).score(hypotheses)


@pytest.mark.usefixtures("no_java")
def test_coco_results_are_scored_against_coco_captions(tmp_path: Path) -> None:
    found = result("score", *coco(tmp_path, SAID, WRITTEN), "tokenizer=plain")
    expected = figures(list(WRITTEN.values()), list(SAID.values()))
    metrics = found["metrics"]
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert (metrics["distinct_words"], metrics["mean_words"]) == (7, pytest.approx(8 / 3))
    assert (found["clips"], found["references"], found["tokenizer"]) == (3, 7, "plain")
    assert (found["missing"], found["split"]) == ([], None)
    assert set(found["human"]) == set(expected)
    assert "meteor" not in metrics
    assert any("METEOR is left out: java is not on the path" in warning for warning in found["warnings"])


@pytest.mark.usefixtures("no_java")
def test_the_order_of_hypotheses_does_not_matter_and_words_ignore_case(tmp_path: Path) -> None:
    shuffled = {clip: WRITTEN[clip].upper() + "!" for clip in ("v3", "v1", "v2")}
    found = result("score", *coco(tmp_path, SAID, shuffled), "tokenizer=words")
    said = [[caption.lower().rstrip(".") for caption in captions] for captions in SAID.values()]
    expected = figures(list(WRITTEN.values()), said)
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)


@pytest.mark.usefixtures("no_java")
def test_a_missing_hypothesis_counts_as_an_empty_sentence_and_is_listed(tmp_path: Path) -> None:
    arguments = coco(tmp_path, SAID, {"v1": WRITTEN["v1"], "v3": WRITTEN["v3"]})
    found = result("score", *arguments, "tokenizer=plain")
    expected = figures(["a man plays", "", "a box"], list(SAID.values()))
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)
    assert (found["clips"], found["missing"]) == (3, ["v2"])
    assert any("1 OF 3 CLIPS" in warning and "v2" in warning for warning in found["warnings"])


@pytest.mark.usefixtures("no_java")
def test_a_hypothesis_without_references_is_refused_and_named(tmp_path: Path) -> None:
    arguments = coco(tmp_path, SAID, {**WRITTEN, "v8": "a dog", "v9": "a cow"})
    status, _, said = answer("score", *arguments, "tokenizer=plain")
    assert status == 2
    assert "2 sentences (of 5) for clips that" in said
    assert "does not know: v8, v9." in said


@pytest.mark.usefixtures("no_java")
def test_only_the_split_that_was_captioned_is_judged_and_that_is_told(tmp_path: Path) -> None:
    rows = ["clip,caption,split", "v1,a man plays,train", "v2,two cats sit,test", "v3,a ball rolls,test"]
    hypotheses = ["clip,caption", "v2,cats sit"]
    arguments = [
        f"references={lines(tmp_path / 'refs.csv', *rows)}",
        f"hypotheses={lines(tmp_path / 'hyps.csv', *hypotheses)}",
    ]
    found = result("score", *arguments, "tokenizer=plain")
    assert (found["split"], found["clips"], found["missing"], found["human"]) == ("test", 2, ["v3"], {})
    told = " ".join(found["warnings"])
    assert "judged are its 2 clips alone" in told
    assert "no human ceiling: 2 clips have a single reference" in told


@pytest.mark.usefixtures("no_java")
def test_lines_of_text_are_matched_by_number(tmp_path: Path) -> None:
    hypotheses = lines(tmp_path / "hyp.txt", "a man plays", "two cats sit")
    first = lines(tmp_path / "a.txt", "a man plays guitar", "two cats sit there")
    second = lines(tmp_path / "b.txt", "someone plays", "")
    arguments = (f"hypotheses={hypotheses}", f"references={first},{second}", "tokenizer=plain")
    found = result("score", *arguments)
    expected = figures(
        ["a man plays", "two cats sit"], [["a man plays guitar", "someone plays"], ["two cats sit there"]]
    )
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)
    assert (found["clips"], found["references"]) == (2, 3)
    lines(first, "only one")
    status, _, said = answer("score", *arguments)
    assert status == 2
    assert "must be as many" in said
    assert "a.txt has 1" in said


@pytest.mark.usefixtures("no_java")
@pytest.mark.parametrize("column", ["", "clip,"])
def test_one_table_may_hold_both_sides(tmp_path: Path, column: str) -> None:
    rows = [f"{column}caption_predicted,caption_1,caption_2"]
    for number, cells in enumerate(["a man plays,a man plays guitar,someone plays", ",two cats sit,"]):
        rows.append(f"v{number},{cells}" if column else cells)
    path = lines(tmp_path / "both.csv", *rows)
    found = result("score", f"hypotheses={path}", f"references={path}", "tokenizer=plain")
    expected = figures(["a man plays", ""], [["a man plays guitar", "someone plays"], ["two cats sit"]])
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)


@pytest.mark.usefixtures("no_java")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tokenizer=plane"], "tokenizer=plane"),
        (["tokenizer=plane"], "Did you mean plain?"),
        ([], "tokenizer=ptb: java is not on the path; install a Java runtime"),
        ([], "Or score without Java: tokenizer=words"),
        (["tokenizer=plain", "hypotheses=none.json"], "there is no file none.json"),
        (["tokenizer=plain", "references=none.txt"], "must both be text"),
    ],
)
def test_mistakes_are_told_with_the_way_out(tmp_path: Path, words: list[str], told: str) -> None:
    given = {word.partition("=")[0] for word in words}
    arguments = [one for one in coco(tmp_path, SAID, WRITTEN) if one.partition("=")[0] not in given]
    status, _, said = answer("score", *arguments, *words)
    assert status == 2
    assert told in said


@pytest.mark.usefixtures("no_java")
def test_the_table_shows_people_beside_the_hypotheses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result("score", *coco(tmp_path, SAID, WRITTEN), "tokenizer=plain")
    capsys.readouterr()
    Console(width=100).print(render(found))
    shown = capsys.readouterr().out
    assert "3 clips, 7 references, tokenizer plain" in shown
    cider, people = found["metrics"]["cider"], found["human"]["cider"]
    assert any(row.split()[:3] == ["CIDEr", f"{cider:.4f}", f"{people:.4f}"] for row in shown.splitlines())


def test_scoring_is_quick_and_starts_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pipelines.cli import run\n"
        "status = run(sys.argv[1:])\n"
        "assert not {'torch', 'mlflow', 'pytorch_lightning', 'pycocoevalcap'} & set(sys.modules)\n"
        "sys.exit(status)"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "score",
        *coco(tmp_path, SAID, WRITTEN),
        "tokenizer=plain",
        "--json",
    ]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        times.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["clips"] == 3
    assert min(times) < 1.5


@needs_java
def test_the_verb_reproduces_the_published_figures_of_nlg_eval(real_data: Path) -> None:
    folder = real_data / "captions" / "nlg-eval"
    found = result(
        "score",
        f"hypotheses={folder}/hyp.txt",
        f"references={folder}/ref1.txt,{folder}/ref2.txt",
        "tokenizer=plain",
    )
    assert {name: f"{found['metrics'][name]:.6f}" for name in NAMES} == dict(
        zip(
            NAMES,
            ("0.550000", "0.428174", "0.284043", "0.201143", "0.522104", "1.242192", "0.295797"),
            strict=True,
        )
    )


@needs_java
def test_the_verb_reproduces_the_published_figures_of_audio_captions(real_data: Path) -> None:
    path = real_data / "captions" / "aac_example_1.csv"
    found = result("score", f"hypotheses={path}", f"references={path}")
    assert (found["clips"], found["references"], found["tokenizer"]) == (464, 2320, "ptb")
    assert {name: f"{found['metrics'][name]:.6f}" for name in NAMES} == dict(
        zip(
            NAMES,
            ("0.504130", "0.334898", "0.222953", "0.144917", "0.395808", "0.401724", "0.178840"),
            strict=True,
        )
    )
    assert found["human"]["cider"] > 1
