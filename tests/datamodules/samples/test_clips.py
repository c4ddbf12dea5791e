"""The sample clips: the same every time, whole or not there, unseen combinations apart, facts named."""

import csv
import json
from collections import defaultdict
from itertools import combinations as pairs_of
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.errors import InputError
from datamodules.samples.casting import SPLITS, THINGS, Part, cast_clips
from datamodules.samples.clips import film, make_sample_clips
from datamodules.samples.drawing import SIZE, digit_cover, handwriting
from datamodules.samples.motions import BLINKS, FRAMES, MOTIONS, PACES, course
from datamodules.samples.sentences import COLOURS, Scene, describe, facts
from lightning_modules.metrics.captions.facts import named

CLIPS = 40


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample_clips(tmp_path_factory.mktemp("clips") / "sample", clips=CLIPS, seed=1)


@pytest.fixture(scope="module")
def cast() -> list[Part]:
    return cast_clips(1200, 0)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pictures(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def plain(caption: str) -> str:
    return caption.lower().rstrip(".")


def triple(scene: Scene) -> tuple[str, str, str]:
    return scene.thing, scene.colour, scene.motion


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_clip_is_an_h264_film_of_24_frames_of_64_pixels(sample: Path) -> None:
    files = sorted((sample / "clips").iterdir())
    assert [path.name for path in files] == [f"clip{number:04d}.mp4" for number in range(1, CLIPS + 61)]
    for path in files:
        with av.open(str(path)) as container:
            frames = [(frame.height, frame.width) for frame in container.decode(video=0)]
        assert frames == [(SIZE, SIZE)] * FRAMES
    with av.open(str(files[0])) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.average_rate, stream.frames) == (8, FRAMES)


def test_compression_keeps_what_was_drawn(sample: Path) -> None:
    for part in cast_clips(CLIPS, 1)[:10]:
        seen = pictures(sample / "clips" / f"{part.clip}.mp4").astype(int)
        assert np.abs(seen - film(part, 1)).mean() < 5


def test_splits_have_their_sizes_and_clips_five_different_captions(sample: Path) -> None:
    captions: dict[str, set[str]] = defaultdict(set)
    split_of: dict[str, str] = {}
    for row in table(sample / "captions.csv"):
        captions[row["clip"]].add(plain(row["caption"]))
        assert split_of.setdefault(row["clip"], row["split"]) == row["split"]
    assert all(len(said) == 5 for said in captions.values())
    counts = {split: list(split_of.values()).count(split) for split in SPLITS}
    assert counts == {"train": CLIPS, "validation": 30, "test": 30}
    assert json.loads((sample / "about.json").read_text())["clips"] == counts


def test_every_caption_names_its_facts_and_hardly_any_those_of_another_clip(sample: Path) -> None:
    known = {row.pop("clip"): row for row in table(sample / "facts.csv")}
    spoken = table(sample / "captions.csv")
    sentences, clips = [row["caption"] for row in spoken], [row["clip"] for row in spoken]

    def right(order: list[str]) -> dict[str, float]:
        columns = ("thing", "colour", "motion")
        return named(sentences, {column: [known[clip][column] for clip in order] for column in columns})

    assert set(right(clips).values()) == {1.0}
    assert right([str(clip) for clip in np.random.default_rng(0).permutation(clips)])["all"] < 0.05


def test_no_value_is_ever_named_in_a_caption_of_another() -> None:
    rng = np.random.default_rng(0)
    scenes = [
        Scene(thing, colour, motion, "big", "dark", pace)
        for thing in THINGS
        for colour in ("red", "white")
        for motion in MOTIONS
        for pace in PACES
    ] + [Scene("star", colour, "grow", "small", "grey", "even") for colour in COLOURS]
    phrases: dict[str, dict[str, str]] = {"thing": {}, "colour": {}, "motion": {}}
    for scene in scenes:
        for column, value in zip(phrases, triple(scene), strict=True):
            phrases[column] |= dict.fromkeys(facts(scene)[column], value)
    for scene in scenes:
        for caption in describe(scene, rng):
            for column, value in zip(phrases, triple(scene), strict=True):
                words = f" {plain(caption)} "
                said = {of for phrase, of in phrases[column].items() if f" {phrase} " in words}
                assert said == {value}, caption


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_validates_and_tests_was_never_seen_together_but_every_pair_was(seed: int) -> None:
    seen: dict[str, set[tuple[str, str, str]]] = {split: set() for split in SPLITS}
    for part in cast_clips(1200, seed):
        seen[part.split].add(triple(part.scene))
    assert not any(seen[one] & seen[other] for one, other in pairs_of(SPLITS, 2))
    for first, second in pairs_of(range(3), 2):
        trained = {(each[first], each[second]) for each in seen["train"]}
        values = (THINGS, tuple(COLOURS), MOTIONS)
        assert len(trained) == len(values[first]) * len(values[second])
    for split in ("validation", "test"):
        assert [len({each[which] for each in seen[split]}) for which in range(3)] == [16, 6, 10]


def test_values_are_balanced_and_ids_tell_nothing(cast: list[Part]) -> None:
    for split, size in {"train": 1200, "validation": 200, "test": 200}.items():
        scenes = [part.scene for part in cast if part.split == split]
        assert len(scenes) == size
        assert sum(scene.thing.isdigit() for scene in scenes) == round(size / 3)
        for which, values in enumerate((COLOURS, MOTIONS), start=1):
            counts = [[triple(scene)[which] for scene in scenes].count(value) for value in values]
            assert 0.6 < min(counts) * len(values) / size < max(counts) * len(values) / size < 1.5
    places = [place / len(cast) for place, part in enumerate(cast) if part.split == "test"]
    assert 0.4 < float(np.mean(places)) < 0.6


def test_splits_share_no_image_of_a_digit() -> None:
    images = {
        split: {image.tobytes() for digit in handwriting()[split] for image in digit} for split in SPLITS
    }
    assert not any(images[one] & images[other] for one, other in pairs_of(SPLITS, 2))
    assert min(len(digit) for digit in handwriting()["train"]) > 80
    assert min(len(digit) for digit in handwriting()["test"]) > 20


def test_a_digit_is_upscaled_through_its_own_cells() -> None:
    ink = handwriting()["train"][3][0]
    middle, radius = np.full(1, 31.5, np.float32), np.full(1, 32, np.float32)  # cells of 8 x 8 pixels
    cover = digit_cover(ink)(middle, middle, radius)[0]
    cells = cover.reshape(8, 8, 8, 8)[:, 3:5, :, 3:5].mean((1, 3))  # the middle of each cell
    assert (cells[ink > 0.8] > 0.9).all()
    assert (cells[ink < 0.2] < 0.1).all()


@pytest.mark.parametrize("motion", MOTIONS)
def test_motions_do_what_they_are_called_inside_the_picture(motion: str) -> None:
    rng = np.random.default_rng(0)
    for turn in range(60):
        radius, pace = float(rng.uniform(8, 16)), list(PACES)[turn % 3]
        way = course(motion, radius, pace, rng)
        for centre in (way.x, way.y):
            assert (centre - way.radius).min() >= 0
            assert (centre + way.radius).max() <= SIZE - 1
        right, up = float(way.x[-1] - way.x[0]), float(way.y[0] - way.y[-1])
        moves = {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}
        moves |= dict.fromkeys(("up_right", "right_up"), (1, 1))
        wanted = moves.get(motion, (0, 0))
        assert (np.sign(right), np.sign(up)) == wanted
        assert all(abs(gone) > 20 for gone, sign in zip((right, up), wanted, strict=True) if sign)
        gone = np.sign(way.radius[-1] - way.radius[0])
        assert gone == {"grow": 1, "shrink": -1}.get(motion, 0)
        assert np.diff(way.visible.astype(int)).tolist().count(-1) == BLINKS.get(motion, 0)
        assert way.visible[:2].all()
        assert way.visible[-2:].all()


@pytest.mark.parametrize("motion", ["up_right", "right_up"])
def test_the_second_move_begins_when_the_first_has_ended(motion: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        way = course(motion, 12.0, "even", rng)
        first, second = (way.y, way.x) if motion == "up_right" else (way.x, way.y)
        begun = int(np.flatnonzero(second != second[0])[0])
        assert first[0] != first[begun] == first[-1]


def test_things_stand_out_from_the_background(cast: list[Part]) -> None:
    for part in cast[:60]:
        shown = film(part, 0).astype(float)
        wall = np.median(shown, axis=(1, 2), keepdims=True)
        assert np.abs(shown - wall).max(-1).reshape(FRAMES, -1).max(1)[0] > 80


def test_the_same_seed_gives_the_same_set_and_another_does_not(sample: Path, tmp_path: Path) -> None:
    again = make_sample_clips(tmp_path / "again", clips=CLIPS, seed=1)
    assert contents(again) == contents(sample)
    one, other = cast_clips(CLIPS, 1), cast_clips(CLIPS, 2)
    assert [part.scene for part in one] != [part.scene for part in other]
    assert not np.array_equal(film(one[0], 1), film(one[0], 2))


def test_a_whole_set_is_used_again_and_another_or_a_torn_one_is_made_anew(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = tmp_path / "sets" / "sample"

    def make(seed: int) -> int:
        told.clear()
        assert make_sample_clips(folder, clips=20, seed=seed, progress=lambda *at: told.append(at)) == folder
        return len(told)

    assert make(3) == 80
    assert told[-1] == (80, 80)
    assert make(3) == 0
    (folder / "clips" / "clip0007.mp4").unlink()
    assert make(3) == 80
    assert make(4) == 80
    assert json.loads((folder / "about.json").read_text())["settings"]["seed"] == 4
    assert sorted(path.name for path in folder.parent.iterdir()) == [".sample.lock", "sample"]


def test_an_interrupted_making_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    folder = tmp_path / "sample"
    with pytest.raises(KeyboardInterrupt):
        make_sample_clips(folder, clips=20, seed=0, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == [".sample.lock"]
    before = contents(make_sample_clips(folder, clips=20, seed=0))
    with pytest.raises(KeyboardInterrupt):
        make_sample_clips(folder, clips=20, seed=1, progress=stop)
    assert contents(folder) == before
    assert sorted(tmp_path.iterdir()) == [tmp_path / ".sample.lock", folder]


def test_files_of_others_are_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "holiday.mov").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"clips/holiday\.mov.*another folder"):
        make_sample_clips(tmp_path, clips=20, seed=0)
    assert contents(tmp_path) == {"holiday.mov": b"mine"}


@pytest.mark.parametrize(("clips", "seed"), [(19, 0), (20, -1)])
def test_impossible_options_are_refused(tmp_path: Path, clips: int, seed: int) -> None:
    with pytest.raises(InputError, match="clips must be 20 or more"):
        make_sample_clips(tmp_path / "sample", clips=clips, seed=seed)
