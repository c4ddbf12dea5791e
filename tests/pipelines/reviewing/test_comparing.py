"""Runs side by side: settings, figures with intervals, sentences; from directories and from MLflow."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipelines.forecasts.case_errors import CaseErrors, errors_file
from pipelines.reviewing.comparison_view import show_comparison
from pipelines.rundir import RunDir, write_json, write_text
from tests.pipelines.conftest import Trained
from tests.pipelines.small_files import (
    answer,
    mlflow_runs,
    result,
    start,
    steps_of,
    words,
    write_maps,
    write_series,
)

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture(scope="module")
def two(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two runs: the trained one, and a copy with other settings and smaller errors."""
    runs = tmp_path_factory.mktemp("two")
    for name in ("a", "b"):
        shutil.copytree(trained.run.path, runs / "tiny" / name)
    better = RunDir(runs / "tiny" / "b")
    write_text(better.config, better.config.read_text().replace("hidden: 4", "hidden: 8"))
    found = CaseErrors.read(errors_file(better))
    CaseErrors(**{**vars(found), "squared": 0.81 * found.squared}).write(errors_file(better))
    metrics = json.loads(better.metrics.read_text())
    factor = {key: 0.9 if key.startswith("test/rmse/") else 1.0 for key in metrics}
    write_json(better.metrics, {key: value * factor[key] for key, value in metrics.items()})
    return runs


def test_a_run_keeps_the_error_of_every_forecast(trained: Trained) -> None:
    found = CaseErrors.read(errors_file(trained.run))
    metrics = json.loads(trained.run.metrics.read_text())
    assert len(set(found.cases)) == len(found.cases) == 41
    assert list(found.cases) == sorted(found.cases)
    assert (found.quantities, found.units, found.overlap) == (("air",), ("K",), 2)
    assert (found.lead_names, found.lead_hours) == (("6h", "12h"), (6.0, 12.0))
    for lead, name in enumerate(found.lead_names):
        squared, weight = found.squared[:, lead, 0], found.weight[:, lead, 0]
        np.testing.assert_allclose(weight, 1.0)
        rmse = np.sqrt((squared * weight).sum() / weight.sum())
        assert rmse == pytest.approx(metrics[f"test/rmse/air/{name}"], rel=1e-9)


def test_the_errors_are_in_mlflow_too(trained: Trained) -> None:
    client, (run,) = mlflow_runs(trained.folder)
    paths = [item.path for item in client.list_artifacts(run.info.run_id, "predictions")]
    assert "predictions/errors.npz" in paths


def test_forecasters_side_by_side(two: Path) -> None:
    found = result("review", "compare", "runs=tiny/a,tiny/b", f"paths.runs={two}")
    assert found["settings"] == [{"key": "model.recurrent.hidden", "values": [4, 8]}]
    rows = found["forecasts"]["by_lead"]
    assert [(row["variable"], row["units"], row["lead"]) for row in rows] == [
        ("air", "K", "6h"),
        ("air", "K", "12h"),
    ]
    for row in rows:
        assert row["rmse"][1] == pytest.approx(0.9 * row["rmse"][0])
        assert {"persistence", "climatology", "linear"} <= set(row["references"])
        none, gain = row["skill_against_first"]
        assert none is None
        assert (gain["value"], gain["low"], gain["high"]) == pytest.approx((0.1, 0.1, 0.1))
    assert found["forecasts"]["cases"][1]["cases"] == 41


def test_the_tables_of_a_comparison_fit_into_eighty_columns(two: Path) -> None:
    found = result("review", "compare", f"runs={two / 'tiny/a'},tiny/b", f"paths.runs={two}")
    found["notes"] = []
    for run in found["runs"]:
        run["run"] = "0" * 32
    console = Console(width=80, force_terminal=True, color_system=None)
    with console.capture() as caught:
        show_comparison(found, console)
    lines = [line.rstrip() for line in caught.get().splitlines()]
    assert max(map(len, lines)) <= 95  # the note on intervals is one line
    assert any("10.00 (+10.00 to +10.00)" in line and len(line) <= 80 for line in lines)
    assert "air: test RMSE (K), and skill against A in %" in lines


def test_a_run_that_is_only_in_mlflow_is_compared_all_the_same(trained: Trained, two: Path) -> None:
    run_id = json.loads(trained.run.provenance.read_text())["mlflow"]["run_id"]
    for name in ("a", "b"):
        (two / "tiny" / name / "provenance.json").unlink(missing_ok=True)
    uri = f"sqlite:///{trained.folder / 'runs' / 'mlflow.db'}"
    found = result("review", "compare", f"runs={run_id},tiny/b", f"paths.runs={two}", f"tracking.uri={uri}")
    assert found["runs"][0] == {"name": "tiny/a", "run": run_id, "judged": True}
    assert [row["key"] for row in found["settings"]] == ["model.recurrent.hidden"]
    gain = found["forecasts"]["by_lead"][0]["skill_against_first"][1]
    assert gain["value"] == pytest.approx(0.1)


def test_what_cannot_be_compared_is_told(two: Path, captioners: Path) -> None:
    for named, said in (
        ("runs=tiny/a", "two or more runs"),
        ("runs=tiny/a,tiny/c", "did you mean runs=tiny/"),
        (f"runs=tiny/a,{captioners / 'clips/a'}", "compare runs of one kind"),
        (f"runs=tiny/a,{'0' * 32}", "no such database"),
    ):
        status, _, told = answer("review", "compare", named, f"paths.runs={two}")
        assert status == 2, told
        assert said in told


def test_a_run_without_errors_is_compared_without_intervals(two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / "tiny", tmp_path / "tiny")
    errors_file(RunDir(tmp_path / "tiny" / "b")).unlink()
    found = result("review", "compare", "runs=tiny/a,tiny/b", f"paths.runs={tmp_path}")
    assert found["forecasts"]["by_lead"][0]["skill_against_first"] == [None, None]
    assert any("kept no errors by forecast" in note for note in found["notes"])


def printed(found: dict[str, Any]) -> str:
    """What a comparison looks like in a terminal that is none."""
    console = Console(width=80, force_terminal=False, color_system=None)
    with console.capture() as caught:
        show_comparison(found, console)
    return caught.get()


def test_runs_judged_on_other_dates_are_told_so_and_promised_no_intervals(two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / "tiny", tmp_path / "tiny")
    other = RunDir(tmp_path / "tiny" / "b")
    errors = CaseErrors.read(errors_file(other))
    later = tuple(case.replace("2001-", "2002-") for case in errors.cases)
    CaseErrors(**{**vars(errors), "cases": later}).write(errors_file(other))
    metrics = json.loads(other.metrics.read_text())
    write_json(other.metrics, {key: 2 * value for key, value in metrics.items()})
    found = result("review", "compare", "runs=tiny/a,tiny/b", f"paths.runs={tmp_path}")
    apart, data = found["notes"]
    assert apart.startswith("tiny/a was judged on forecasts of 2001-03 and tiny/b on forecasts")
    assert "of 2002-03, with none in common: figures stand side by side, without" in apart
    assert "judged on other data" in data
    assert data.endswith("so their figures are not of the same forecasts")
    text = printed(found)
    assert "air: test RMSE (K)" in [line.strip() for line in text.splitlines()]
    assert "against A" not in text
    assert "in brackets" not in text


def test_few_forecasts_are_counted_in_words(two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / "tiny", tmp_path / "tiny")
    for name in ("a", "b"):
        file = errors_file(RunDir(tmp_path / "tiny" / name))
        found = CaseErrors.read(file)
        some = {key: getattr(found, key)[:1] for key in ("cases", "squared", "weight")}
        CaseErrors(**{**vars(found), **some}).write(file)
    plain = result("review", "compare", "runs=tiny/a,tiny/b", f"paths.runs={tmp_path}")
    assert "tiny/a and tiny/b: 1 forecast is few: take the intervals for a rough guess" in plain["notes"]
    assert "paired bootstrap of 1 forecast in blocks of 1" in printed(plain)


def test_captioners_of_other_clips_are_promised_no_intervals(captioners: Path, tmp_path: Path) -> None:
    shutil.copytree(captioners / "clips", tmp_path / "clips")
    write_json(RunDir(tmp_path / "clips" / "b").predictions / "test.json", [])
    text = printed(result("review", "compare", "runs=clips/a,clips/b", f"paths.runs={tmp_path}"))
    assert "scores of the test clips" in text
    assert "than A" not in text
    assert "B - A" not in text
    assert "in brackets" not in text


@pytest.fixture(scope="module")
def captioners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two captioners' run directories: what judging leaves of them."""
    runs = tmp_path_factory.mktemp("captioners")
    people = [
        [f"a {colour} ball moves", f"the {colour} ball is moving"] for colour in ("red", "blue", "green")
    ]
    said = {
        "a": ["a red ball moves", "a red ball moves", "a thing"],
        "b": ["a red ball moves"] * 2 + ["a green ball moves"],
    }
    for name, sentences in said.items():
        run = RunDir(runs / "clips" / name)
        run.predictions.mkdir(parents=True)
        run.config.write_text("task: {kind: caption, tokenizer: words}\nseed: 3\n")
        metrics = {"test/cider": 1.0, "test/bleu_4": 0.5, "reference/constant/cider": 0.2}
        write_json(run.metrics, metrics)
        clips = zip(sentences, people, strict=True)
        plain = [{"clip": f"c{n}", "caption": text, "references": of} for n, (text, of) in enumerate(clips)]
        write_json(run.predictions / "test.json", plain)
    return runs


def test_captioners_side_by_side(captioners: Path) -> None:
    found = result("review", "compare", "runs=clips/a,clips/b", f"paths.runs={captioners}")
    assert found["settings"] == []
    changed = found["captions"]["changed"][1]
    assert (changed["clips"], changed["changed"]) == (3, 1)
    assert changed["better"][0]["clip"] == "c2"
    assert changed["better"][0]["now"] == "a green ball moves"
    assert changed["worse"] == []
    (cider,) = [row for row in found["captions"]["scores"] if row["score"] == "cider"]
    assert cider["more_than_first"][1]["value"] > 0
    assert cider["references"] == {"constant": 0.2}
    console = Console(width=80, force_terminal=False, color_system=None)
    with console.capture() as caught:
        show_comparison(found, console)
    assert "better: c2" in caught.get()
    assert "    B: a green ball moves" in caught.get()


@pytest.mark.slow
def test_errors_of_series_with_gaps_are_those_that_were_judged(tmp_path: Path) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300), variables=("air", "soil"))
    series = write_series(tmp_path / "stations.csv", steps_of(300))
    more = (f"data.series.path={series}", "data.series.target=true", "trainer.max_epochs=1")
    run = RunDir(Path(result("train", *words(tmp_path, *more))["run"]))
    found, metrics = CaseErrors.read(errors_file(run)), json.loads(run.metrics.read_text())
    assert found.quantities == ("air", "soil", "harbour", "hill")
    for q, quantity in enumerate(found.quantities):
        for lead, name in enumerate(found.lead_names):
            squared, weight = found.squared[:, lead, q], found.weight[:, lead, q]
            rmse = np.sqrt(np.nansum(squared * weight) / weight.sum())
            assert rmse == pytest.approx(metrics[f"test/rmse/{quantity}/{name}"], rel=1e-9)
    assert np.isnan(found.squared[:, :, 2]).any()
    assert (found.weight[np.isnan(found.squared)] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_several_ranks_keep_the_same_errors(trained: Trained, tmp_path: Path, ranks: int) -> None:
    shutil.copytree(trained.folder, tmp_path / "copy")
    run = RunDir(tmp_path / "copy" / "runs" / "tiny" / "a")
    before = CaseErrors.read(errors_file(run))
    errors_file(run).unlink()
    call = [f"run={run.path}", "trainer=ddp_cpu", f"trainer.devices={ranks}", "trainer.threads=1"]
    process = start("evaluate", *call, "trainer.precision=32", f"data.path={trained.maps}")
    try:
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, said
    after = CaseErrors.read(errors_file(run))
    assert after.cases == before.cases
    np.testing.assert_allclose(after.squared, before.squared, rtol=1e-5)
    np.testing.assert_array_equal(after.weight, before.weight)
