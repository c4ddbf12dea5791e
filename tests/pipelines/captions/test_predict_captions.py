"""Sentences for clips of one's own: files of three kinds, pieces, and clips that cannot be read."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from datamodules.video.clips import CaptionedClip
from pipelines.captions.caption_files import as_vtt
from pipelines.captions.predict import cut, named_files
from pipelines.captions.written import Rival, Written
from tests.pipelines.captions.conftest import Captioned
from tests.pipelines.small_files import answer, result

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def test_json_holds_sentence_rivals_attention_and_time(captioned: Captioned, tmp_path: Path) -> None:
    output = tmp_path / "captions.json"
    wanted = f"input={captioned.clips / 'clips' / 'clip000[1-3].mp4'}"
    found = result("predict", f"run={captioned.run.path}", wanted, f"output={output}")
    assert found == {"output": str(output), "clips": 3, "captions": 3, "bad_clips": {}}
    captions = json.loads(output.read_text())
    assert [one["clip"] for one in captions] == ["clip0001", "clip0002", "clip0003"]
    assert all(one["n_best"] and one["attention"]["weights"] for one in captions)


def test_a_clip_gets_the_sentence_that_the_test_gave_it(captioned: Captioned, tmp_path: Path) -> None:
    tested = json.loads((captioned.run.predictions / "test.json").read_text())
    one = tested[0]
    output = tmp_path / "captions.csv"
    result("predict", f"run={captioned.run.path}", f"input={one['file']}", f"output={output}")
    (row,) = csv.DictReader(output.read_text().splitlines())
    assert row["caption"] == one["caption"]
    assert float(row["log_probability"]) == pytest.approx(one["log_probability"], abs=1e-4)


def test_subtitles_are_of_one_clip_in_pieces(captioned: Captioned, tmp_path: Path) -> None:
    output, clip = tmp_path / "clip.vtt", captioned.clips / "clips" / "clip0001.mp4"
    words = (f"run={captioned.run.path}", f"output={output}", "task.pieces=1")
    result("predict", *words, f"input={clip}")
    text = output.read_text()
    assert text.startswith("WEBVTT\n")
    assert "00:00:00.000 --> 00:00:01.000" in text
    assert text.count("-->") == 3
    status, _, said = answer("predict", *words, f"input={captioned.clips / 'clips'}")
    assert status == 2
    assert "subtitles belong to one clip" in said


def test_a_folder_of_images_within_the_input_is_one_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("film.mp4", "stills/1.png", "stills/2.png", "mixed/a.mp4", "mixed/b.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    wanted = ["film.mp4", "mixed/a.mp4", "mixed/b.png", "stills"]
    assert named_files(str(tmp_path)) == [tmp_path / name for name in wanted]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named_files("~/*.mp4") == [tmp_path / "film.mp4"]


def test_what_cannot_be_read_or_written_is_told(captioned: Captioned, tmp_path: Path) -> None:
    run = f"run={captioned.run.path}"
    (tmp_path / "broken.mp4").write_bytes(b"no clip at all")
    for more, told in (
        ((f"input={tmp_path / 'nothing*.mp4'}",), "names no clip"),
        ((f"input={tmp_path / 'broken.mp4'}",), "data.bad_clips=skip"),
        ((f"input={captioned.clips / 'clips'}", f"output={tmp_path / 'a.txt'}"), ".json, .csv, .vtt"),
        ((f"input={captioned.clips / 'clips'}", f"output={tmp_path / 'no' / 'a.json'}"), "does not exist"),
    ):
        status, _, said = answer("predict", run, *more)
        assert status == 2
        assert told in said


def test_pieces_cover_a_clip_and_the_last_is_never_a_crumb() -> None:
    clip = CaptionedClip("a", Path("a.mp4"))
    for duration in (0.4, 9.9, 10.0, 10.1, 12.4, 12.6, 25.0):
        pieces = cut(clip, duration, 10.0)
        assert pieces[0].start == 0
        assert pieces[-1].stop == duration
        assert all(one.stop == other.start for one, other in pairwise(pieces))
        assert all((one.stop or 0) - (one.start or 0) >= min(2.5, duration) for one in pieces)
    assert cut(clip, 60.0, None) == [clip]


def test_signs_of_markup_in_subtitles_are_shown_as_they_are() -> None:

    one = Written(
        "a", (Rival("a < b & c", -1.0, -1.0),), (), np.empty((0, 0)), np.empty(0), start=0.0, stop=3661.5
    )
    assert as_vtt([one]) == "WEBVTT\n\n00:00:00.000 --> 01:01:01.500\na &lt; b &amp; c\n"
