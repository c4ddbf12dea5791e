"""The frames that were chosen are those that come back: by number, time, colour and stance."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.video.decode.read import read_frames, survey
from datamodules.video.options import FrameOptions
from tests.datamodules.video.numbered_films import number_of, numbered, write_film, write_numbered

ALL = FrameOptions(choice="all", size=48, fit="squeeze", most=1000)
OPEN = {"x264-params": "open-gop=1:keyint=10:bframes=3"}
KINDS: dict[str, dict] = {
    "a.mp4": {"options": {"g": "12"}},
    "b.mkv": {},
    "c.webm": {"codec": "libvpx"},
    "hidden.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}},
    "d.ts": {},
    "e.flv": {},
    "f.gif": {"codec": "gif", "pixels": "rgb8"},
    "g.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "unstamped.h264": {},
    "deep.mp4": {"pixels": "yuv420p10le"},
    "grey.mp4": {"pixels": "gray"},
    "full.mp4": {"full": True},
    "odd.mp4": {"width": 97, "height": 61, "pixels": "yuv444p"},
    "open.mp4": {"options": OPEN},
    "open.ts": {"options": OPEN},
    "pieces.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "8"}},
    "late.mp4": {"ticks": [5000 + 40 * number for number in range(24)]},
    "early.mkv": {"ticks": [-200 + 40 * number for number in range(24)]},
}


def numbers(pixels: np.ndarray) -> list[int]:
    """What the pictures say."""
    return [number_of(picture) for picture in pixels]


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_comes_back_once_and_in_order_whatever_the_file(name: str, tmp_path: Path) -> None:
    path = write_numbered(tmp_path / name, 24, **KINDS[name])
    found = read_frames(path, ALL)
    assert numbers(found.pixels) == list(range(24))
    assert found.warning is None
    assert found.source_frames == 24
    assert found.duration == pytest.approx(0.96, abs=0.03)
    np.testing.assert_allclose(found.times, np.arange(24) / 25, atol=0.006)
    few = read_frames(path, FrameOptions(choice="uniform", count=3, size=48, fit="squeeze"))
    assert numbers(few.pixels) == [4, 12, 20]
    assert survey(path).frames in (24, 25, 26)


def test_variable_rate_is_chosen_by_time(tmp_path: Path) -> None:
    ticks = [0, 40, 80, 120, 2000, 4000]
    path = write_numbered(tmp_path / "a.mp4", 6, ticks=ticks)
    found = read_frames(path, FrameOptions(choice="uniform", count=4, size=48, fit="squeeze"))
    moments = (np.arange(4) + 0.5) / 4 * found.duration
    wanted = [max(n for n, tick in enumerate(ticks) if tick / 1000 <= moment) for moment in moments]
    assert numbers(found.pixels) == wanted
    np.testing.assert_allclose(found.times, [ticks[one] / 1000 for one in wanted], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "20"}),
        ("a.mkv", "libx264", {"g": "20"}),
        ("a.ts", "libx264", {"g": "20"}),
        ("a.webm", "libvpx", {"g": "20"}),
        ("a.avi", "libx264", {"g": "20"}),
        ("open.mp4", "libx264", OPEN),
        ("open.ts", "libx264", OPEN),
    ],
)
def test_a_piece_is_the_same_as_that_part_of_the_whole(
    name: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = write_numbered(tmp_path / name, 120, codec=codec, options=options)
    whole = read_frames(path, ALL).pixels
    assert numbers(whole) == list(range(120))
    cuts = [0.0, 0.52, 2.0, 3.0, 4.4, 4.8]
    for start, stop in pairwise(cuts):
        piece = read_frames(path, ALL, start=start, stop=stop)
        first, last = round(start * 25), round(stop * 25)
        np.testing.assert_array_equal(piece.pixels, whole[first:last])
        assert piece.times[0] == 0
        assert piece.duration == pytest.approx(stop - start, abs=0.002)
        assert piece.source_frames == last - first
    np.testing.assert_array_equal(read_frames(path, ALL, start=4.0).pixels, whole[100:])


def test_a_piece_in_which_no_frame_begins_shows_the_one_on_the_screen(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 4, ticks=[0, 3000, 6000, 9000])
    assert numbers(read_frames(path, ALL, start=4.0, stop=5.0).pixels) == [1]


@pytest.mark.parametrize(("turned", "rotation"), [(0, 0), (90, 270), (-90, 90), (180, 180)])
def test_a_turned_film_is_shown_upright(turned: int, rotation: int, tmp_path: Path) -> None:
    upright = [numbered(number, 96, 64) for number in (1, 6, 300)]
    stored = [np.ascontiguousarray(np.rot90(picture, -(turned // 90))) for picture in upright]
    path = write_film(tmp_path / "a.mp4", stored, turned=turned)
    assert numbers(read_frames(path, ALL).pixels) == [1, 6, 300]
    facts = survey(path)
    assert (facts.width, facts.height, facts.rotation) == (96, 64, rotation)


def test_pixels_that_are_not_square_are_shown_as_they_are_meant(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 2, width=64, height=64, wide=Fraction(2, 1))
    assert (survey(path).width, survey(path).height) == (128, 64)
    padded = read_frames(path, FrameOptions(choice="all", size=64, fit="pad")).pixels[1]
    assert not padded[:14].any()
    assert not padded[-14:].any()
    assert number_of(padded[16:48]) == 1


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_colours_come_back(full: bool, pixels: str, tmp_path: Path) -> None:
    colours = np.array([(200, 30, 40), (20, 180, 60), (30, 40, 220), (255, 255, 255), (0, 0, 0)], np.uint8)
    pictures = [np.broadcast_to(colour, (64, 64, 3)).copy() for colour in colours]
    path = write_film(tmp_path / "a.mp4", pictures, pixels=pixels, full=full, options={"crf": "4"})
    found = read_frames(path, ALL).pixels[:, 24, 24].astype(int)
    assert np.abs(found - colours).max() <= 5


@pytest.mark.parametrize(("width", "height"), [(4000, 20), (20, 4000)])
@pytest.mark.parametrize("kind", ["png", "mp4"])
def test_the_middle_of_a_long_strip_is_not_distorted(
    width: int, height: int, kind: str, tmp_path: Path
) -> None:
    strip = np.zeros((height, width, 3), np.uint8)
    down, across = (height - 20) // 2, (width - 20) // 2
    strip[down : down + 20, across : across + 20] = numbered(341, 20, 20)
    path = tmp_path / f"a.{kind}"
    if kind == "png":
        Image.fromarray(strip).save(path)
    else:
        write_film(path, [strip], pixels="yuv444p", options={"crf": "4"})
    assert number_of(read_frames(path, FrameOptions(choice="all", size=64)).pixels[0]) == 341


def test_images_and_folders_of_images_are_clips(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        Image.fromarray(numbered(number)).save(tmp_path / f"shot{number}.png")
    (tmp_path / "._shot1.png").write_bytes(b"a resource fork")
    assert numbers(read_frames(tmp_path, ALL).pixels) == [1, 2, 10]
    assert numbers(read_frames(tmp_path / "shot10.png", ALL).pixels) == [10]
    assert numbers(read_frames(tmp_path, ALL, start=0.04, stop=0.08).pixels) == [2]
    assert survey(tmp_path).frames == 3


def test_transparent_is_black_and_sixteen_bits_become_eight(tmp_path: Path) -> None:
    clear = np.zeros((32, 32, 4), np.uint8)
    clear[..., 0], clear[:, 16:, 3] = 255, 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    found = read_frames(tmp_path / "clear.png", ALL).pixels[0]
    assert found[24, 4].tolist() == [0, 0, 0]
    assert found[24, 44].tolist() == [255, 0, 0]
    Image.fromarray(np.full((32, 32), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert (read_frames(tmp_path / "deep.png", ALL).pixels == 40000 // 256).all()


def test_a_camera_held_sideways_gives_upright_images(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(numbered(75, 96, 64)).copy()).save(tmp_path / "a.png", exif=exif)
    assert numbers(read_frames(tmp_path / "a.png", ALL).pixels) == [75]
    assert (survey(tmp_path / "a.png").width, survey(tmp_path / "a.png").rotation) == (96, 90)


def test_two_reads_are_equal_and_training_follows_the_seed(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 50)
    options = FrameOptions(choice="segment", count=5, size=32)
    one, two = (
        read_frames(path, options, training=True, rng=np.random.default_rng(4)).pixels for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    other = read_frames(path, options, training=True, rng=np.random.default_rng(5)).pixels
    assert numbers(one) != numbers(other)
    assert [number // 10 for number in numbers(one)] == [0, 1, 2, 3, 4]


class _Read(torch.utils.data.Dataset):
    """Numbers that a process of a loader reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> list[int]:
        return numbers(read_frames(self.path, FrameOptions(choice="uniform", count=4, size=48)).pixels)


def test_the_processes_of_a_loader_read(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 24)
    loader = torch.utils.data.DataLoader(_Read(path), batch_size=None, num_workers=2)
    assert list(loader) == [[3, 9, 15, 21]] * 4
