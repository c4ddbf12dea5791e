"""`review report`: one page that is complete in itself, of one run or of several."""

import json
import re
import shutil
from pathlib import Path

import yaml

from pipelines.forecasts.example import Example, example_file
from pipelines.reports.report import report_page
from pipelines.rundir import RunDir
from tests.pipelines.conftest import Trained
from tests.pipelines.reports.decisions import captioner_run
from tests.pipelines.small_files import answer, result

OUTSIDE = re.compile(r"""(src|href|url\()\s*=?\s*["']?(https?:|//|file:)""")


def page_of(*runs: RunDir, folder: Path) -> str:
    return report_page(runs, folder / "report.html").read_text(encoding="utf-8")


def copied(run: RunDir, to: Path) -> RunDir:
    shutil.copytree(run.path, to)
    return RunDir(to)


def test_a_run_leaves_its_report_and_the_maps_of_one_forecast(trained: Trained) -> None:
    assert (trained.run.path / "report.html").is_file()
    example = Example.read(example_file(trained.run))
    assert example.variables == ("air",)
    assert example.units == ("K",)
    assert example.lead_names == ("6h", "12h")
    assert example.forecast.shape == example.truth.shape == (2, 1, 8, 12)


def test_the_page_has_every_section_and_asks_nobody_for_anything(trained: Trained, tmp_path: Path) -> None:
    text = page_of(trained.run, folder=tmp_path)
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles == ["What was run", "Data", "Curves", "Skill", "Maps", "Provenance", "How to repeat it"]
    assert not OUTSIDE.search(text)
    assert "task.horizon" in text.split("settings at their defaults")[0], "what differs comes first"
    assert "skyreel train" in text
    assert len(text) < 1_000_000


def test_the_call_writes_the_page_where_it_is_told(trained: Trained, tmp_path: Path) -> None:
    words = (f"run={trained.run.path}", f"paths.runs={trained.folder / 'runs'}")
    found = result("review", "report", *words, f"output={tmp_path / 'page.html'}")
    assert found["bytes"] == (tmp_path / "page.html").stat().st_size
    for wrong, told in (("page.pdf", ".html"), ("absent/page.html", "does not exist")):
        status, _, said = answer("review", "report", *words, f"output={tmp_path / wrong}")
        assert status == 2
        assert told in said
    status, _, said = answer("review", "report", f"paths.runs={trained.folder / 'runs'}")
    assert status == 2
    assert "run=" in said


def test_several_runs_stand_side_by_side(trained: Trained, tmp_path: Path) -> None:
    other = copied(trained.run, tmp_path / "runs" / "tiny" / "b")
    config = other.read_config()
    config["model"]["recurrent"]["hidden"] = 99
    other.config.write_text(yaml.safe_dump(config))
    runs = f"runs={trained.run.path},{other.path}"
    result("review", "report", runs, f"output={tmp_path / 'two.html'}")
    text = (tmp_path / "two.html").read_text()
    first = text.split('<section id="data">')[0]
    assert "model.recurrent.hidden" in first
    assert "99" in first
    assert "model.encoder" not in first, "what is the same is not told"
    assert len(set(re.findall(r'<input type="range" id="([^"]+)"', text))) == 2


def test_what_comes_from_a_run_is_text_however_it_is_called(trained: Trained, tmp_path: Path) -> None:
    run = copied(trained.run, tmp_path / "runs" / "tiny" / "<script>alert(1)<.script>")
    config = run.read_config()
    config["data"]["name"] = "<img src=x onerror=alert(1)>"
    run.config.write_text(yaml.safe_dump(config))
    known = json.loads(run.provenance.read_text())
    known["command"].append("'\"><script>alert(2)</script>")
    run.provenance.write_text(json.dumps(known))
    for text in (page_of(run, folder=tmp_path), page_of(run, trained.run, folder=tmp_path)):
        assert "&lt;script&gt;" in text
        assert text.count("<script") == 1
        assert "<img src=x" not in text


def test_a_run_that_has_hardly_begun_or_is_broken_still_has_a_page(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "a" / "b")
    run.predictions.mkdir(parents=True)
    assert "cannot be read" in page_of(run, folder=tmp_path)
    for path in (run.config, run.provenance, run.metrics, run.skill, run.predictions / "test.json"):
        path.write_text("{ broken")
    example_file(run).write_bytes(b"PK broken")
    assert "<h1>a/b</h1>" in page_of(run, folder=tmp_path)


def test_captions_are_shown_with_films_references_and_attention(tmp_path: Path) -> None:
    text = page_of(captioner_run(tmp_path, "a", "a man runs"), folder=tmp_path)
    assert text.count("data:image/jpeg") == 3
    assert "a man runs" in text
    assert "people &lt;i&gt;said&lt;/i&gt;" in text
    assert "a: most at 0.0 s" in text
    assert "CIDEr" in text


def test_captions_of_two_runs_that_differ_are_told_apart(tmp_path: Path) -> None:
    runs = [captioner_run(tmp_path, name, f"a man {name}") for name in ("a", "b")]
    text = page_of(*runs, folder=tmp_path)
    assert "2 of 3 clips have other sentences" in text
    assert "a man a" in text
    assert "a man b" in text
    assert "the same" not in text.split('id="clips"')[1].split("</section>")[0]
