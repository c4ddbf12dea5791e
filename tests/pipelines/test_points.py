"""A run that goes on adds no point to a curve that is there already, and loses none."""

import json
import math
from pathlib import Path

from pipelines.rundir import RunDir
from pipelines.tracking.logger import JournalLogger


def points(folder: Path) -> list[tuple[str, int, float]]:
    """All points in the journal, in order."""
    lines = (folder / "tracking" / "journal.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record["kind"] == "metrics"]
    return [(name, one["step"], value) for one in records for name, value in one["metrics"].items()]


def launch(folder: Path, *told: tuple[dict[str, float], int]) -> JournalLogger:
    """A launch that tells some figures."""
    logger = JournalLogger(RunDir(folder))
    for metrics, step in told:
        logger.log_metrics(metrics, step)
    logger.journal.close()
    return logger


def test_steps_that_are_repeated_after_a_kill_are_told_once(tmp_path: Path) -> None:
    launch(tmp_path, *(({"train/loss": 1 / step}, step) for step in (10, 20, 30)))
    launch(tmp_path, *(({"train/loss": 1 / step}, step) for step in (20, 30, 40)))
    launch(tmp_path, *(({"train/loss": 1 / step}, step) for step in (40, 50)))
    assert points(tmp_path) == [("train/loss", step, 1 / step) for step in (10, 20, 30, 40, 50)]


def test_each_metric_goes_on_where_it_was(tmp_path: Path) -> None:
    launch(tmp_path, ({"validation/loss": 0.5, "epoch": 0.0}, 12))
    launch(tmp_path, ({"validation/loss": 0.5, "epoch": 0.0}, 12), ({"train/loss": 0.4, "epoch": 0.0}, 12))
    assert points(tmp_path) == [("validation/loss", 12, 0.5), ("epoch", 12, 0.0), ("train/loss", 12, 0.4)]


def test_the_epoch_that_is_told_with_two_figures_of_a_step_is_one_point(tmp_path: Path) -> None:
    launch(tmp_path, ({"validation/loss": 0.5, "epoch": 0.0}, 12), ({"train/loss": 0.4, "epoch": 0.0}, 12))
    assert [name for name, _, _ in points(tmp_path)] == ["validation/loss", "epoch", "train/loss"]


def test_within_a_launch_all_else_is_kept_as_told(tmp_path: Path) -> None:
    launch(tmp_path, ({"x": 1.0}, 5), ({"x": 2.0}, 5), ({"x": 3.0}, 4), ({"x": math.nan}, 6), ({"x": 1.0}, 7))
    assert [step for _, step, _ in points(tmp_path)] == [5, 5, 4, 6, 7]


def test_final_figures_appear_again_only_where_they_changed(tmp_path: Path) -> None:
    found = {"test/rmse": 2.0, "reference/rmse": math.nan}
    by_lead = [({"by_lead/test/rmse": value}, hours) for hours, value in ((6, 1.0), (12, 2.0))]
    launch(tmp_path, (found, 100), *by_lead)
    launch(tmp_path, (found, 100), *by_lead)
    launch(tmp_path, ({**found, "test/rmse": 1.5}, 120), ({"by_lead/test/rmse": 0.5}, 6), by_lead[1])
    again = [("test/rmse", 120, 1.5), ("reference/rmse", 120, math.nan), ("by_lead/test/rmse", 6, 0.5)]
    assert str(points(tmp_path)[4:]) == str(again)  # as text: NaN equals nothing


def test_the_newest_step_counts_this_launch_before_earlier_ones(tmp_path: Path) -> None:
    assert JournalLogger(RunDir(tmp_path)).newest_step == 0
    assert launch(tmp_path, ({"train/loss": 1.0}, 30), ({"other": 1.0}, 99)).newest_step == 30
    assert JournalLogger(RunDir(tmp_path)).newest_step == 30
    assert launch(tmp_path, ({"train/loss": 1.0}, 20)).newest_step == 20


def test_a_torn_or_foreign_line_costs_only_itself(tmp_path: Path) -> None:
    launch(tmp_path, ({"x": 1.0}, 1))
    with (tmp_path / "tracking" / "journal.jsonl").open("a") as file:
        file.write('{"kind":"metrics","metrics":{"x":2.0},"st\n{"kind":"metrics","metrics":3,"step":1}\n')
    launch(tmp_path, ({"x": 1.0}, 1), ({"x": 2.0}, 2))
    whole = [
        line for line in (tmp_path / "tracking" / "journal.jsonl").read_text().splitlines() if "time" in line
    ]
    assert [json.loads(line)["step"] for line in whole] == [1, 2]
