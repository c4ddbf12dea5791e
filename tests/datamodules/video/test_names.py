"""Without annotations, what a file is called is what is said of it."""

from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.video.annotations.names import captions_of_names


def test_file_names_are_captions_and_ids_stay_unique(tmp_path: Path) -> None:
    for name in ("thank_you.mkv", "x/again.mp4", "y/again.mp4", "pig.mp4", "pig.webm", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "red-ball").mkdir()
    for number in range(3):
        (tmp_path / "red-ball" / f"{number}.png").write_bytes(b"")
    corpus = captions_of_names(tmp_path)
    assert {name: (clip.captions, clip.file) for name, clip in corpus.clips.items()} == {
        "pig.mp4": (("pig",), "pig.mp4"),
        "pig.webm": (("pig",), "pig.webm"),
        "red-ball": (("red ball",), "red-ball"),
        "thank_you": (("thank you",), "thank_you.mkv"),
        "x/again": (("again",), "x/again.mp4"),
        "y/again": (("again",), "y/again.mp4"),
    }
    assert len(corpus.warnings) == 2
    (tmp_path / "__.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="has a name that says nothing"):
        captions_of_names(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no video and no image"):
        captions_of_names(tmp_path / "none")


def test_the_signs_are_twenty_words(real_data: Path) -> None:
    corpus = captions_of_names(real_data / "video" / "signs")
    assert len(corpus.clips) == 20
    assert all(clip.captions == (name,) for name, clip in corpus.clips.items())
