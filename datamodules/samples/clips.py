"""The sample clips: short H.264 films of moving things with captions, made in seconds, with known answers.

Every clip shows one thing (a shape or a handwritten digit) of one colour for three seconds: it moves, turns a
corner, grows, shrinks or blinks. What happens, in which order and how often, no single frame reveals. Five
people describe it in their own words; all of them name thing, colour and motion. Validation and test show
only combinations of the three that training never shows, and other digit images.

Measured on the default sample (1,200 clips, seed 0), test split, CIDEr on plain words: one person against the
other four 2.18; the commonest words for everything, all facts right, 3.52; a constant caption 0.36.

    clips/clip0001.mp4 ...   64 x 64 pixels, 24 frames, 8 a second
    captions.csv             clip, split (train, validation, test), caption: five lines a clip
    facts.csv                clip, thing, colour, motion: what a right sentence names, alternatives by |
    about.json               the settings that they were made with
"""

import csv
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import InputError
from datamodules.locking import alone
from datamodules.samples.casting import THINGS, Part, cast_clips, split_sizes
from datamodules.samples.drawing import SHAPES, SIZE, background, digit_cover, handwriting, shape_cover
from datamodules.samples.motions import FPS, FRAMES, course
from datamodules.samples.sentences import COLOURS, describe, facts

log = logging.getLogger(__name__)

CAPTIONS, FACTS, ABOUT, CLIPS = "captions.csv", "facts.csv", "about.json", "clips"

_FEWEST = 20
_VERSION = 1  # a change of the pictures or of the words makes old folders stale
_PAINT = {
    "red": (232, 48, 40),
    "green": (48, 205, 72),
    "blue": (58, 112, 255),
    "yellow": (245, 222, 48),
    "white": (245, 245, 245),
    "purple": (190, 70, 225),
}
# Looking ahead or back, x264 writes other bytes from run to run at this size (18 clips in 40, 5 runs each).
_X264 = {"crf": "26", "preset": "veryfast", "x264-params": "bframes=0:rc-lookahead=0:mbtree=0"}
_GREYS = {"dark": (14, 32), "grey": (72, 92)}  # levels of the background, of 255
_RADII = {"small": (8.5, 9.5), "big": (12.0, 13.5)}  # pixels
_DIGIT_RADII = {"small": (11.0, 12.0), "big": (14.0, 15.5)}
_TILT = 0.2  # radians


def make_sample_clips(
    folder: Path,
    *,
    clips: int = 1200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """`folder`, holding the whole sample set; made unless it holds that set already.

    A set appears whole or not at all: it is made beside `folder` and renamed. Of several processes that ask
    at once one makes it and the others wait.

    clips: of the training split; validation and test have a sixth of it each, 30 at least.
    seed: which clips. progress: called with (clips done, clips in all).
    InputError when clips is below 20, seed is negative, or `folder` holds anything but a sample set.
    """
    if clips < _FEWEST or seed < 0:
        raise InputError(
            f"data.sample: clips={clips}, seed={seed}: clips must be {_FEWEST} or more (1200 is the default) "
            "and seed 0 or more"
        )
    settings = {"version": _VERSION, "clips": clips, "seed": seed}
    if _is_whole(folder, settings):
        return folder
    _refuse_other_files(folder)
    place = folder.resolve()
    lock = place.with_name(f".{place.name}.lock")
    with alone(lock, f"makes the sample clips in {folder}", "data.path"):
        if not _is_whole(folder, settings):
            _refuse_other_files(folder)
            _make_whole(place, settings, progress)
            log.info("made %d training clips, and those to validate and test, in %s", clips, folder)
    return folder


def _make_whole(place: Path, settings: dict[str, int], progress: Callable[[int, int], None] | None) -> None:
    """The set made beside `place` and renamed, in the place of an older one."""
    part = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _make(part, settings, progress)
        _publish(part, place, settings)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def film(part: Part, seed: int) -> NDArray[np.uint8]:
    """The clip's pictures (frame, row, column, RGB), before they are compressed."""
    rng = np.random.default_rng([seed, 3, int(part.clip.removeprefix("clip"))])
    scene = part.scene
    if scene.thing in SHAPES:
        cover = shape_cover(scene.thing, rng.uniform(-_TILT, _TILT))
        radii = _RADII
    else:
        images = handwriting()[part.split][int(scene.thing)]
        cover = digit_cover(images[part.image % len(images)])
        radii = _DIGIT_RADII
    radius = float(rng.uniform(*radii["big" if scene.motion in ("grow", "shrink") else scene.extent]))
    way = course(scene.motion, radius, scene.pace, rng)
    share = cover(way.x, way.y, way.radius) * way.visible[:, None, None]
    paint = np.clip(np.array(_PAINT[scene.colour]) + rng.normal(0, 7, 3), 0, 255).astype(np.float32)
    wall = background(float(rng.uniform(*_GREYS[scene.backdrop])), rng)
    wall = wall + rng.standard_normal((FRAMES, SIZE, SIZE), np.float32)
    pictures = wall[..., None] + share[..., None] * (paint - wall[..., None])
    return (np.clip(pictures, 0, 255) + np.float32(0.5)).astype(np.uint8)


def _make(folder: Path, settings: dict[str, int], progress: Callable[[int, int], None] | None) -> None:
    seed = settings["seed"]
    cast = cast_clips(settings["clips"], seed)
    (folder / CLIPS).mkdir(parents=True)
    for done, part in enumerate(cast, start=1):
        _write_film(folder / CLIPS / f"{part.clip}.mp4", film(part, seed))
        if progress is not None:
            progress(done, len(cast))
    words = np.random.default_rng([seed, 4])
    said = [(part.clip, part.split, each) for part in cast for each in describe(part.scene, words)]
    _write_table(folder / CAPTIONS, ("clip", "split", "caption"), said)
    named = [(part.clip, *map("|".join, facts(part.scene).values())) for part in cast]
    _write_table(folder / FACTS, ("clip", *facts(cast[0].scene)), named)
    about = {
        "what": "Skyreel's sample clips",
        "settings": settings,
        "clips": Counter(part.split for part in cast),
        "film": {"size": SIZE, "frames": FRAMES, "fps": FPS},
        "things": THINGS,
        "colours": list(COLOURS),
        "digits": "scikit-learn's handwritten digits, other images in each split",
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2), encoding="utf-8")


def _write_film(path: Path, pictures: NDArray[np.uint8]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_X264)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        stream.codec_context.thread_count = 1  # the bytes do not depend on the machine's cores
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _write_table(path: Path, head: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(head)
        table.writerows(rows)


def _is_whole(folder: Path, settings: dict[str, int]) -> bool:
    """Whether `folder` holds the set of these settings with all its files."""
    if _settings_of(folder) != settings:
        return False
    total = sum(split_sizes(settings["clips"]).values())
    wanted = [folder / CAPTIONS, folder / FACTS]
    wanted += [folder / CLIPS / f"clip{number:04d}.mp4" for number in range(1, total + 1)]
    return all(path.is_file() for path in wanted)


def _settings_of(folder: Path) -> dict[str, int] | None:
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        log.warning("%s cannot be read: the sample clips are made again", path)
        return None
    settings: dict[str, int] | None = about.get("settings") if isinstance(about, dict) else None
    return settings


def _refuse_other_files(folder: Path) -> None:
    """InputError when making the set anew would delete what is not of a set."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"data.path: {folder} is a file; the sample clips want a folder of their own")
    others = {path.name for path in folder.iterdir()} - {CAPTIONS, FACTS, ABOUT, CLIPS}
    foreign = sorted(others) + sorted(
        f"{CLIPS}/{path.name}" for path in (folder / CLIPS).glob("*") if not path.match("clip*.mp4")
    )
    if foreign:
        raise InputError(
            f"data.path: {folder} is where the sample clips are made anew, but it also holds "
            f"{', '.join(foreign[:5])}. Move them away, or let data.path name another folder"
        )


def _publish(part: Path, folder: Path, settings: dict[str, int]) -> None:
    """Rename `part` to `folder`, in the place of an older set, unless another process made the same first."""
    if _is_whole(folder, settings):
        return
    old = part.with_name(f"{part.name}.old")
    with suppress(FileNotFoundError):
        folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        if not _is_whole(folder, settings):
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
