"""One, two and three ranks give equal figures on sets that neither 2 nor 3 divides."""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.rundir import RunDir
from tests.pipelines.captions import small_clips
from tests.pipelines.small_files import ROOT, result, start, steps_of, words, write_maps, write_series

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

PATIENCE = 400.0
RANKS = {"1 rank": (1, 7), "2 ranks": (2, 7), "3 ranks": (3, 7), "3 ranks, batches of 2": (3, 2)}
"""Columns of the table: how many ranks, and how many samples a batch holds at most."""
DIFFERENCES = ("/skill_", "/bias/")
"""Figures that are differences of larger ones, equal to 1e-6 of those."""
TALKATIVE = (
    "data.batch_size=4",
    "model.encoder.channels=16",
    "model.recurrent.hidden=48",
    "model.decoder.hidden=48",
    "model.decoder.embedding=32",
    "optimizer.learning_rate=0.01",
    "optimizer.ema=0.9",
)
"""A captioner that soon says different things of different clips."""
SIZES = {
    "forecasts": {"validation": 35, "test": 37},
    "captions": {"validation": 19, "test": 17},
}
"""Samples of each split, by system."""


@dataclass(frozen=True)
class Column:
    """What one number of ranks found: every figure, and the files that it published."""

    figures: Mapping[str, float]
    predictions: Any
    rows: list[list[str]]


def forecast_run(folder: Path) -> RunDir:
    """A forecaster of maps and of station series with missing values."""
    steps = steps_of(300, gaps=[(290, 292)])
    write_maps(folder / "air.nc", steps)
    write_series(folder / "stations.csv", steps)
    series = (f"data.series.path={folder / 'stations.csv'}", "data.series.target=true")
    return RunDir(Path(result("train", *words(folder, *series, "tracking=off"))["run"]))


def caption_run(folder: Path) -> RunDir:
    """A captioner of clips that one to five captions tell of."""
    clips = small_clips.make_clips(folder / "sample")
    with (clips / "captions.csv").open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    said: dict[str, dict[str, list[list[str]]]] = {"train": {}, "validation": {}, "test": {}}
    for line in lines:
        said[line[1]].setdefault(line[0], []).append(line)
    most = {"train": 40, **SIZES["captions"]}
    with (clips / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(head)
        for split, of_clips in said.items():
            for place, captions in enumerate(list(of_clips.values())[: most[split]]):
                table.writerows(captions[: 1 + place % 5])
    call = small_clips.words(clips, folder, "tracking=off", "trainer.max_epochs=10", *TALKATIVE)
    return RunDir(Path(result("train", *call)["run"]))


MAKERS = {"forecasts": forecast_run, "captions": caption_run}


@pytest.mark.slow
def test_one_two_and_three_ranks_give_equal_figures(tmp_path: Path) -> None:
    """Validation, test, sentences and published files of both systems; `-s` shows the table."""
    table: list[str] = []
    apart: list[str] = []
    for system, make in MAKERS.items():
        (tmp_path / system).mkdir()
        trained = make(tmp_path / system)
        found = {name: judged(trained, tmp_path / system, *RANKS[name]) for name in RANKS}
        assert_sizes_do_not_divide(trained, system)
        lines, wrong = compared(found)
        table += [system, *lines]
        apart += [f"{system}: {line}" for line in wrong]
    text = "\n".join(table)
    (tmp_path / "equal_ranks.txt").write_text(text, encoding="utf-8")
    sys.stdout.write(f"\n{text}\n")
    assert not apart, "\n".join([*apart, "", text])


def judged(trained: RunDir, folder: Path, ranks: int, batch: int) -> Column:
    """What `evaluate`, and validation after it, find on a copy of the run."""
    copied = RunDir(Path(shutil.copytree(trained.path, folder / f"copy_{ranks}_{batch}")))
    copied.metrics.unlink()
    many = ["trainer=ddp_cpu", f"trainer.devices={ranks}"] if ranks > 1 else ["trainer=cpu"]
    call = [*many, "trainer.precision=32", "trainer.threads=1", f"data.batch_size={batch}", "--json"]
    file = folder / f"validation_{ranks}_{batch}.json"
    script = Path(__file__).with_name("rank_figures.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(file), "evaluate", f"run={copied.path}", *call],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, told = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, told
    metrics = json.loads(out)["metrics"]
    assert json.loads(copied.metrics.read_text()) == metrics
    predictions = copied.predictions / "test.json"
    rows = copied.skill if copied.skill.exists() else copied.path / "scores.csv"
    return Column(
        metrics | json.loads(file.read_text()),
        json.loads(predictions.read_text()) if predictions.exists() else None,
        list(csv.reader(rows.read_text().splitlines())),
    )


def assert_sizes_do_not_divide(run: RunDir, system: str) -> None:
    """The sets are such that ranks cannot share them evenly."""
    said = run.log.read_text()
    sizes = SIZES[system]
    assert all(size % ranks for size in sizes.values() for ranks in (2, 3))
    assert f"{sizes['validation']} validation, {sizes['test']} test" in said, said


def compared(found: Mapping[str, Column]) -> tuple[list[str], list[str]]:
    """The table, and in what its columns differ by more than 1e-6, or in which sentence."""
    first = next(iter(found.values()))
    names = sorted({name for column in found.values() for name in column.figures})
    width = max(len(name) for name in names)
    lines = ["  ".join([" " * width, *(f"{name:>21}" for name in found)])]
    wrong = []
    for name in names:
        values = [column.figures.get(name, math.nan) for column in found.values()]
        lines.append("  ".join([name.ljust(width), *(f"{value:21.12g}" for value in values)]))
        least = 1e-6 if any(word in name for word in DIFFERENCES) else 1e-12
        if any(value != pytest.approx(values[0], rel=1e-6, abs=least) for value in values):
            wrong.append(lines[-1])
    for column, it in found.items():
        if not alike(it.predictions, first.predictions, least=1e-3):  # told to three decimals
            wrong.append(f"{column}: predictions/test.json has other sentences or other numbers")
        if not alike(it.rows, first.rows, least=1e-6):
            wrong.append(f"{column}: the published table has other rows")
    return lines, wrong


def alike(one: Any, other: Any, least: float) -> bool:
    """Whether two nested values are equal, numbers to 1e-6, or to `least` where they are near 0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[key], other[key], least) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(alike(*pair, least) for pair in pairs)
    try:
        return float(one) == pytest.approx(float(other), rel=1e-6, abs=least)
    except (TypeError, ValueError):
        return bool(one == other)


def test_more_ranks_than_samples_are_refused(tmp_path: Path) -> None:
    """Not by waiting for ever, nor with a traceback."""
    write_maps(tmp_path / "air.nc", steps_of(300))
    dates = {
        "train": "[2001-01-01, 2001-02-20]",
        "validation": "[2001-02-22T06, 2001-03-04T12]",
        "test": "[2001-03-06T00, 2001-03-07T06]",
    }
    call = words(tmp_path, "tracking=off", *(f"data.split.{name}={period}" for name, period in dates.items()))
    trained = result("train", *call)["run"]
    with start("evaluate", f"run={trained}", "trainer=ddp_cpu", "trainer.devices=3") as process:
        try:
            _, told = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 2, told
    assert "2 samples cannot be shared by 3 ranks: use at most 2 (trainer.devices)" in told
    assert "Traceback" not in told
