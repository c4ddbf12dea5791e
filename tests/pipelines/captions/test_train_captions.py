"""A captioner's run: what it leaves, that it repeats itself, goes on, and judges every clip once."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.pipelines.captions.conftest import Captioned
from tests.pipelines.captions.small_clips import words
from tests.pipelines.small_files import answer, mlflow_runs, result, start

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

REFERENCES = ("human", "nearest", "constant", "frequent")


def untracked(clips: Path, folder: Path, *more: str) -> list[str]:
    return words(clips, folder, "tracking=off", *more)


def test_the_run_directory_explains_itself(captioned: Captioned) -> None:
    run = captioned.run
    assert sorted(item.name for item in run.path.iterdir() if not item.name.startswith(".")) == [
        "checkpoints",
        "config.yaml",
        "log.txt",
        "metrics.json",
        "model",
        "plots",
        "predictions",
        "provenance.json",
        "report.html",
        "scores.csv",
        "tracking",
    ]
    assert {path.name for path in run.plots.iterdir()} >= {"clips_1.png", "attention_1.png"}
    assert (run.path / "model" / "vocabulary.json").is_file()


def test_every_figure_stands_beside_its_references(captioned: Captioned) -> None:
    metrics = captioned.result["metrics"]
    assert metrics == json.loads(captioned.run.metrics.read_text())
    for name in ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d"):
        assert f"test/{name}" in metrics
        assert all(f"reference/{who}/{name}" in metrics for who in REFERENCES)
    assert metrics["reference/human/cider"] > metrics["reference/constant/cider"] > 0
    assert metrics["test/clips"] == 30
    assert metrics["test/clips_missing"] == 0
    assert {"test/facts/thing", "test/facts/colour", "test/facts/motion", "test/facts/all"} <= set(metrics)
    rows = list(csv.DictReader((captioned.run.path / "scores.csv").read_text().splitlines()))
    assert {row["model"] for row in rows} == {"skyreel", *REFERENCES}
    assert {row["clips"] for row in rows} == {"30"}


def test_predictions_hold_a_sentence_of_every_test_clip_with_its_rivals_and_attention(
    captioned: Captioned,
) -> None:
    found = json.loads((captioned.run.predictions / "test.json").read_text())
    assert len({one["clip"] for one in found}) == len(found) == 30
    for one in found:
        assert len(one["references"]) == 5
        assert one["caption"] == one["n_best"][0]["caption"]
        assert one["log_probability"] <= 0
        scores = [rival["score"] for rival in one["n_best"]]
        assert scores == sorted(scores, reverse=True)
        looked = one["attention"]
        assert len(looked["words"]) == len(looked["weights"])
        assert all(abs(sum(row) - 1) < 1e-2 for row in looked["weights"])
        assert len(looked["frame_times"]) == 4


def test_evaluating_again_gives_the_same_figures(captioned: Captioned) -> None:
    again = result("evaluate", f"run={captioned.run.path}")["metrics"]
    assert again == pytest.approx(captioned.result["metrics"], abs=1e-9)


def test_the_same_command_shows_a_finished_run(captioned: Captioned) -> None:
    before = captioned.run.best.stat().st_mtime_ns
    assert result("train", *captioned.words)["metrics"] == captioned.result["metrics"]
    assert captioned.run.best.stat().st_mtime_ns == before


def test_mlflow_has_curves_tables_pictures_and_the_number_of_clips(captioned: Captioned) -> None:
    client, runs = mlflow_runs(captioned.folder)
    assert len(runs) == 1
    run = runs[0]
    assert run.data.metrics["test/cider"] == pytest.approx(captioned.result["metrics"]["test/cider"])
    assert run.data.metrics["test/clips"] == 30
    assert len(client.get_metric_history(run.info.run_id, "validation/cider")) == 2
    plots = {item.path for item in client.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/clips_1.png", "plots/attention_1.png"} <= plots
    tables = {item.path for item in client.list_artifacts(run.info.run_id, "tables")}
    assert {"tables/captions.json", "tables/scores.json"} <= tables


def test_a_frozen_encoder_gives_the_same_scores_from_pixels_and_from_the_store(
    clips: Path, tmp_path: Path
) -> None:
    frozen = ("model.encoder.frozen=true", "data.frames.choice=uniform", "optimizer.ema=null")
    pixels = result("train", *untracked(clips, tmp_path, *frozen))["metrics"]
    stored = untracked(clips, tmp_path, *frozen, "data.features=store", "run.name=stored")
    found = result("train", *stored)
    assert found["metrics"]["test/cider"] == pytest.approx(pixels["test/cider"], abs=0.1)
    (store,) = (tmp_path / "stores").glob("features-*[!k]")
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    result("evaluate", f"run={found['run']}")
    assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == before
    clip = clips / "clips" / "clip0001.mp4"
    output = tmp_path / "captions.json"
    result("predict", f"run={found['run']}", f"input={clip}", f"output={output}")
    assert json.loads(output.read_text())[0]["caption"]


def test_features_that_can_change_are_refused(clips: Path, tmp_path: Path) -> None:
    status, _, said = answer("train", *untracked(clips, tmp_path, "data.features=store"))
    assert status == 2
    assert "model.encoder.frozen=true" in said


def test_self_critical_training_begins_from_a_run_and_keeps_its_words(
    captioned: Captioned, tmp_path: Path
) -> None:
    call = untracked(captioned.clips, tmp_path, "task.objective=self_critical", "trainer.max_epochs=1")
    found = result("train", *call, f"start={captioned.run.path}", "run.name=rewarded")
    kept = Path(found["run"]) / "model" / "vocabulary.json"
    assert kept.read_bytes() == (captioned.run.path / "model" / "vocabulary.json").read_bytes()
    assert found["metrics"]["test/cider"] >= 0


def test_a_bad_clip_stops_the_run_or_is_left_out_and_told(clips: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(clips, copy)
    rows = list(csv.DictReader((copy / "captions.csv").read_text().splitlines()))
    cut = next(row["clip"] for row in rows if row["split"] == "test")
    absent = next(row["clip"] for row in rows if row["split"] == "test" and row["clip"] != cut)
    (copy / "clips" / f"{cut}.mp4").write_bytes(b"")
    (copy / "clips" / f"{absent}.mp4").unlink()
    status, _, said = answer("train", *untracked(copy, tmp_path))
    assert status == 2
    assert cut in said
    assert "data.bad_clips=skip" in said
    found = result("train", *untracked(copy, tmp_path, "data.bad_clips=skip"))
    assert found["metrics"]["test/clips"] == 28
    assert found["metrics"]["test/clips_missing"] == 2
    reasons = dict(csv.reader((Path(found["run"]) / "bad_clips.csv").read_text().splitlines()))
    assert {cut, absent} <= set(reasons)


def test_two_ranks_give_the_figures_of_one(captioned: Captioned, tmp_path: Path) -> None:
    copied = shutil.copytree(captioned.run.path, tmp_path / "copied")
    more = ("trainer=ddp_cpu", "trainer.devices=2", "trainer.precision=32", "trainer.threads=1")
    with start("evaluate", f"run={copied}", *more, "--json") as process:
        out, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert json.loads(out)["metrics"] == pytest.approx(captioned.result["metrics"], rel=1e-6)
