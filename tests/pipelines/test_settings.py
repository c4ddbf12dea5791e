"""Settings are checked once, change never, and every mistake in them is told at once in the user's words."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.mistakes import Mistake, find_mistakes, nearest_key
from pipelines.settings import Settings, TrackingOptions, TrainerOptions


def plain(**sections: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "paths": {"data": "data"},
        "run": {"experiment": "mine"},
        "data": {"name": "mine", "path": "maps.nc"},
    }
    return base | sections


def mistakes_in(config: dict[str, Any]) -> dict[str, Mistake]:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(config)
    return {mistake.key: mistake for mistake in find_mistakes(caught.value, config, Settings)}


def test_settings_cannot_be_changed() -> None:
    settings = Settings.model_validate(plain())
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 3  # type: ignore[misc]


def test_settings_survive_the_way_through_plain_values() -> None:
    settings = Settings.model_validate(plain())
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


def test_all_mistakes_are_told_at_once_each_with_key_value_and_near_miss() -> None:
    found = mistakes_in(
        plain(
            trainer={"max_minuts": 1},
            trainr={"max_steps": 3},
            model={"recurrent": {"kind": "convgruu"}},
            optimizer={"learning_rate": -1},
        )
    )
    assert set(found) == {
        "trainer.max_minuts",
        "trainr.max_steps",
        "model.recurrent.kind",
        "optimizer.learning_rate",
    }
    assert found["trainer.max_minuts"].near == "trainer.max_minutes"
    assert found["trainr.max_steps"].near == "trainer.max_steps"
    assert found["model.recurrent.kind"].near == "convgru"
    assert found["model.recurrent.kind"].value == "convgruu"
    assert "convlstm" in found["model.recurrent.kind"].problem
    assert "greater than 0" in found["optimizer.learning_rate"].problem


def test_a_value_that_fits_no_branch_of_a_union_is_one_mistake() -> None:
    found = mistakes_in(plain(trainer={"devices": "many"}))
    assert list(found) == ["trainer.devices"]
    assert "auto" in found["trainer.devices"].problem


def test_a_missing_section_is_named() -> None:
    found = mistakes_in({key: value for key, value in plain().items() if key != "data"})
    assert "must be set" in found["data"].problem


def test_a_key_without_its_section_finds_its_section() -> None:
    assert (
        nearest_key("max_minutes", ["trainer.max_minutes", "trainer.max_steps", "seed"])
        == "trainer.max_minutes"
    )
    assert nearest_key("qqqq", ["trainer.max_minutes", "seed"]) is None


def test_training_without_an_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="no end"):
        TrainerOptions(max_epochs=None)
    assert TrainerOptions(max_epochs=None, max_minutes=1).max_minutes == 1


def test_no_devices_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1, or auto"):
        TrainerOptions(devices=0)


def test_precision_may_be_typed_as_a_number() -> None:
    assert TrainerOptions.model_validate({"precision": 32}).precision == "32"


@pytest.mark.parametrize(
    ("tracking", "expected"),
    [
        ({"kind": "none", "uri": "sqlite:///x.db"}, None),
        ({"uri": "sqlite:///x.db"}, "sqlite:///x.db"),
        ({"uri": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000"),
    ],
)
def test_the_tracking_address_is_the_one_given(tracking: dict[str, str], expected: str | None) -> None:
    assert Settings.model_validate(plain(tracking=tracking)).tracking_uri == expected


def test_tracking_goes_to_a_file_in_the_runs_folder_by_default(tmp_path: Path) -> None:
    settings = Settings.model_validate(plain(paths={"data": "data", "runs": str(tmp_path)}))
    assert settings.tracking_uri == f"sqlite:///{tmp_path.resolve()}/mlflow.db"


def test_an_http_address_makes_the_tracking_a_server() -> None:
    assert TrackingOptions.model_validate({"kind": "sqlite", "uri": "https://host"}).kind == "server"


def test_a_server_without_an_address_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"tracking\.uri="):
        TrackingOptions(kind="server")
