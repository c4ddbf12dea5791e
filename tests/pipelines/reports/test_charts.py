"""Curves come from the journal, lose no peak, and are drawn with what they say in words."""

from pathlib import Path

from pipelines.reports.charts import Line, chart, thinned
from pipelines.reports.curves import curve_charts, curves_of
from pipelines.tracking.journal import Journal


def test_a_long_curve_keeps_its_ends_its_lowest_and_its_highest_point() -> None:
    points = tuple((float(step), float((step * 7919) % 1000)) for step in range(10_000))
    found = thinned(points)
    assert len(found) <= 240
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert {0.0, 999.0} <= {y for _, y in found}
    assert list(found) == sorted(found)


def test_a_chart_without_a_finite_point_is_not_drawn() -> None:
    assert chart("loss", [Line("a", ((0.0, float("nan")),))], "step") == ""


def test_a_chart_says_in_words_where_its_lines_end() -> None:
    found = chart("loss", [Line("a <b>", ((0.0, 2.0), (10.0, 1.5)))], "step")
    assert "a &lt;b&gt;: 1.50 at 10" in found
    assert 'role="img"' in found


def test_a_step_told_again_by_a_later_launch_has_its_last_value(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step, loss in ((10, 3.0), (20, 2.0), (20, 1.5), (30, 1.0)):
        journal.append("metrics", metrics={"train/loss": loss, "system/cpu": 1.0, "epoch": 0}, step=step)
    journal.append("metrics", metrics={"test/rmse": 1.0}, step=30)
    journal.close()
    (curve,) = curves_of(tmp_path)
    assert (curve.split, curve.figure) == ("train", "loss")
    assert curve.points == ((10.0, 3.0), (20.0, 1.5), (30.0, 1.0))
    assert "<svg" in curve_charts({"a": [curve]})


def test_a_run_without_a_journal_has_no_curves(tmp_path: Path) -> None:
    assert curves_of(tmp_path) == []
    assert curve_charts({"a": []}) == ""
