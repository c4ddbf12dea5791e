"""Features are written once, survive any end of the writer, and are read as they were written."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.video.feature_identity import FeatureIdentity, store_path
from datamodules.video.feature_store import FeatureSource, FeatureStore
from datamodules.video.feature_writer import FeatureWriter

IDENTITY = FeatureIdentity(
    backbone="resnet18, spatial",
    weights_digest="ab" * 32,
    preprocessing={"mean": (0.485, 0.456, 0.406), "scale": 255},
    frames={"choice": "uniform", "count": 16, "augment": {"crop": 1.0}},
    versions={"av": "15.0"},
)
CELLS, WIDTH = 4, 6
LENGTHS = {"video1": 3, "a/b \u00fc.mp4": 1, "": 5, "C:\\d\n\"'": 2, "../up": 4}


def clip(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and times of a clip that depend on its name alone."""
    rng = np.random.default_rng([*name.encode(), seed])
    frames = LENGTHS.get(name, 2)
    return rng.normal(size=(frames, CELLS, WIDTH)).astype(np.float16), np.arange(frames, dtype=np.float32) / 3


def write(path: Path, *names: str, identity: FeatureIdentity = IDENTITY) -> Path:
    """A whole store of these clips, and of those that were there."""
    with FeatureWriter(path, identity) as writer:
        for name in names:
            if name not in writer:
                writer.add(name, *clip(name))
        return writer.complete()


def check(source: FeatureSource, *names: str) -> None:
    """All clips are there, as they were written, and no others."""
    assert source.clips == names
    for name in names:
        for found, wanted in zip(source.features(name), clip(name), strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return store_path(tmp_path / "stores", IDENTITY)


def test_clips_of_any_length_and_name_come_back_as_they_were_written(path: Path) -> None:
    assert write(path, *LENGTHS) == path
    store = FeatureStore.open(path, IDENTITY)
    check(store, *LENGTHS)
    assert (store.cells, store.width, store.digest) == (CELLS, WIDTH, IDENTITY.digest)
    assert "resnet18, spatial: 5 clips, 15 frames of 4 x 6" in store.description
    assert "" in store
    assert "other" not in store
    assert path.name == f"features-{IDENTITY.digest[:12]}"
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name]
    assert sorted(one.name for one in path.iterdir()) == ["features.f16", "index.json", "times.f32"]


def test_what_is_read_may_be_changed_and_the_store_stays(path: Path) -> None:
    store = FeatureStore.open(write(path, "video1"))
    store.features("video1")[0][:] = 0
    check(store, "video1")


def test_a_store_is_no_larger_than_its_values_in_half_precision(path: Path) -> None:
    write(path, *LENGTHS)
    assert (path / "features.f16").stat().st_size == 15 * CELLS * WIDTH * 2
    assert (path / "times.f32").stat().st_size == 15 * 4


def test_single_and_double_precision_are_rounded_to_half(path: Path) -> None:
    values = np.linspace(-70, 70, 2 * CELLS * WIDTH).reshape(2, CELLS, WIDTH)
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("double", values, np.zeros(2))
        writer.add("single", values.astype(np.float32), np.zeros(2, np.float32))
        store = FeatureStore.open(writer.complete())
    for name in ("double", "single"):
        np.testing.assert_array_equal(store.features(name)[0], values.astype(np.float16))


def test_nothing_is_seen_before_it_is_complete(path: Path) -> None:
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("video1", *clip("video1"))
        with pytest.raises(InputError, match=r"is no feature store: index\.json is not there"):
            FeatureStore.open(path)
        writer.complete()
    check(FeatureStore.open(path), "video1")


def test_an_interrupted_writer_is_gone_on_with(path: Path) -> None:
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("video1", *clip("video1"))
    with FeatureWriter(path, IDENTITY) as writer:
        assert list(writer.clips) == ["video1"]
        writer.add("../up", *clip("../up"))
        writer.complete()
    check(FeatureStore.open(path), "video1", "../up")


KILLED = """
import os, sys
import numpy as np
from pathlib import Path
from tests.datamodules.video.test_feature_store import IDENTITY, clip
from datamodules.video.feature_writer import FeatureWriter

writer = FeatureWriter(Path(sys.argv[1]), IDENTITY)
for number in range(100000):
    name = f"clip{number}"
    if name not in writer:
        writer.add(name, *clip(name))
    if number == 20:
        sys.stdout.write("begun")
        sys.stdout.flush()
"""


def test_a_writer_that_is_killed_loses_no_finished_clip(path: Path) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"begun"
        process.send_signal(signal.SIGKILL)
    with FeatureWriter(path, IDENTITY) as writer:
        done = list(writer.clips)
        assert len(done) > 20
        writer.add("after", *clip("after"))
        check(FeatureStore.open(writer.complete()), *done, "after")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["features.f16", "times.f32", "journal"]), st.floats(0, 1), st.booleans())
def test_files_cut_or_torn_anywhere_lose_the_clips_behind_the_damage_only(
    tmp_path_factory: pytest.TempPathFactory, name: str, where: float, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("torn") / "store"
    names = list(LENGTHS)
    with FeatureWriter(path, IDENTITY) as writer:
        for one in names:
            writer.add(one, *clip(one))
    file = path.parent / ".store.part" / name
    whole = file.read_bytes()
    at = int(where * (len(whole) - 1))
    file.write_bytes(whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with FeatureWriter(path, IDENTITY) as writer:
        done = list(writer.clips)
        assert done == names[: len(done)]
        assert len(done) < len(names)
    check(FeatureStore.open(write(path, *names)), *names)
    assert (path / "features.f16").stat().st_size == 15 * CELLS * WIDTH * 2


def test_clips_are_added_to_a_whole_store_and_its_readers_see_all_or_none(path: Path) -> None:
    write(path, "video1")
    before = FeatureStore.open(path)
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("../up", *clip("../up"))
        check(FeatureStore.open(path), "video1")
        writer.complete()
    check(before, "video1")
    check(FeatureStore.open(path), "video1", "../up")
    assert not (path / "journal").exists()


def test_adding_to_a_whole_store_is_gone_on_with_too(path: Path) -> None:
    write(path, "video1")
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("../up", *clip("../up"))
    check(FeatureStore.open(path), "video1")
    with FeatureWriter(path, IDENTITY) as writer:
        assert list(writer.clips) == ["video1", "../up"]
        writer.add("", *clip(""))
    with (path / "features.f16").open("ab") as torn:
        torn.write(b"half a clip")
    check(FeatureStore.open(write(path, "other")), "video1", "../up", "", "other")


def test_a_writer_that_dies_while_publishing_is_gone_on_with(path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("video1", *clip("video1"))
        journal = (part / "journal").read_bytes()
        writer.complete()
    (path / "journal").write_bytes(journal)  # died between the index and the end of the journal
    check(FeatureStore.open(write(path, "../up")), "video1", "../up")
    path.rename(part)  # died before the folder got its name
    check(FeatureStore.open(write(path)), "video1", "../up")


def test_completing_twice_changes_nothing(path: Path) -> None:
    write(path, "video1")
    before = (path / "index.json").read_bytes()
    check(FeatureStore.open(write(path)), "video1")
    assert (path / "index.json").read_bytes() == before


def test_two_stores_of_the_same_clips_are_equal_byte_by_byte(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, *LENGTHS) for name in ("one", "other"))
    for file in one.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()


def test_another_identity_is_refused_with_each_difference(path: Path) -> None:
    write(path, "video1")
    wanted = replace(
        IDENTITY, weights_digest="cd", frames={**IDENTITY.frames, "count": 8, "augment": {}}, versions={}
    )
    for use in (lambda: FeatureStore.open(path, wanted), lambda: FeatureWriter(path, wanted)):
        with pytest.raises(InputError) as refused:
            use()
        told = str(refused.value)
        assert f'weights_digest: found "{"ab" * 32}", wanted "cd"' in told
        assert "frames.count: found 16, wanted 8" in told
        assert "frames.augment.crop: found 1.0, wanted nothing" in told
        assert 'versions.av: found "15.0", wanted nothing' in told
        assert "preprocessing" not in told
        assert "paths.stores" in told


def test_unfinished_work_of_another_identity_is_refused_and_kept(path: Path) -> None:
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("video1", *clip("video1"))
    with pytest.raises(InputError, match='backbone: found "resnet18, spatial", wanted "other"'):
        FeatureWriter(path, replace(IDENTITY, backbone="other"))
    check(FeatureStore.open(write(path)), "video1")


def test_the_digest_is_of_values_and_not_of_their_python_types() -> None:
    listed = replace(
        IDENTITY, preprocessing={"scale": 255, "mean": [0.485, 0.456, 0.406]}, frames=dict(IDENTITY.frames)
    )
    assert listed.digest == IDENTITY.digest
    assert not listed.differences(IDENTITY)
    assert replace(IDENTITY, versions={"av": "16"}).digest != IDENTITY.digest


def test_the_index_says_what_made_the_features(path: Path) -> None:
    write(path, "video1")
    about = json.loads((path / "index.json").read_text())
    assert about["identity"] == IDENTITY.to_json()
    assert about["digest"] == IDENTITY.digest
    assert about["clips"] == {"video1": [0, 3]}


def test_a_clip_that_is_not_there_is_named_with_the_store(path: Path) -> None:
    store = FeatureStore.open(write(path, "video1"))
    with pytest.raises(InputError, match="clip 'video9' has no features in") as refused:
        store.features("video9")
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("value", [1e5, -1e5, np.nan, np.inf])
def test_values_beyond_half_precision_are_refused_with_the_clip(path: Path, value: float) -> None:
    values = np.zeros((2, CELLS, WIDTH), dtype=np.float32)
    values[1, 2, 3] = value
    with FeatureWriter(path, IDENTITY) as writer:
        with pytest.raises(InputError, match="clip 'video7': its features reach"):
            writer.add("video7", values, np.zeros(2))
        assert "video7" not in writer
        writer.add("video1", *clip("video1"))
        check(FeatureStore.open(writer.complete()), "video1")


def test_shapes_that_do_not_fit_and_clips_twice_are_refused(path: Path) -> None:
    times = np.zeros(2)
    with FeatureWriter(path, IDENTITY) as writer:
        writer.add("video1", *clip("video1"))
        with pytest.raises(ValueError, match=r"is in .* already"):
            writer.add("video1", *clip("video1"))
        with pytest.raises(ValueError, match=r"has \(cell, feature\) \(1, 6\)"):
            writer.add("b", np.zeros((2, 1, WIDTH)), times)
        for values in (np.zeros((2, WIDTH)), np.zeros((3, CELLS, WIDTH)), np.zeros((0, CELLS, WIDTH))):
            with pytest.raises(ValueError, match="one frame or more"):
                writer.add("c", values, times[: len(values)])


def test_a_store_without_a_clip_is_not_published(path: Path) -> None:
    with FeatureWriter(path, IDENTITY) as writer, pytest.raises(InputError, match="no clip has features"):
        writer.complete()
    assert not path.exists()


def test_a_folder_of_something_else_is_left_alone(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is no feature store"):
        FeatureWriter(path, IDENTITY)


def test_damaged_stores_are_refused_with_the_way_out(path: Path, tmp_path: Path) -> None:
    write(path, *LENGTHS)
    about = json.loads((path / "index.json").read_text())
    gap = {**about, "clips": {**about["clips"], "video1": [1, 3]}}
    for number, text in enumerate(
        ["{", "[]", json.dumps({**about, "format": 9}), json.dumps(gap), json.dumps({**about, "clips": None})]
    ):
        copy = Path(shutil.copytree(path, tmp_path / f"copy{number}"))
        (copy / "index.json").write_text(text)
        with pytest.raises(InputError, match=r"index\.json.*delete the folder"):
            FeatureStore.open(copy)
    for name in ("features.f16", "times.f32"):
        copy = Path(shutil.copytree(path, tmp_path / name))
        (copy / name).write_bytes((path / name).read_bytes()[:-1])
        with pytest.raises(InputError, match=f"{name} is absent or cut short"):
            FeatureStore.open(copy)
        (copy / name).unlink()
        with pytest.raises(InputError, match=f"{name} is absent or cut short"):
            FeatureStore.open(copy)


def test_a_store_pickles_as_its_path(path: Path) -> None:
    store = FeatureStore.open(write(path, *LENGTHS), IDENTITY)
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000
    check(pickle.loads(pickled), *LENGTHS)
