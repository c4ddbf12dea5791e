"""Clips that cannot be read are found before a run begins, and no file is opened twice for it."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.video.check import check_clips
from datamodules.video.clips import CaptionedClip
from datamodules.video.options import FrameOptions
from tests.datamodules.video.moving_clips import captioned_clips

FRAMES = FrameOptions(choice="uniform", count=3, size=16)


@pytest.fixture
def clips(tmp_path: Path) -> tuple[CaptionedClip, ...]:
    """Four short clips."""
    return captioned_clips(tmp_path, (1, 1, 1, 1), frames=8)


def spoil(clip: CaptionedClip) -> None:
    """Overwrite a clip with nothing, leaving its size and time of change: whoever opens it must notice."""
    assert clip.file is not None
    before = clip.file.stat()
    clip.file.write_bytes(bytes(before.st_size))
    os.utime(clip.file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_good_clips_stay_in_order_and_bad_ones_have_their_reason(
    clips: tuple[CaptionedClip, ...], tmp_path: Path
) -> None:
    assert clips[1].file is not None
    clips[1].file.write_bytes(b"")
    gone = CaptionedClip("gone", tmp_path / "gone.mp4")
    bare = CaptionedClip("bare", None)
    told: list[tuple[int, int]] = []
    asked = (*clips, gone, bare)
    found = check_clips(asked, FRAMES, tmp_path / "kept", lambda done, of: told.append((done, of)))
    assert found.good == (clips[0], clips[2], clips[3])
    assert set(found.bad) == {"v1", "gone", "bare"}
    assert "empty" in found.bad["v1"]
    assert "no such file" in found.bad["gone"]
    assert found.bad["bare"] == "it has no file"
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert check_clips(asked, FRAMES, tmp_path / "other", threads=3) == found


def test_a_clip_is_bad_where_any_of_its_pieces_is(clips: tuple[CaptionedClip, ...], tmp_path: Path) -> None:
    assert clips[1].file is not None
    clips[1].file.write_bytes(b"")
    pieces = (replace(clips[1], id="a"), replace(clips[0], id="a"), clips[2])
    found = check_clips(pieces, FRAMES, tmp_path / "kept")
    assert found.good == (clips[2],)
    assert set(found.bad) == {"a"}


def test_a_second_check_opens_nothing(clips: tuple[CaptionedClip, ...], tmp_path: Path) -> None:
    first = check_clips(clips, FRAMES, tmp_path / "kept")
    for clip in clips:
        spoil(clip)
    told: list[tuple[int, int]] = []
    again = check_clips(clips, FRAMES, tmp_path / "kept", lambda done, of: told.append((done, of)))
    assert again == first
    assert not first.bad
    assert not told
    assert [path.name[:6] for path in (tmp_path / "kept").glob("*.json")] == ["clips-"]


def test_a_clip_is_read_again_when_its_file_its_piece_or_the_way_of_reading_changes(
    clips: tuple[CaptionedClip, ...], tmp_path: Path
) -> None:
    check_clips(clips, FRAMES, tmp_path / "kept")
    one, other, third, _ = clips
    assert one.file is not None
    one.file.write_bytes(bytes(50))
    assert set(check_clips(clips, FRAMES, tmp_path / "kept").bad) == {one.id}
    spoil(other)
    part = CaptionedClip(other.id, other.file, start=0.2)
    assert set(check_clips((part, third), FRAMES, tmp_path / "kept").bad) == {other.id}
    assert not check_clips((other, third), FRAMES, tmp_path / "kept").bad
    more = FRAMES.model_copy(update={"count": 4})
    assert set(check_clips((other, third), more, tmp_path / "kept").bad) == {other.id}


def test_an_interrupted_check_goes_on_where_it_was(clips: tuple[CaptionedClip, ...], tmp_path: Path) -> None:
    def interrupt(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_clips(clips, FRAMES, tmp_path / "kept", interrupt)
    spoil(clips[1])
    spoil(clips[2])
    told: list[tuple[int, int]] = []
    found = check_clips(clips, FRAMES, tmp_path / "kept", lambda done, of: told.append((done, of)))
    assert set(found.bad) == {clips[2].id}
    assert told == [(1, 2), (2, 2)]


def test_a_damaged_file_of_findings_is_told_and_made_anew(
    clips: tuple[CaptionedClip, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_clips(clips, FRAMES, tmp_path / "kept")
    (kept,) = (tmp_path / "kept").glob("*.json")
    whole = kept.read_text()
    kept.write_text(whole[:40])
    with caplog.at_level(logging.WARNING):
        assert not check_clips(clips, FRAMES, tmp_path / "kept").bad
    assert "is damaged" in caplog.text
    assert kept.read_text() == whole


def test_a_damaged_clip_that_is_read_all_the_same_is_good_with_a_warning_that_is_kept(tmp_path: Path) -> None:
    clips = captioned_clips(tmp_path, (1, 1))
    assert clips[1].file is not None
    content = bytearray(clips[1].file.read_bytes())
    first, stop = content.index(b"mdat") + 4, content.index(b"moov") - 4
    middle = first + (stop - first) // 2
    content[middle:stop] = bytes(stop - middle)
    clips[1].file.write_bytes(content)
    found = check_clips(clips, FRAMES, tmp_path / "kept")
    assert found.good == clips
    assert set(found.warned) == {clips[1].id}
    assert "of 24 frames can be decoded" in found.warned[clips[1].id]
    assert check_clips(clips, FRAMES, tmp_path / "kept") == found


def test_odd_files_are_good_or_have_a_reason(real_data: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (real_data / "odd" / "video").rglob("*") if path.is_file())
    clips = tuple(CaptionedClip(path.name, path) for path in files)
    found = check_clips(clips, FRAMES, tmp_path / "kept")
    assert {clip.id for clip in found.good} | set(found.bad) == {clip.id for clip in clips}
    assert all(found.bad.values())
    told = " ".join(found.bad.values())
    assert "audio only" in told
    assert "encrypted" in told
    assert check_clips(clips, FRAMES, tmp_path / "kept") == found
