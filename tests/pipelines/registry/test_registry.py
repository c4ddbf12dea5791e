"""Versions and aliases in a real MLflow database: what is registered is there whole, once, and can go."""

from pathlib import Path

import pytest
import yaml

from datamodules.errors import InputError
from pipelines.registry.contents import DATA
from pipelines.registry.registry import Registry, open_registry
from pipelines.rundir import RunDir
from tests.pipelines.registry.conftest import Registered
from tests.pipelines.small_files import answer

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def test_versions_come_with_their_aliases_tags_and_runs(registered: Registered) -> None:
    registry, run = registered.registry, registered.runs["weather"]
    made = [registry.register("several", run, tags={"skyreel.shot": f"a-{n}"}) for n in range(2)]
    assert [one.number for one in made] == [1, 2]
    registry.set_alias("several", "champion", 1)
    registry.set_alias("several", "champion", 2)
    registry.set_alias("several", "previous", 1)
    assert [one.aliases for one in registry.versions("several")] == [("previous",), ("champion",)]
    found = registry.version("several", "champion")
    assert found is not None
    assert (found.number, found.uri, found.tags["skyreel.shot"]) == (2, "models:/several/2", "a-1")
    assert registry.version("several", 1) == registry.version("several", "previous")
    registry.tag("several", 1, "skyreel.note", "rolled back")
    first = registry.version("several", 1)
    assert first is not None
    assert first.tags["skyreel.note"] == "rolled back"
    assert made[0].run_id == made[1].run_id

    registry.delete_alias("several", "previous")
    registry.delete_alias("several", "previous")
    registry.delete_version("several", 1)
    registry.delete_version("several", 1)
    assert [one.number for one in registry.versions("several")] == [2]
    assert not Path(made[0].source).exists()
    assert Path(made[1].source).exists()


def test_what_is_not_there_is_none(registered: Registered) -> None:
    registry = registered.registry
    assert registry.version("nobody", "champion") is None
    assert registry.version("nobody", 1) is None
    assert registry.versions("nobody") == []
    assert registry.version("weather", "previous") is None
    assert registry.version("weather", 99) is None
    registry.delete_alias("nobody", "champion")
    registry.delete_version("nobody", 1)


def test_a_run_that_was_tracked_elsewhere_gets_a_run_of_its_own_here(registered: Registered) -> None:
    registry = registered.registry
    from mlflow import MlflowClient

    version = registry.version("weather", 1)
    assert version is not None
    run = MlflowClient(tracking_uri=registry.uri).get_run(version.run_id)
    assert run.data.tags["skyreel.stands_for"] == "tiny/a"
    assert run.data.metrics["test/rmse/air/6h"] > 0
    clips = registry.version("clips", 1)
    assert clips is not None
    provenance = yaml.safe_load(registered.runs["clips"].provenance.read_text())
    assert clips.run_id == provenance["mlflow"]["run_id"]


def test_a_model_holds_no_pickle_pinned_requirements_and_a_card(registered: Registered) -> None:
    for name in ("weather", "clips"):
        version = registered.registry.version(name, 1)
        assert version is not None
        folder = Path(version.source)
        flavor = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
        assert (flavor["loader_module"], flavor["data"]) == ("pipelines.registry.pyfunc", DATA)
        assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]
        requirements = (folder / "requirements.txt").read_text().split()
        assert all("==" in one and "+" not in one and "skyreel" not in one for one in requirements)
        card = (folder / "README.md").read_text()
        assert "this model" in card
        assert f"models:/{name}@champion" in card
        assert registered.uri in card
        assert ("rmse/air/6h (K)" in card) == (name == "weather")
        assert "`path`" in card
        best = RunDir(folder / DATA).best
        assert best.stat().st_size < registered.runs[name].best.stat().st_size
        assert {path.name for path in (folder / "code").iterdir()} >= {"conf", "pipelines", "datamodules"}


def test_a_version_appears_once_its_files_are_there(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registered.registry
    from mlflow import MlflowClient

    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", broken)
    with pytest.raises(OSError, match="no space"):
        registry.register("half", registered.runs["weather"])
    assert registry.versions("half") == []


def test_mistakes_are_told_before_anything_is_made(registered: Registered, tmp_path: Path) -> None:
    run = f"run={registered.runs['weather'].path}"
    calls = {
        (run, "model=a/b"): "not a name",
        (run, "model=new", "alias=v1"): "not an alias",
        (run, "model=new", "tracking=off"): "tracking.kind=none",
    }
    for words, told in calls.items():
        status, _, said = answer("register", *words, *registered.words)
        assert (status, told in said) == (2, True), said
    (tmp_path / "config.yaml").write_text(registered.runs["weather"].config.read_text())
    status, _, said = answer("register", f"run={tmp_path}", "model=new", *registered.words)
    assert (status, "lacks checkpoints/best.ckpt" in said) == (2, True), said
    assert registered.registry.versions("new") == []
    with pytest.raises(InputError, match="not a name"):
        Registry(registered.uri).version("a:b", 1)
    assert open_registry.__doc__
