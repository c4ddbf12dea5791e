"""Words, presets and a run's own settings compose into one checked whole."""

from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import InputError
from pipelines.compose import compose, group_choices, to_yaml
from pipelines.find_run import find_run, runs_folder
from pipelines.mistakes import CallError, Mistake


def refused(*words: str, base: dict[str, Any] | None = None) -> dict[str, Mistake]:
    with pytest.raises(CallError) as caught:
        compose(words, base)
    return {mistake.key: mistake for mistake in caught.value.mistakes}


@pytest.mark.parametrize("preset", group_choices()["experiment"])
def test_every_preset_composes_and_names_its_experiment(preset: str) -> None:
    composed = compose([f"experiment={preset}"])
    assert composed.settings.run.experiment == preset
    assert composed.unset == ()


@pytest.mark.parametrize(
    "word",
    [f"{group}={choice}" for group in ("model", "task", "trainer") for choice in group_choices()[group]],
)
def test_every_choice_of_a_group_composes(word: str) -> None:
    compose([word, "data.path=maps.nc"])


def test_tracking_on_a_server_needs_its_address_and_takes_it() -> None:
    composed = compose(["tracking=server", "tracking.uri=http://127.0.0.1:5000", "data.path=maps.nc"])
    assert composed.settings.tracking.kind == "server"
    assert compose(["tracking=off", "data.path=maps.nc"]).settings.tracking_uri is None


def test_single_values_win_over_presets() -> None:
    composed = compose(["experiment=ncep_air", "task.history=3", "+trainer.max_steps=5"])
    assert composed.settings.task.history == 3
    assert composed.settings.task.horizon == 12
    assert composed.settings.trainer.max_steps == 5


def test_the_data_folder_comes_from_the_environment_and_the_call_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SKYREEL_DATA", "/real")
    assert compose(["experiment=ncep_air"]).config["data"]["path"].startswith("/real/weather/")
    assert (
        compose(["experiment=ncep_air", "paths.data=/mine"])
        .config["data"]["path"]
        .startswith("/mine/weather/")
    )
    monkeypatch.delenv("SKYREEL_DATA")
    assert compose(["experiment=ncep_air"]).config["data"]["path"].startswith("data/weather/")


def test_lists_of_files_and_dates_are_read() -> None:
    composed = compose(["data.path=[a.nc,b.nc]", "data.split.train=[2001-01-01,2005-12-31]",
                        "data.split.validation=[2006-01-01,2006-12-31]",
                        "data.split.test=[2007-01-01,2007-12-31]"])  # fmt: skip
    assert composed.settings.data.path == ["a.nc", "b.nc"]
    assert composed.settings.data.split.train == ("2001-01-01", "2005-12-31")


def test_any_files_need_their_path_and_the_mistake_names_it() -> None:
    found = refused("seed=1")
    assert list(found) == ["data.path"]
    assert "experiment=ncep_air" in found["data.path"].problem


def test_every_kind_of_mistake_is_told_at_once() -> None:
    found = refused("experiment=ncep_ait", "trainr.max_minutes=1", "trainer=gpuu", "ersst",
                    "seed=1,2", "data.path=a (1).nc", "~seed", "experimnt=ersst", "max_steps=3")  # fmt: skip
    assert found["experiment"].near == "ncep_air"
    assert found["trainr.max_minutes"].near == "trainer.max_minutes"
    assert found["trainer"].near == "gpu"
    assert found["ersst"].near == "experiment=ersst"
    assert "[1,2]" in found["seed"].problem
    assert '"a (1).nc"' in found["data.path"].problem
    assert "null" in found["~seed"].problem
    assert found["experimnt"].near == "experiment"
    assert found["max_steps"].near == "trainer.max_steps"


def test_a_runs_own_settings_come_back_the_same() -> None:
    first = compose(["experiment=ersst", "optimizer.learning_rate=0.003"])
    assert compose([], first.config).settings == first.settings


def test_a_group_chosen_for_a_run_replaces_that_section_and_no_other() -> None:
    first = compose(["experiment=ersst", "trainer.max_minutes=3", "seed=4"])
    again = compose(
        ["trainer=ddp_cpu", "trainer.devices=3", "tracking.uri=sqlite:///x.db"], first.config
    ).settings
    assert (again.trainer.strategy, again.trainer.devices, again.trainer.max_minutes) == ("ddp", 3, None)
    assert again.tracking.uri == "sqlite:///x.db"
    assert again.seed == 4
    assert again.task == first.settings.task
    assert again.run == first.settings.run


def test_a_mistake_in_the_settings_of_a_run_is_found_too() -> None:
    first = compose(["experiment=ersst"])
    assert refused("trainer.devcies=2", base=first.config)["trainer.devcies"].near == "trainer.devices"
    assert "run=" in refused("experiment=ncep_air", base=first.config)["experiment"].problem


def test_a_run_is_found_by_its_folder_or_its_mlflow_id(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine" / "first"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(to_yaml(compose(["experiment=ersst"]).config))
    identity = "0123456789abcdef" * 2
    (run / "provenance.json").write_text(f'{{"mlflow": {{"run_id": "{identity}"}}}}')
    runs = runs_folder(["seed=1", f"paths.runs={tmp_path / 'runs'}"])
    assert find_run(str(run), runs).path == run
    assert find_run(identity, runs).path == run
    assert runs_folder([]) == Path("runs")
    for absent in ("f" * 32, str(tmp_path / "absent"), str(tmp_path)):
        with pytest.raises(InputError, match=r"no run directory|not a run directory"):
            find_run(absent, runs)


def test_a_config_from_elsewhere_fetches_nothing_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYREEL_TEST_SECRET", "hidden")
    base = compose(["data=netcdf", "data.path=a.nc"]).config
    base["run"]["name"] = "${oc.env:SKYREEL_TEST_SECRET}"
    with pytest.raises(CallError) as refusal:
        compose([], base)
    assert "run.name" in str(refusal.value)
    assert "hidden" not in str(refusal.value)
