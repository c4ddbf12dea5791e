"""Files from elsewhere cannot run code, whichever way they come in: refused, told, and nothing executed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.rundir import RunDir
from tests.pipelines.conftest import Trained
from tests.pipelines.malicious import FORMS, Form, Malicious, as_torch_saves, refused
from tests.pipelines.small_files import words


@pytest.fixture
def bomb(tmp_path: Path) -> Malicious:
    return Malicious(tmp_path / "it-ran")


def of_another(trained: Trained, folder: Path) -> RunDir:
    """A copy of a finished run that may be spoilt."""
    shutil.copytree(trained.run.path, folder / "run")
    return RunDir(folder / "run")


@FORMS
@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_a_checkpoint_that_is_named(
    trained: Trained, tmp_path: Path, bomb: Malicious, verb: str, form: Form
) -> None:
    file = form(tmp_path / "bad.ckpt", bomb)
    more = (f"input={trained.maps}", f"output={tmp_path / 'never.nc'}") if verb == "predict" else ()
    said = refused(bomb, verb, f"run={trained.run.path}", f"checkpoint={file}", *more)
    assert str(file) in said
    assert "code in a checkpoint is never run" in said


def test_the_best_checkpoint_of_a_run_that_someone_gave(
    trained: Trained, tmp_path: Path, bomb: Malicious
) -> None:
    run = of_another(trained, tmp_path)
    as_torch_saves(run.best, bomb)
    said = refused(bomb, "evaluate", f"run={run.path}")
    assert "best.ckpt" in said
    assert "it would run posix.mkdir" in said


@pytest.mark.parametrize("name", ["fitted.npz", "grid.npz", "values.npy"])
def test_the_arrays_beside_a_checkpoint(trained: Trained, tmp_path: Path, bomb: Malicious, name: str) -> None:
    run = of_another(trained, tmp_path)
    file = run.path / "model" / name
    if name.endswith(".npy"):
        np.save(file, np.array([bomb], dtype=object), allow_pickle=True)
    else:
        with np.load(file, allow_pickle=False) as whole:
            arrays = dict.fromkeys(whole.files, np.array([bomb], dtype=object))
        np.savez(file, **arrays)
    said = refused(
        bomb, "predict", f"run={run.path}", f"input={trained.maps}", f"output={tmp_path / 'never.nc'}"
    )
    assert name in said


@FORMS
def test_weights_to_begin_from(trained: Trained, tmp_path: Path, bomb: Malicious, form: Form) -> None:
    shutil.copy(trained.maps, tmp_path / "air.nc")
    file = form(tmp_path / "bad.ckpt", bomb)
    said = refused(bomb, "train", *words(tmp_path, f"start={file}", "tracking=off"))
    assert "start=FILE" in said


def test_settings_that_name_a_class(trained: Trained, tmp_path: Path, bomb: Malicious) -> None:
    run = of_another(trained, tmp_path)
    text = run.config.read_text()
    run.config.write_text(f"{text}\nextra: !!python/object/apply:os.mkdir ['{bomb.mark}']\n")
    assert "config.yaml" in refused(bomb, "evaluate", f"run={run.path}")
