"""Without a champion, a challenger must beat knowing nothing; a champion's sinking score is a share."""

import numpy as np
import pytest

from pipelines.retraining.first_champion import beats_reference
from pipelines.retraining.paired import Cell, Paired
from pipelines.retraining.sinking import worse_by


@pytest.mark.parametrize(
    ("metrics", "passed"),
    [
        ({"test/skill_persistence/air/6h": -0.1, "test/skill_persistence/air/12h": 0.3}, True),
        ({"test/skill_persistence/air/6h": -0.3, "test/skill_persistence/air/12h": 0.1}, False),
        ({"test/cider": 0.5, "reference/constant/cider": 0.4}, True),
        ({"test/cider": 0.4, "reference/constant/cider": 0.4}, False),
        ({"test/loss": 0.1}, False),
    ],
)
def test_a_first_champion_beats_persistence_or_the_constant_caption(
    metrics: dict[str, float], passed: bool
) -> None:
    found, told = beats_reference(metrics)
    assert found is passed
    assert told.startswith("no champion yet")


def test_a_score_has_sunk_by_the_share_that_the_error_has_grown() -> None:
    cells = (Cell("air", "6h", "all"), Cell("air", "6h", "tropics"))
    squares = np.array([[1.44, 9.0], [np.nan, 9.0], [1.44, 9.0]])
    now = Paired(("a", "b", "c"), cells, squares, squares, "root_mean_square", 1, {"air": "K"})
    then = [
        {"quantity": "air", "lead": "6h", "part": "all", "challenger": 1.0},
        {"quantity": "air", "lead": "6h", "part": "tropics", "challenger": 1.0},
    ]
    assert worse_by(then, now) == pytest.approx(0.2)
    assert worse_by([], now) is None
