"""Every odd file is read right, frame by frame, or refused with the cause, and nothing hangs or leaks."""

import os
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from datamodules.video.decode.faults import ClipError
from datamodules.video.decode.read import read_frames, survey
from datamodules.video.options import FrameOptions
from tests.datamodules.video.numbered_films import number_of, write_numbered

ALL = FrameOptions(choice="all", size=48, fit="squeeze", most=1000)
READ = {
    "decord_corrupted.mp4": (28, "28 of 50"),
    "decord_video_270.mov": (3, None),
    "decord_video_90.mov": (3, None),
    "mp4parse_tiny_av1.mp4": (1, None),
    "mp4parse_white.mp4": (300, None),
    "small_webm.webm": (1, None),
    "tc_av1_video.mkv": (125, None),
    "tc_h264_10bits.mp4": (30, None),
    "tc_h265_video.mp4": (10, None),
}
REFUSED = {
    "mp4parse_bipbop_cbcs_video_init.mp4": "encrypted",
    "mp4parse_chunk_out_of_range.mp4": "damaged: its index",
    "mp4parse_no_timescale.mp4": "damaged",
    "mp4parse_opus_audioinit.mp4": "audio only",
    "mp4parse_short-cenc.mp4": "encrypted",
    "small_FlashVideo.flv": "header cannot be read",
    "small_gif.gif": "no frame",
    "small_mp4-with-audio.mp4": "audio only",
    "tc_sine_mono_s32_8000.wav": "audio only",
}


def reason_of(path: Path) -> str:
    """Why a file is refused, by both ways in."""
    with pytest.raises(ClipError) as refusal:
        survey(path)
    with pytest.raises(ClipError) as again:
        read_frames(path, ALL)
    assert refusal.value.path == path
    assert again.value.reason == refusal.value.reason
    return refusal.value.reason


def test_every_real_file_is_read_right_or_refused_with_the_cause(real_data: Path) -> None:
    paths = sorted((real_data / "odd" / "video").iterdir())
    assert {path.name for path in paths} == set(READ) | set(REFUSED)
    for path in paths:
        if path.name in REFUSED:
            assert REFUSED[path.name] in reason_of(path)
            continue
        count, warning = READ[path.name]
        found = read_frames(path, ALL)
        assert found.source_frames == len(found.pixels) == count
        assert (warning or "") in (found.warning or "")
        assert (found.warning is None) == (warning is None)
        if warning is None:
            assert_equal_to_a_full_decode(path, found.pixels)


def assert_equal_to_a_full_decode(path: Path, pixels: np.ndarray) -> None:
    """The mean colours of a 6 x 6 grid are those of every frame decoded and turned by other means."""
    with av.open(str(path)) as container:
        for frame, picture in zip(container.decode(video=0), pixels, strict=True):
            plain = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            rows, columns = (np.linspace(0, size, 7).astype(int) for size in plain.shape[:2])
            for row in range(6):
                for column in range(6):
                    part = plain[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
                    square = picture[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                    if part.size >= 3 * 64:
                        apart = np.abs(part.mean((0, 1)) - square.mean((0, 1)))
                        assert apart.max() < 12, (path.name, row, column, apart)


def test_the_same_content_in_two_codecs_has_nearly_the_same_pixels(real_data: Path) -> None:
    options = FrameOptions(choice="uniform", count=3, size=64)
    for path in sorted((real_data / "video" / "mdn").glob("*.mp4")):
        one, other = (read_frames(file, options) for file in (path, path.with_suffix(".webm")))
        np.testing.assert_allclose(one.times, other.times, atol=0.04)
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 6, path.name


def test_files_that_are_no_films_are_refused_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("a man is playing a guitar\n" * 50)
    (tmp_path / "notes.txt").write_text("a man is playing a guitar\n" * 50)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    os.mkfifo(tmp_path / "pipe.mp4")
    assert reason_of(tmp_path / "empty.mp4") == "empty: 0 bytes"
    assert "not a media file" in reason_of(tmp_path / "text.mp4")
    assert "not a media file" in reason_of(tmp_path / "notes.txt")
    assert reason_of(tmp_path / "list.mp4")
    assert "without images" in reason_of(tmp_path / "folder")
    assert reason_of(tmp_path / "a.png")
    assert reason_of(tmp_path / "pipe.mp4") == "not a regular file"
    assert "no such file" in reason_of(tmp_path / "gone.mp4")


def test_a_file_that_may_not_be_read_is_withheld_and_not_called_damaged(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 3)
    path.chmod(0)
    path.parent.chmod(0o700)
    code = (
        "import os, sys; from pathlib import Path; from datamodules.video.decode.faults import *\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: require_file(Path(sys.argv[1]))\nexcept ClipError as error: print(error.lasting, error.reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert "False the system does not hand it over: permission denied" in done.stdout, done.stderr


def sound(path: Path, cover: bool) -> Path:
    """A second of silence, with a picture as its cover when asked for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame" if path.suffix == ".mp3" else "aac", rate=44100)
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width = picture.height = 32
            picture.pix_fmt = "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            image = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24")
            container.mux(picture.encode(image.reformat(format="yuvj420p")))
            container.mux(picture.encode())
        for place in range(20):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, 1024 * place, Fraction(1, 44100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_sound_alone_is_refused_and_a_cover_is_no_film(tmp_path: Path) -> None:
    assert reason_of(sound(tmp_path / "a.m4a", cover=False)) == "no video stream: audio only"
    assert reason_of(sound(tmp_path / "b.mp3", cover=True)) == "no video stream: audio and a cover only"


def test_names_that_look_like_addresses_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_numbered(tmp_path / "plain.mp4", 3).rename(tmp_path / "http:10%03d.mp4")
    assert len(read_frames(Path("http:10%03d.mp4"), ALL).pixels) == 3


def test_a_cut_file_gives_what_is_there_or_says_that_it_is_cut(tmp_path: Path) -> None:
    whole = write_numbered(tmp_path / "whole.mp4", 60, options={"g": "10"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in reason_of(tmp_path / "cut.mp4")
    fast = write_numbered(
        tmp_path / "fast.mp4", 60, options={"g": "10"}, container_options={"movflags": "faststart"}
    ).read_bytes()
    for name, content in (("a.mp4", fast), ("a.ts", write_numbered(tmp_path / "b.ts", 60).read_bytes())):
        (tmp_path / name).write_bytes(content[: len(content) * 3 // 5])
        found = read_frames(tmp_path / name, ALL)
        shown = [number_of(picture) for picture in found.pixels]
        assert shown == list(range(len(shown)))
        assert 15 < len(shown) < 60
        assert name == "a.ts" or "of 60 frames" in (found.warning or "")


def test_garbage_at_any_place_ends_with_frames_or_a_cause(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.mp4", "a.mkv", "a.ts"):
        whole = write_numbered(tmp_path / name, 30, options={"g": "10"}).read_bytes()
        for _ in range(12):
            content = bytearray(whole)
            first = int(rng.integers(0, len(content) - 64))
            content[first : first + 64] = rng.bytes(64)
            (tmp_path / name).write_bytes(content)
            with suppress(ClipError):  # the only thing that may be raised
                found = read_frames(tmp_path / name, ALL)
                assert 1 <= len(found.pixels) == found.source_frames <= 31


def test_pieces_outside_the_clip_are_refused(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 10)
    for start, stop in ((5.0, 6.0), (0.2, 0.2), (0.3, 0.1), (None, 0.0)):
        with pytest.raises(ClipError, match="no frames in this piece"):
            read_frames(path, ALL, start=start, stop=stop)


def test_a_piece_of_a_long_film_reads_little_of_it(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mkv", 500, codec="mjpeg", pixels="yuvj420p")
    read = [0, 0]
    for place, (start, stop) in enumerate(((0.0, None), (16.0, 17.0))):
        before = psutil.Process().io_counters().read_chars
        assert number_of(read_frames(path, ALL, start=start, stop=stop).pixels[0]) == round(start * 25)
        read[place] = psutil.Process().io_counters().read_chars - before
    assert read[1] < read[0] / 3


def test_two_hundred_reads_leave_nothing_behind(tmp_path: Path) -> None:
    good = write_numbered(tmp_path / "a.mp4", 6)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(good.read_bytes()[:-200])
    options = FrameOptions(choice="uniform", count=2, size=32)
    own = psutil.Process()

    def read(times: int) -> tuple[int, int]:
        for _ in range(times):
            read_frames(good, options)
            with pytest.raises(ClipError):
                read_frames(bad, options)
        return own.num_fds(), own.memory_info().rss

    before = read(40)
    after = read(160)
    assert after[0] == before[0]
    assert after[1] - before[1] < 8 * 2**20
