"""fetch: the run within a registered model, whole and verified, or nothing."""

import shutil
from pathlib import Path

import pytest

from datamodules.errors import InputError
from pipelines.compose import compose
from pipelines.registry.contents import DATA, keep, list_digest, wrong_with
from pipelines.registry.fetch import fetch
from pipelines.registry.pyfunc import _load_pyfunc
from pipelines.registry.registry import DIGEST_TAG, Registry
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from tests.pipelines.conftest import Trained
from tests.pipelines.registry.conftest import Registered
from tests.pipelines.small_files import answer, result

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

CHAMPION = "models:/weather@champion"


def settings(registered: Registered) -> Settings:
    return compose(registered.words, data=False).settings


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_predict_takes_a_model_wherever_it_takes_a_run(registered: Registered, tmp_path: Path) -> None:
    expected = registered.predicted("weather")
    for model in (CHAMPION, "models:/weather/1"):
        output = tmp_path / "forecast.nc"
        words = (f"model={model}", f"input={registered.inputs['weather']}", f"output={output}")
        result("predict", *words, *registered.words)
        assert output.stat().st_size == pytest.approx(expected.stat().st_size, abs=2000)
    output = tmp_path / "captions.json"
    words = ("model=models:/clips@champion", f"input={registered.inputs['clips']}", f"output={output}")
    result("predict", *words, *registered.words)
    assert output.read_text() == registered.predicted("clips").read_text()


def test_a_copy_that_was_changed_or_is_half_there_is_set_right(registered: Registered) -> None:
    run = fetch(CHAMPION, settings(registered))
    whole = files(run.path)
    untouched = run.best.stat().st_mtime_ns
    assert fetch(CHAMPION, settings(registered)).best.stat().st_mtime_ns == untouched

    def cut() -> None:
        run.best.write_bytes(run.best.read_bytes()[:-100])

    def swap() -> None:
        run.config.write_text(run.config.read_text().replace("seed: 3", "seed: 4"))

    def lose() -> None:
        (run.path / "model" / "fitted.npz").unlink()

    def forge() -> None:
        swap()
        digests = (run.path / "SHA256SUMS").read_text().splitlines()
        (run.path / "SHA256SUMS").write_text("\n".join(digests[1:]) + "\n")

    def empty() -> None:
        shutil.rmtree(run.path)
        run.path.mkdir()

    for harm in (cut, swap, lose, forge, empty):
        harm()
        assert fetch(CHAMPION, settings(registered)) == run
        assert files(run.path) == whole, harm.__name__
    assert not list(run.path.parent.glob(".1.part-*"))


def test_damage_in_the_registry_itself_is_told_and_never_loaded(
    registered: Registered, tmp_path: Path
) -> None:
    result("register", f"run={registered.runs['weather'].path}", "model=damaged", *registered.words)
    version = registered.registry.version("damaged", 1)
    assert version is not None
    best = RunDir(Path(version.source) / DATA).best
    best.write_bytes(best.read_bytes()[:-1])
    status, _, said = answer("predict", "model=models:/damaged/1", *registered.words)
    assert (status, "best.ckpt is not as it was packed" in said) == (2, True), said
    assert not (registered.folder / "runs" / "models" / "damaged" / "1").exists()
    with pytest.raises(InputError, match="not as it was packed"):
        _load_pyfunc(str(Path(version.source) / DATA))


def test_a_model_that_is_not_there_is_named_with_what_is(registered: Registered) -> None:
    told = {
        "models:/weather@chamipon": "aliases @champion",
        "models:/weather/7": "versions 1",
        "models:/wether@champion": "did you mean weather",
        "models:/weather": "models:/NAME@ALIAS or models:/NAME/NUMBER",
        "models:/../x@champion": "models:/NAME@ALIAS or models:/NAME/NUMBER",
        "models:/..@champion": "not a name",
        "models:/weather@latest": "not an alias",
    }
    for uri, what in told.items():
        with pytest.raises(InputError, match=r"model=|alias=") as error:
            fetch(uri, settings(registered))
        assert what in str(error.value), error.value


def test_a_version_that_others_made_is_refused(registered: Registered) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=registered.uri, registry_uri=registered.uri)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", str(registered.folder), run_id=None)
    with pytest.raises(InputError, match="not made by skyreel register"):
        fetch("models:/theirs/1", settings(registered))


def test_the_list_of_digests_cannot_lead_outside(trained: Trained, tmp_path: Path) -> None:
    keep(trained.run, tmp_path / "kept")
    assert wrong_with(tmp_path / "kept", list_digest(tmp_path / "kept")) is None
    with (tmp_path / "kept" / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  ../secret\n")
    assert "outside" in (wrong_with(tmp_path / "kept") or "")


def test_a_digest_of_the_run_stands_in_the_registry(registered: Registered) -> None:
    registry: Registry = registered.registry
    version = registry.version("weather", "champion")
    assert version is not None
    assert version.tags[DIGEST_TAG] == list_digest(Path(version.source) / DATA)
