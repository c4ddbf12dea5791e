"""A registered model, loaded in a fresh process that has only MLflow, says what `skyreel predict` writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.pipelines.registry.conftest import Registered, asked

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def maps_as_rows(path: Path) -> dict[str, Any]:
    """The columns time and maps of the last five maps of a file with one variable."""
    with xr.open_dataset(path) as data:
        last = data["air"].isel(time=slice(-5, None))
        times = [str(one)[:19] for one in last["time"].values]
        return {"time": times, "maps": last.values[:, None].astype(float).tolist()}


@pytest.fixture(scope="module")
def answers(registered: Registered, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of both champions, loaded in one process."""
    clips = sorted(registered.inputs["clips"].glob("*.mp4"))
    maps = registered.inputs["weather"]
    weather = [{"path": str(maps), "time": None, "maps": None}, {"path": None, **maps_as_rows(maps)}]
    asks = {"weather": weather, "clips": [{"path": str(registered.inputs["clips"])}, {"path": str(clips[2])}]}
    return asked(registered, tmp_path_factory.mktemp("elsewhere"), asks)


def test_a_forecaster_gives_the_predicted_maps_to_the_bit(
    registered: Registered, answers: dict[str, Any]
) -> None:
    with xr.open_dataset(registered.predicted("weather")) as expected:
        for number in (0, 1):  # from the file, and from its maps
            rows = [row for row in answers["weather"]["rows"] if row["row"] == number]
            assert [row["lead"] for row in rows] == ["6h", "12h"]
            values = np.array([row["values"] for row in rows], dtype=np.float32)
            assert values.tobytes() == expected["air"].values.astype(np.float32).tobytes()
            assert rows[0]["units"] == expected["air"].attrs["units"]
            np.testing.assert_array_equal(rows[0]["lat"], expected["lat"])
            np.testing.assert_array_equal(rows[0]["lon"], expected["lon"])
            valid = [np.datetime64(row["valid_time"], "ns") for row in rows]
            np.testing.assert_array_equal(valid, expected["time"].values)
            assert np.datetime64(rows[0]["forecast_reference_time"]) == expected["forecast_reference_time"]
            assert [row["lead_hours"] for row in rows] == expected["forecast_period"].values.tolist()


def test_a_captioner_gives_the_predicted_captions_to_the_bit(
    registered: Registered, answers: dict[str, Any]
) -> None:
    expected = json.loads(registered.predicted("clips").read_text())
    rows = [{**row, "row": 0} for row in answers["clips"]["rows"] if row["row"] == 0]
    assert len(rows) > 20
    assert rows == [{"row": 0, **one} for one in expected]


def test_a_row_is_answered_as_a_call_of_predict_would_be(
    registered: Registered, answers: dict[str, Any]
) -> None:
    clips = sorted(registered.inputs["clips"].glob("*.mp4"))
    (expected,) = json.loads(registered.predicted("clips", input=str(clips[2])).read_text())
    (row,) = [row for row in answers["clips"]["rows"] if row["row"] == 1]
    assert row == {"row": 1, **expected}


def test_the_signature_names_the_columns_and_the_example_is_answered(answers: dict[str, Any]) -> None:
    assert answers["weather"]["inputs"] == ["path", "time", "maps"]
    assert answers["clips"]["inputs"] == ["path", "frames", "clip"]
    for model in ("weather", "clips"):
        assert answers[model]["columns"] == answers[model]["outputs"]
        assert answers[model]["example"] > 0


def test_the_code_comes_from_the_model_and_no_settings_folder_is_read(
    registered: Registered, answers: dict[str, Any]
) -> None:
    assert Path(answers["code"]).is_relative_to(registered.folder / "runs" / "mlartifacts")
    assert answers["conf"] is False
