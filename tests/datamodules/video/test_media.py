"""Each clip finds its one file, whichever way the folder is laid out; doubt is refused, absence is told."""

from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.video.annotations.corpus import Clip, Corpus
from datamodules.video.annotations.names import captions_of_names
from datamodules.video.annotations.read import read_annotations
from datamodules.video.media import find_media, list_media
from tests.datamodules.video.annotation_files import msvd


def lay(folder: Path, *names: str) -> Path:
    """The folder with files of these names; what they hold is not looked at."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def corpus_of(*clips: str | Clip) -> Corpus:
    """A corpus of clips given whole, or by their ids."""
    whole = [clip if isinstance(clip, Clip) else Clip(clip, ("a dog",)) for clip in clips]
    return Corpus({clip.id: clip for clip in whole}, "table", (), ())


def found(folder: Path, *clips: str | Clip) -> dict[str, str]:
    """The path in the folder of each clip that is found."""
    media = find_media(folder, corpus_of(*clips))
    return {name: path.relative_to(folder).as_posix() for name, path in media.files.items()}


def test_clips_are_found_by_id_with_any_ending_at_any_depth(tmp_path: Path) -> None:
    lay(tmp_path, "a.mp4", "deep/er/b.WEBM", "c.1_2.avi", "deep/d.jpg", "d.txt", ".hidden/e.mp4", "._a.mp4")
    wanted = {"a": "a.mp4", "b": "deep/er/b.WEBM", "c.1_2": "c.1_2.avi", "d": "deep/d.jpg"}
    assert found(tmp_path, *wanted) == wanted
    assert found(tmp_path, "a.mp4", "deep/er/b") == {"a.mp4": "a.mp4", "deep/er/b": "deep/er/b.WEBM"}


def test_missing_and_extra_files_are_told_in_order(tmp_path: Path) -> None:
    lay(tmp_path, "z.mp4", "a.mp4", "b.mp4", "stills/1.png", "stills/2.png", "used/1.png", "used/2.png")
    media = find_media(tmp_path, corpus_of("y", "a", "c", "used"))
    assert media.missing == ("y", "c")
    assert media.extra == tuple(tmp_path / name for name in ("b.mp4", "stills", "z.mp4"))


def test_a_folder_of_images_is_a_clip_unless_a_file_has_the_name(tmp_path: Path) -> None:
    lay(tmp_path, "a/0.png", "a/1.png", "a/notes.txt", "b/0.png", "b.mp4", "c/0.png", "c/film.mp4")
    assert found(tmp_path, "a", "b", "film") == {"a": "a", "b": "b.mp4", "film": "c/film.mp4"}
    assert list_media(tmp_path).image_folders == (tmp_path / "a", tmp_path / "b")


def test_two_files_for_one_clip_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "a.mp4", "a.webm", "b.mp4", "deep/b.mp4")
    with pytest.raises(
        InputError, match=r"2 clips have more than one file: 'a' is a\.mp4 or a\.webm, 'b' is"
    ):
        find_media(tmp_path, corpus_of("a", "b"))
    chosen = [Clip("a", ("x",), file="a.webm"), Clip("b", ("x",), file="b.mp4")]
    assert found(tmp_path, *chosen) == {"a": "a.webm", "b": "b.mp4"}


def test_a_named_file_may_lie_elsewhere_lack_its_ending_or_serve_two_clips(tmp_path: Path) -> None:
    lay(tmp_path, "films/one.mp4", "films/flat.jpg", "films/id.mp4", "films/deep/odd.data")
    clips = [
        Clip("a", ("x",), file="one.mp4", stop=3.0),
        Clip("b", ("x",), file="one", start=3.0),
        Clip("c", ("x",), file="val2014/flat.jpg"),
        Clip("d", ("x",), file="deep/odd.data"),
        Clip("id", ("x",), file="vid7"),
    ]
    files = find_media(tmp_path / "films", corpus_of(*clips)).files
    assert [path.name for path in files.values()] == [
        "one.mp4",
        "one.mp4",
        "flat.jpg",
        "odd.data",
        "id.mp4",
    ]


@pytest.mark.parametrize(
    "name", ["../away.mp4", "a/../../away.mp4", "{}/away.mp4", "..\\away.mp4", "C:\\away.mp4"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    lay(tmp_path, "away.mp4", "films/a/one.mp4")
    clip = Clip("a", ("x",), file=name.format(tmp_path))
    with pytest.raises(InputError, match=r"clip 'a': the file .* data\.path.*ln -s"):
        find_media(tmp_path / "films", corpus_of(clip))


def test_an_id_only_chooses_among_what_lies_in_the_folder(tmp_path: Path) -> None:
    lay(tmp_path, "away.mp4", "films/one.mp4")
    ids = ("one", "../away", str(tmp_path / "away"))
    assert find_media(tmp_path / "films", corpus_of(*ids)).missing == ids[1:]


def test_links_that_lie_in_the_folder_are_followed(tmp_path: Path) -> None:
    lay(tmp_path, "store/a.mp4", "clips/b.mp4")
    (tmp_path / "clips" / "c.mp4").symlink_to(tmp_path / "store" / "a.mp4")
    (tmp_path / "all").symlink_to(tmp_path / "clips")
    clip = Clip("x", ("a dog",), file="c.mp4")
    assert found(tmp_path / "all", "b", clip) == {"b": "b.mp4", "x": "c.mp4"}


def test_msvd_clips_are_found_under_both_of_their_names(tmp_path: Path) -> None:
    rows = [f"a_{name},1,2,3,clean,4,English,A dog." for name in ("x", "y")]
    corpus = read_annotations(msvd(tmp_path, rows, ["a_x_1_2 vid1", "a_y_1_2 vid1970"]))
    lay(tmp_path / "clips", "vid1970.avi", "a_x_1_2.avi")
    files = find_media(tmp_path / "clips", corpus).files
    assert [path.name for path in files.values()] == ["a_x_1_2.avi", "vid1970.avi"]


def test_an_absent_folder_a_file_and_a_folder_without_any_clip_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, "clips/film.mp4")
    with pytest.raises(InputError, match=r"clip does not exist\. Near it: clips"):
        find_media(tmp_path / "clip", corpus_of("a"))
    with pytest.raises(InputError, match="is a file, not a folder"):
        find_media(tmp_path / "clips" / "film.mp4", corpus_of("a"))
    with pytest.raises(InputError, match=r"has no file for any of 2 clips \(a, b\)\. It holds film\.mp4"):
        find_media(tmp_path / "clips", corpus_of("a", "b"))


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    lay(tmp_path, "store/a.mp4", "clips/b.mp4")
    (tmp_path / "clips" / "more").symlink_to(tmp_path / "store")
    (tmp_path / "clips" / "round").symlink_to(tmp_path / "clips")
    assert found(tmp_path / "clips", "a", "b") == {"a": "more/a.mp4", "b": "b.mp4"}


def test_files_named_as_captioned_find_themselves(tmp_path: Path) -> None:
    lay(tmp_path, "pig.mp4", "pig.webm", "x/again.mkv", "again.mkv", "run/0.png", "run/1.png")
    corpus = captions_of_names(tmp_path)
    media = find_media(tmp_path, corpus)
    assert len(media.files) == len(set(media.files.values())) == 5
    assert not media.missing
    assert not media.extra


def test_the_same_content_in_two_codecs_is_two_files(real_data: Path) -> None:
    folder = real_data / "video" / "mdn"
    assert len(find_media(folder, captions_of_names(folder)).files) == 12
    with pytest.raises(InputError, match=r"'pig' is pig\.mp4 or pig\.webm"):
        find_media(folder, corpus_of("pig"))
