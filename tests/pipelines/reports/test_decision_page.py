"""The page of a decision: verdict, intervals, drift, data, what changed most; nothing runs but its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.reports.decision_page import decision_page
from tests.pipelines.reports.decisions import decision, verdict


def page_of(found: dict[str, Any], folder: Path) -> str:
    return decision_page(found, folder, folder / "report.html").read_text(encoding="utf-8")


def test_a_promotion_is_told_with_its_intervals_and_pictures(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "changed_1.png")
    text = page_of(decision(), tmp_path)
    assert "<h1>weather_daily, shot 0012: promoted</h1>" in text
    for told in (
        "The challenger is champion now",
        "version 4",
        "By lead time",
        "By region",
        "drifted",
        "20 new steps",
    ):
        assert told in text
    assert text.count("data:image/png") == 1
    assert text.count("<script") == 1
    assert "a cat &lt;script&gt;" in text


def test_a_refusal_gives_its_reasons(tmp_path: Path) -> None:
    found = verdict(-0.1)
    text = page_of(
        decision(outcome="refused", reason=found["told"], verdict=found, challenger=None), tmp_path
    )
    assert "The champion stays." in text
    assert "NO" in text
    for reason in found["reasons"]:
        assert reason.replace("'", "&#x27;") in text


@pytest.mark.parametrize("outcome", ["failed", "refused", "rolled_back", "nothing", "busy"])
def test_a_decision_that_came_to_nothing_more_has_a_page(outcome: str, tmp_path: Path) -> None:
    bare = {"job": "<b>", "shot": 1, "model": "m", "outcome": outcome, "reason": "the data look bad"}
    empty = dict.fromkeys(("trigger", "champion", "look", "drift", "verdict", "changed", "mlflow_run_id"))
    text = page_of({**bare, **empty, "runs": {}}, tmp_path)
    assert "The data look bad." in text
    assert "<b>," not in text


def test_a_picture_outside_the_folder_is_not_shown(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "secret.png")
    (tmp_path / "shot").mkdir()
    found = decision()
    found["changed"][0]["picture"] = "../secret.png"
    assert "data:image/png" not in page_of(found, tmp_path / "shot")
