"""What the things of the sample clips do in three seconds, such that no single frame tells it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.drawing import SIZE

FRAMES = 24
FPS = 8

SIDEWAYS = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}  # x to the right, y downwards
CORNERED = {"up_right": ("up", "right"), "right_up": ("right", "up")}  # the same two moves in either order
RESIZED = {"grow": (0.36, 1.0), "shrink": (1.0, 0.36)}  # first and last radius, as shares
BLINKS = {"blink_twice": 2, "blink_thrice": 3}
MOTIONS = (*SIDEWAYS, *CORNERED, *RESIZED, *BLINKS)

PACES = {"quick": (10, 13), "even": (14, 17), "slow": (18, 21)}  # frames that one move takes
_LEG = (8, 11)  # frames of each of two moves
_GAPS = {2: (3, 6), 3: (3, 4)}  # frames unseen, or seen between: noticed also when every second frame is read
_EDGE = 2  # frames seen before the first blink and after the last, at least


@dataclass(frozen=True, eq=False)
class Course:
    """Where a thing is in each frame: centre x, y and radius in pixels, visible or not; (frame,) each."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    radius: NDArray[np.float32]
    visible: NDArray[np.bool_]


def course(motion: str, radius: float, pace: str, rng: np.random.Generator) -> Course:
    """A course of `motion` (one of MOTIONS) that never leaves the picture; place and distance are drawn.

    radius: of the thing, at its largest, in pixels. pace: one of PACES; blinks and two moves have their own.
    """
    low, high = radius + 1, SIZE - 2 - radius
    still = np.zeros(FRAMES)
    share, visible = still + 1, np.ones(FRAMES, bool)
    if motion in SIDEWAYS:
        away = (high - low) * rng.uniform(0.78, 1) * _progress([_frames(PACES[pace], rng)], rng)[0]
        x, y = _along([(SIDEWAYS[motion], away)], low, high, rng)
    elif motion in CORNERED:
        legs = _progress([_frames(_LEG, rng), _frames(_LEG, rng)], rng)
        moves = [
            (SIDEWAYS[name], (high - low) * rng.uniform(0.75, 1) * leg)
            for name, leg in zip(CORNERED[motion], legs, strict=True)
        ]
        x, y = _along(moves, low, high, rng)
    else:
        x, y = still + rng.uniform(low, high), still + rng.uniform(low, high)
        if motion in RESIZED:
            first, last = RESIZED[motion]
            share = first + (last - first) * _progress([_frames(PACES[pace], rng)], rng)[0]
        else:
            visible = _blinks(BLINKS[motion], rng)
    return Course(x.astype(np.float32), y.astype(np.float32), (radius * share).astype(np.float32), visible)


def _frames(between: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(between[0], between[1] + 1))


def _progress(lengths: list[int], rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """How far each of several moves, one after the other, has come (frame,): 0 before it, 1 after it."""
    begin = int(rng.integers(0, FRAMES - sum(lengths)))
    parts = []
    for length in lengths:
        parts.append(np.clip((np.arange(FRAMES) - begin) / length, 0, 1))
        begin += length
    return parts


def _along(
    moves: list[tuple[tuple[int, int], NDArray[np.float64]]],
    low: float,
    high: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y (frame,) of the moves (direction, distance (frame,)), never below `low` or above `high`."""
    places = []
    for axis in (0, 1):
        moved = np.sum([direction[axis] * distance for direction, distance in moves], axis=0)
        places.append(moved + rng.uniform(low - moved.min(), high - moved.max()))
    return places[0], places[1]


def _blinks(times: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Seen or not (frame,): unseen `times` times, seen at the start, between and at the end."""
    lengths = rng.integers(_GAPS[times][0], _GAPS[times][1] + 1, 2 * times - 1)
    begin = int(rng.integers(_EDGE, FRAMES - int(lengths.sum()) - _EDGE + 1))
    visible = np.ones(FRAMES, bool)
    for place, length in enumerate(lengths):
        if place % 2 == 0:
            visible[begin : begin + int(length)] = False
        begin += int(length)
    return visible
