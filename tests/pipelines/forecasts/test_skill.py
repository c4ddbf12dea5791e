"""The figures of a run carry the agreed names, hold no NaN, and the table shows who is best."""

import csv
import io
import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from datamodules.gridded.describe import Step
from pipelines.forecasts.skill import ScoreTable, flat_metrics, skill_rows, write_skill_csv
from pipelines.forecasts.skill_table import show_skill, shown_leads
from pipelines.rundir import write_metrics

SIX_HOURS = Step(seconds=21600)


def score_table(step: Step = SIX_HOURS, leads: int = 4) -> ScoreTable:
    """Skyreel at 0.75 of persistence at every lead, climatology (whose ACC is not defined) far behind."""
    persistence = np.outer(np.arange(1.0, leads + 1), [2.0, 600.0])
    nothing = np.full_like(persistence, np.nan)
    scores = {
        "skyreel": {"rmse": 0.75 * persistence, "acc": 0 * persistence + 0.9},
        "persistence": {"rmse": persistence, "acc": 0 * persistence + 0.5, "samples": persistence},
        "climatology": {"rmse": 10 * persistence, "acc": nothing},
    }
    return ScoreTable(
        ("air", "slp"),
        ("degK", "Pa"),
        tuple(step.lead_name(n) for n in range(1, leads + 1)),
        tuple(n * step.hours for n in range(1, leads + 1)),
        scores,
    )


def test_metrics_have_the_names_that_scripts_rely_on() -> None:
    metrics = flat_metrics(score_table())
    assert metrics["test/rmse/air/24h"] == 6.0
    assert metrics["test/skill_persistence/air/24h"] == 0.25
    assert metrics["reference/persistence/rmse/air/24h"] == 8.0
    assert metrics["test/acc/slp/6h"] == 0.9
    assert not [key for key in metrics if "samples" in key]


def test_calendar_months_are_named_in_months() -> None:
    assert flat_metrics(score_table(Step(months=1)))["test/rmse/air/3mo"] == 4.5
    assert skill_rows(score_table(Step(months=1)))[0].lead_hours == 730.5


def test_what_is_not_defined_has_no_key_and_no_row() -> None:
    assert "reference/climatology/acc/air/6h" not in flat_metrics(score_table())
    assert all(np.isfinite(row.value) for row in skill_rows(score_table()))


def test_a_figure_of_the_model_that_is_not_finite_is_told(caplog: pytest.LogCaptureFixture) -> None:
    table = score_table()
    np.asarray(table.scores["skyreel"]["rmse"])[0, 0] = np.nan
    with caplog.at_level(logging.WARNING):
        metrics = flat_metrics(table)
    assert "test/rmse/air/6h" in caplog.text
    assert "test/rmse/air/6h" not in metrics


def test_two_variables_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'air'"):
        flat_metrics(score_table(), score_table())


def test_scores_of_another_shape_and_a_table_without_the_model_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 1\), not \(lead, variable\) = \(1, 2\)"):
        ScoreTable(("a", "b"), ("", ""), ("6h",), (6.0,), {"skyreel": {"rmse": np.ones((1, 1))}})
    with pytest.raises(ValueError, match="skyreel"):
        ScoreTable(("a",), ("",), ("6h",), (6.0,), {"linear": {"rmse": np.ones((1, 1))}})


def test_files_read_back_and_leave_nothing_beside_them(tmp_path: Path) -> None:
    rows, metrics = skill_rows(score_table()), flat_metrics(score_table())
    write_skill_csv(tmp_path / "skill.csv", rows)
    write_metrics(tmp_path / "metrics.json", metrics)
    with (tmp_path / "skill.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == ["variable", "lead_hours", "metric", "model", "value"]
    assert list(read[0].values()) == ["air", "6", "rmse", "skyreel", "1.5"]
    assert [float(row["value"]) for row in read] == [row.value for row in rows]
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "skill.csv"]


def shown(table: ScoreTable, terminal: bool) -> str:
    """What `show_skill` prints."""
    colours = "standard" if terminal else None
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=colours)
    show_skill(table, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_unit_best_and_gain_on_the_best_reference() -> None:
    text = shown(score_table(), terminal=False)
    assert "air: test RMSE (degK)" in text
    assert "6.00*" in text
    assert "+25.0 %" in text
    assert text.isascii()
    assert "\x1b" not in text


def test_a_terminal_gets_the_best_in_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = shown(score_table(), terminal=True)
    assert re.search(r"\x1b\[1m *6\.00\x1b", text)
    assert "*" not in text


def test_a_terminal_that_knows_no_styles_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "6.00*" in shown(score_table(), terminal=True)


def test_a_table_without_references_has_no_gain() -> None:
    table = ScoreTable(("air",), ("",), ("6h",), (6.0,), {"skyreel": {"rmse": np.ones((1, 1))}})
    assert "%" not in shown(table, terminal=False)


@pytest.mark.parametrize("count", [1, 2, 12, 13, 40, 100])
def test_few_leads_are_shown_the_first_and_the_last_among_them(count: int) -> None:
    leads = shown_leads(count, 12)
    assert {0, count - 1} <= set(leads)
    assert len(leads) <= 13
