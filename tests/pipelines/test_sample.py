"""On the sample world, whose heating index acts a day or two later, a run that reads the series is better."""

from pathlib import Path

import pytest

from tests.pipelines.small_files import result

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")]


def test_a_series_that_carries_information_lowers_the_error(tmp_path: Path) -> None:
    shared = (
        "experiment=sample_weather",
        "data.sample.days=400",
        "trainer.max_epochs=3",
        "trainer.max_minutes=10",
        "tracking=off",
        f"paths.stores={tmp_path / 'stores'}",
        f"paths.runs={tmp_path / 'runs'}",
    )
    beside = result("train", *shared, "run.name=with_series")["metrics"]
    alone = result("train", *shared, "run.name=maps_only", "data.series=null")["metrics"]
    for lead in ("24h", "48h"):
        assert beside[f"test/rmse/air/{lead}"] < 0.95 * alone[f"test/rmse/air/{lead}"]
