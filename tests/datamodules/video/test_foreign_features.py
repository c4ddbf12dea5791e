"""Features of others are read as they are, or refused by the name of the clip."""

import multiprocessing
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.video.feature_identity import FeatureIdentity
from datamodules.video.feature_store import FeatureSource
from datamodules.video.feature_writer import FeatureWriter
from datamodules.video.foreign_features import ForeignFeatures, open_foreign_features

RNG = np.random.default_rng(0)


def values(*shape: int, kind: Any = np.float32) -> np.ndarray:
    """Some features of this shape."""
    return RNG.normal(size=shape).astype(kind)


def npy(folder: Path, clips: Mapping[str, np.ndarray]) -> Path:
    """A folder with one .npy file a clip."""
    for name, one in clips.items():
        file = folder / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, one)
    return folder


def hdf5(file: Path, clips: Mapping[str, np.ndarray]) -> Path:
    """An HDF5 file with one data set a clip."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as opened:
        for name, one in clips.items():
            opened.create_dataset(name, data=one)
    return file


FORMS = {"npy": npy, "hdf5": hdf5}
BOTH = pytest.mark.parametrize("form", sorted(FORMS))


def given(form: str, tmp_path: Path, clips: Mapping[str, np.ndarray]) -> ForeignFeatures:
    return open_foreign_features(FORMS[form](tmp_path / f"given.{form}", clips))


def check(source: FeatureSource, clip: str, wanted: np.ndarray) -> None:
    """The clip holds `wanted` (frame, cell, feature), at times that nobody knows."""
    found, times = source.features(clip)
    np.testing.assert_array_equal(found, wanted)
    assert found.flags.writeable
    assert times.dtype == np.float32
    assert times.shape == found.shape[:1]
    assert np.isnan(times).all()


@BOTH
def test_pooled_features_of_frames_have_one_cell(form: str, tmp_path: Path) -> None:
    clips = {"a": values(3, 5), "b": values(7, 5)}
    source = given(form, tmp_path, clips)
    assert source.clips == ("a", "b")
    assert (source.cells, source.width) == (1, 5)
    assert "2 clips with 1 x 5 features" in source.description
    for name, one in clips.items():
        check(source, name, one[:, None])


@BOTH
def test_spatial_features_keep_their_cells(form: str, tmp_path: Path) -> None:
    one = values(2, 4, 5)
    source = given(form, tmp_path, {"a": one})
    assert (source.cells, source.width) == (4, 5)
    check(source, "a", one)


@BOTH
def test_one_vector_a_clip_is_one_frame(form: str, tmp_path: Path) -> None:
    one = values(5)
    check(given(form, tmp_path, {"a": one, "b": values(2, 5)}), "a", one[None, None])


@BOTH
def test_precision_is_half_when_all_is_half_and_single_otherwise(form: str, tmp_path: Path) -> None:
    half = {"a": values(2, 5, kind=np.float16), "b": values(2, 5, kind=">f2")}
    source = given(form, tmp_path / "half", half)
    assert source.features("b")[0].dtype == source.precision == np.float16
    check(source, "b", half["b"][:, None].astype(np.float16))
    mixed = {**half, "c": values(2, 5, kind=np.float64)}
    source = given(form, tmp_path / "mixed", mixed)
    assert source.features("a")[0].dtype == np.float32
    check(source, "c", mixed["c"][:, None].astype(np.float32))


def test_files_in_folders_have_the_folder_in_their_id(tmp_path: Path) -> None:
    clips = {"train/one.mp4": values(2, 5), "t\u00fcr 2": values(2, 5)}
    source = open_foreign_features(npy(tmp_path / "all", clips))
    (tmp_path / "all" / "._one.npy").write_bytes(b"left by an archive")
    for name, one in clips.items():
        check(source, name, one[:, None])
    assert open_foreign_features(tmp_path / "all").clips == source.clips


def test_column_order_is_read_right(tmp_path: Path) -> None:
    one = np.asfortranarray(values(3, 5))
    check(open_foreign_features(npy(tmp_path / "all", {"a": one})), "a", one[:, None])


def test_data_sets_one_group_deep_have_their_own_name(tmp_path: Path) -> None:
    clips = {"train/a": values(2, 5), "test/b": values(3, 5), "c": values(1, 5)}
    source = open_foreign_features(hdf5(tmp_path / "all.h5", clips))
    assert set(source.clips) == {"a", "b", "c"}
    check(source, "b", clips["test/b"][:, None])
    with pytest.raises(InputError, match="clip 'a' is there twice, as test/a and train/a"):
        open_foreign_features(hdf5(tmp_path / "twice.h5", {"train/a": values(5), "test/a": values(5)}))
    with pytest.raises(InputError, match="one/two is a group in a group"):
        open_foreign_features(hdf5(tmp_path / "deep.h5", {"one/two/a": values(5)}))


@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 5), (3, 2, 4, 5)])
@pytest.mark.parametrize("ids", [["x", "v\u00f6", "z"], [11, 12, 13]], ids=["text", "numbers"])
def test_one_array_beside_ids_holds_a_clip_a_row(
    tmp_path: Path, shape: tuple[int, ...], ids: list[Any]
) -> None:
    array = values(*shape)
    with h5py.File(tmp_path / "all.h5", "w") as opened:
        opened["ids"], opened["features"] = ids, array
    source = open_foreign_features(tmp_path / "all.h5")
    assert source.clips == tuple(map(str, ids))
    check(source, str(ids[1]), array[1].reshape(source.features(str(ids[1]))[0].shape))
    assert (source.cells, source.width) == (4 if len(shape) == 4 else 1, 5)


def test_an_id_twice_beside_one_array_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as opened:
        opened["ids"], opened["features"] = ["x", "x"], values(2, 3, 5)
    with pytest.raises(InputError, match="ids names clip 'x' twice"):
        open_foreign_features(tmp_path / "all.h5")


@BOTH
def test_features_of_different_width_are_refused_with_two_clips(form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(1, 5\) in clip 'a' and \(1, 6\) in clip 'c'"):
        given(form, tmp_path, {"a": values(2, 5), "b": values(3, 5), "c": values(2, 6)})


@BOTH
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_values_that_are_not_finite_are_refused_when_read(form: str, tmp_path: Path, value: float) -> None:
    bad = values(4, 5)
    bad[2, 3] = value
    source = given(form, tmp_path, {"good": values(4, 5), "bad": bad})
    source.features("good")
    with pytest.raises(
        InputError, match=r"clip 'bad' has NaN, .* in 1 of its 4 frames, the first is number 2"
    ):
        source.features("bad")


@BOTH
def test_doubles_beyond_single_precision_are_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clip 'a' has NaN, infinite or too large"):
        given(form, tmp_path, {"a": np.full((1, 5), 1e300)}).features("a")


@BOTH
def test_a_clip_that_is_not_there_is_named_with_the_place(form: str, tmp_path: Path) -> None:
    source = given(form, tmp_path, {"a": values(2, 5)})
    assert "a" in source
    assert "z" not in source
    with pytest.raises(InputError, match=r"clip 'z' has no features in .*given.* 1 clips, such as 'a'"):
        source.features("z")


@BOTH
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (np.zeros((2, 5), dtype=np.int64), "int64; features are float16, float32 or float64"),
        (np.zeros((2, 5), dtype=np.complex64), "complex64"),
        (np.zeros((2, 3, 4, 5), dtype=np.float32), r"clip 'a' has shape \(2, 3, 4, 5\); features are"),
        (np.float32(3), r"clip 'a' has shape \(\)"),
    ],
    ids=["integers", "complex", "four axes", "a number"],
)
def test_arrays_that_are_no_features_are_refused(form: str, tmp_path: Path, wrong: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        given(form, tmp_path, {"a": wrong})


@BOTH
def test_clips_without_a_frame_are_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"clip 'a' has shape \(0, 5\)"):
        given(form, tmp_path, {"a": values(0, 5)})


class Bomb:
    """A pickle that would leave a trace."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, ("exploded",))


def test_pickles_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(npy(tmp_path / "objects", {}).parent / "a.npy", np.array([Bomb()], dtype=object))
    with pytest.raises(InputError, match=r"a\.npy cannot be read as features .* never read"):
        open_foreign_features(tmp_path)
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"a\.npy cannot be read as features"):
        open_foreign_features(tmp_path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"frame,feature\n1,2\n"])
def test_broken_npy_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    npy(tmp_path, {"a": values(2, 5)})
    (tmp_path / "b.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.npy cannot be read as features"):
        open_foreign_features(tmp_path)


def test_a_cut_npy_file_is_refused_by_name(tmp_path: Path) -> None:
    npy(tmp_path, {"a": values(20, 50)})
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:500])
    with pytest.raises(InputError, match=r"a\.npy cannot be read as features"):
        open_foreign_features(tmp_path)


def test_places_that_hold_no_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there; give pixels, store"):
        open_foreign_features(tmp_path / "absent")
    with pytest.raises(InputError, match=r"holds no \.npy file; one a clip"):
        open_foreign_features(tmp_path)
    with pytest.raises(InputError, match="holds no data set"):
        open_foreign_features(hdf5(tmp_path / "empty.h5", {}))
    (tmp_path / "text.csv").write_text("clip,caption")
    with pytest.raises(InputError, match=r"text\.csv is no whole HDF5 file"):
        open_foreign_features(tmp_path / "text.csv")


def test_a_store_of_this_project_is_told_how_to_be_used(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path / "store", FeatureIdentity("b", "w", {}, {}, {})) as writer:
        writer.add("a", values(1, 1, 5), np.zeros(1))
        writer.complete()
    with pytest.raises(InputError, match=r"data\.features=store"):
        open_foreign_features(tmp_path / "store")


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    file = hdf5(tmp_path / "all.h5", {"a": values(2, 5)})
    with h5py.File(file, "a") as opened:
        opened["b"] = h5py.SoftLink("/gone")
    with pytest.raises(InputError, match="b cannot be opened"):
        open_foreign_features(file)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = hdf5(tmp_path / "all.h5", {"a": values(2, 5)})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"all\.h5 needs the package `h5py`.*skyreel\[hdf5\]"):
        open_foreign_features(file)


@BOTH
def test_the_digest_tells_other_features_apart(form: str, tmp_path: Path) -> None:
    clips = {"a": values(2, 5)}
    first = given(form, tmp_path, clips)
    assert open_foreign_features(first.path).digest == first.digest
    assert given(form, tmp_path, {"a": values(3, 5)}).digest != first.digest


def read_elsewhere(source: FeatureSource, clip: str) -> np.ndarray:
    return source.features(clip)[0]


@BOTH
def test_other_processes_read_the_same(form: str, tmp_path: Path) -> None:
    clips = {f"c{number}": values(50, 40) for number in range(4)}
    source = given(form, tmp_path, clips)
    check(source, "c0", clips["c0"][:, None])  # an open handle must not reach another process
    assert len(pickle.dumps(source)) < 2000
    check(pickle.loads(pickle.dumps(source)), "c3", clips["c3"][:, None])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name, one in clips.items():
            np.testing.assert_array_equal(pool.apply(read_elsewhere, (source, name)), one[:, None])
