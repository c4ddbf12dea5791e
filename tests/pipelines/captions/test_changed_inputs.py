"""What changes between two calls: captions, files, settings, the run that weights came from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from datamodules.video.clips import CaptionedClip
from datamodules.video.options import VocabularyOptions
from datamodules.video.vocabulary import fit_vocabulary
from pipelines.captions.features import name_in_store
from pipelines.captions.model import build_module
from pipelines.compose import compose
from pipelines.rundir import RunDir
from tests.pipelines.captions.conftest import Captioned
from tests.pipelines.captions.small_clips import words
from tests.pipelines.small_files import answer, result

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture
def copied(captioned: Captioned, tmp_path: Path) -> RunDir:
    """A copy of the finished run that may be changed."""
    return RunDir(Path(shutil.copytree(captioned.run.path, tmp_path / "runs" / "tiny" / "a")))


def test_an_unfinished_run_keeps_the_words_that_its_weights_know(
    captioned: Captioned, copied: RunDir, tmp_path: Path
) -> None:
    clips = Path(shutil.copytree(captioned.clips, tmp_path / "clips"))
    config = copied.config.read_text().replace(str(captioned.clips), str(clips))
    copied.config.write_text(config)
    copied.metrics.unlink()
    captions = clips / "captions.csv"
    captions.write_text(captions.read_text().replace(" a ", " some "))
    kept = copied.path / "model" / "vocabulary.json"
    before = kept.read_bytes()
    status, _, said = answer("train", *words(clips, tmp_path, "tracking=off", "trainer.max_epochs=3"))
    assert status == 2
    assert "not those that this run began with" in said
    assert kept.read_bytes() == before


def test_figures_of_other_settings_leave_the_run_as_it_is(copied: RunDir) -> None:
    before = copied.metrics.read_text(), (copied.predictions / "test.json").read_text()
    found = result("evaluate", f"run={copied.path}", "task.decoding.max_words=1", "data.batch_size=5")
    assert found["metrics"]["test/mean_words"] <= 1
    assert (copied.metrics.read_text(), (copied.predictions / "test.json").read_text()) == before
    copied.metrics.unlink()
    result("evaluate", f"run={copied.path}", "data.batch_size=5")
    assert json.loads(copied.metrics.read_text()) == pytest.approx(json.loads(before[0]), rel=1e-6)


def test_a_run_is_judged_without_the_run_that_it_began_from(copied: RunDir) -> None:
    config = copied.config.read_text()
    copied.config.write_text(config.replace("start: null", "start: runs/tiny/long_gone"))
    assert copied.config.read_text() != config
    assert result("evaluate", f"run={copied.path}")["metrics"]["test/clips"] == 30


def test_weights_without_their_words_are_refused(captioned: Captioned, tmp_path: Path) -> None:
    alone = shutil.copy(captioned.run.best, tmp_path / "alone.ckpt")
    status, _, said = answer("train", *words(captioned.clips, tmp_path, f"start={alone}"))
    assert status == 2
    assert f"start={alone}: the words that these weights know" in said


def test_weights_that_do_not_fit_say_what_does_not(captioned: Captioned, tmp_path: Path) -> None:
    call = words(captioned.clips, tmp_path, "tracking=off", "model.decoder.hidden=20")
    status, _, said = answer("train", *call, f"start={captioned.run.path}")
    assert status == 2
    assert "size mismatch for model.decoder." in said


def test_annotations_may_be_a_pattern(clips: Path, tmp_path: Path) -> None:
    assert result("prepare", *words(clips, tmp_path, f"data.annotations={clips}/capt*.csv"))["sources"] == [
        str(clips / "captions.csv")
    ]


def test_a_file_in_the_place_of_another_is_read_anew_for_the_store(clips: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(clips, tmp_path / "clips"))
    more = ("data.features=store", "model.encoder.frozen=true", "tracking=off")
    call = words(copy, tmp_path, *more)
    first = result("prepare", *call)["features"]
    (store,) = (tmp_path / "stores").glob("features-*[!k]")
    known = json.loads((store / "index.json").read_text())["clips"]
    changed = copy / "clips" / "clip0001.mp4"
    shutil.copyfile(copy / "clips" / "clip0002.mp4", changed)
    assert result("prepare", *call)["features"] == first
    now = json.loads((store / "index.json").read_text())["clips"]
    (new,) = set(now) - set(known)
    assert new.startswith("clip0001 ")
    values = np.fromfile(store / "features.f16", np.float16).reshape(-1, first["cells"], first["width"])
    (other,) = (name for name in known if name.startswith("clip0002 "))
    start, count = now[new]
    beside, _ = now[other]
    np.testing.assert_allclose(values[start : start + count], values[beside : beside + count], atol=1e-2)


def test_another_stretch_of_a_file_has_another_name_in_the_store(clips: Path) -> None:
    file = clips / "clips" / "clip0001.mp4"
    names = {
        name_in_store(CaptionedClip("a", file, start, stop)) for start in (None, 1.0) for stop in (2.0, None)
    }
    assert len(names) == 4


def test_clips_without_features_made_elsewhere_stop_the_run_or_are_left_out(
    clips: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    ids = sorted(path.stem for path in (clips / "clips").iterdir())
    for number, clip in enumerate(ids[1:]):
        rng = np.random.default_rng(number)
        np.save(made / f"{clip}.npy", rng.normal(size=(3, 5)).astype(np.float32))
    call = words(clips, tmp_path, f"data.features={made}", "model.encoder.frozen=true", "tracking=off")
    status, _, said = answer("prepare", *call)
    assert status == 2
    assert f"{ids[0]}: no features in {made}" in said
    assert "data.bad_clips=skip" in said
    found = result("prepare", *call, "data.bad_clips=skip")
    assert found["bad_clips"] == {ids[0]: f"no features in {made}"}
    assert found["features"]["width"] == 5


def test_sentences_are_compared_with_references_without_regard_to_case(clips: Path, tmp_path: Path) -> None:
    settings = compose(words(clips, tmp_path)).settings
    vocabulary = fit_vocabulary(["A Red ball falls"], VocabularyOptions(min_count=1, lower=False))
    references = {"validation": [["a red ball falls"], ["two dogs"]]}
    module = build_module(settings, vocabulary, None, references)
    assert module.spell(vocabulary.encode("A Red ball falls")[1:]) == "a red ball falls"
