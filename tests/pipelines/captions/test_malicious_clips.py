"""Weights and features from elsewhere cannot run code in a captioner: refused, told, and nothing executed."""

import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipelines.rundir import RunDir
from tests.pipelines.captions.conftest import Captioned
from tests.pipelines.captions.small_clips import words
from tests.pipelines.malicious import FORMS, Form, Malicious, refused


@pytest.fixture
def bomb(tmp_path: Path) -> Malicious:
    return Malicious(tmp_path / "it-ran")


@FORMS
def test_weights_of_an_encoder(clips: Path, tmp_path: Path, bomb: Malicious, form: Form) -> None:
    file = form(tmp_path / "bad.pt", bomb)
    more = (f"model.encoder.weights={file}", "model.encoder.frozen=true", "tracking=off")
    said = refused(bomb, "train", *words(clips, tmp_path, *more))
    assert "model.encoder" in said
    assert str(file) in said


def test_features_in_numpy_files(clips: Path, tmp_path: Path, bomb: Malicious) -> None:
    made = tmp_path / "made"
    made.mkdir()
    np.save(made / "clip0001.npy", np.array([bomb], dtype=object), allow_pickle=True)
    more = (f"data.features={made}", "model.encoder.frozen=true")
    assert "clip0001.npy" in refused(bomb, "prepare", *words(clips, tmp_path, *more))


def test_features_in_an_hdf5_file(clips: Path, tmp_path: Path, bomb: Malicious) -> None:
    with h5py.File(tmp_path / "made.h5", "w") as file:
        file["clip0001"] = np.void(pickle.dumps(bomb))
    more = (f"data.features={tmp_path / 'made.h5'}", "model.encoder.frozen=true")
    assert "made.h5" in refused(bomb, "prepare", *words(clips, tmp_path, *more))


@FORMS
def test_the_best_checkpoint_of_a_captioner(
    captioned: Captioned, tmp_path: Path, bomb: Malicious, form: Form
) -> None:
    shutil.copytree(captioned.run.path, tmp_path / "run")
    run = RunDir(tmp_path / "run")
    form(run.best, bomb)
    film = next((captioned.clips / "clips").glob("*.mp4"))
    for call in (("evaluate",), ("predict", f"input={film}", f"output={tmp_path / 'never.json'}")):
        assert "best.ckpt" in refused(bomb, *call, f"run={run.path}")


@FORMS
def test_a_checkpoint_within_a_run_to_begin_from(
    captioned: Captioned, tmp_path: Path, bomb: Malicious, form: Form
) -> None:
    shutil.copytree(captioned.run.path, tmp_path / "run")
    file = form(RunDir(tmp_path / "run").best, bomb)
    said = refused(bomb, "train", *words(captioned.clips, tmp_path, f"start={file}", "tracking=off"))
    assert "start=FILE" in said
