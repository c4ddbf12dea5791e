"""The things of the sample clips, six shapes and ten handwritten digits, smooth at any place and size.

A shape is a signed distance from its outline (negative inside), so its edge is one pixel soft at every size.
A handwritten digit is an image of 8 x 8 cells from scikit-learn's set, upscaled with cubic B-splines through
its cells (M. Unser, "Splines: a perfect fit for signal and image processing", IEEE SP Magazine, 1999).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Cover = Callable[[Floats, Floats, Floats], Floats]
"""(x, y, radius), (frame,) each in pixels -> share of each pixel that is covered, (frame, row, column)"""

SIZE = 64  # pixels across and down
_PIXELS = np.arange(SIZE, dtype=np.float32)
_CELLS = 8  # of a handwritten digit, across and down
_INK = (0.35, 0.3)  # of the upscaled ink: where a stroke begins, and how far until it is full


def shape_cover(shape: str, tilt: float) -> Cover:
    """What draws `shape` (a key of SHAPES), turned by `tilt` radians, within a circle of the given radius."""
    distance = SHAPES[shape]
    cosine, sine = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))

    def cover(x: Floats, y: Floats, radius: Floats) -> Floats:
        scale = radius[:, None, None]
        across = (_PIXELS[None, None, :] - x[:, None, None]) / scale
        down = (_PIXELS[None, :, None] - y[:, None, None]) / scale
        inside = -distance(cosine * across + sine * down, cosine * down - sine * across) * scale
        return np.clip(inside + np.float32(0.5), 0, 1)

    return cover


def digit_cover(ink: Floats) -> Cover:
    """What draws the handwritten digit `ink` (cell down, cell across), 0 to 1, two radii high and wide."""
    knots = np.eye(_CELLS) * 2 / 3 + (np.eye(_CELLS, k=1) + np.eye(_CELLS, k=-1)) / 6  # splines at the cells
    through = np.linalg.solve(knots, np.linalg.solve(knots, ink.astype(float)).T).T.astype(np.float32)

    def cover(x: Floats, y: Floats, radius: Floats) -> Floats:
        down, across = _spline_weights(y, radius), _spline_weights(x, radius)
        upscaled = down @ through @ across.transpose(0, 2, 1)
        return np.clip((upscaled - np.float32(_INK[0])) / np.float32(_INK[1]), 0, 1)

    return cover


def background(grey: float, rng: np.random.Generator) -> Floats:
    """A dim wall around grey level `grey` (0 to 255), cloudy and grainy, (row, column)."""
    clouds = rng.normal(0, 9, (_CELLS, _CELLS)).astype(np.float32)
    middle = np.full(1, SIZE / 2, np.float32)
    weights = _spline_weights(middle, np.full(1, SIZE * 0.6, np.float32))[0]
    grain = np.float32(2.5) * rng.standard_normal((SIZE, SIZE), np.float32)
    wall: Floats = np.float32(grey) + weights @ clouds @ weights.T + grain
    return wall


@cache
def handwriting() -> dict[str, tuple[NDArray[np.float32], ...]]:
    """Clearly written digits by split: for each of 0 to 9 its images (image, cell down, cell across), 0 to 1.

    Splits share no image. Clearly written: its five nearest images, among all, show the same digit.
    """
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    pixels, labels = load_digits(return_X_y=True)
    squares = (pixels**2).sum(1)
    distances = squares[:, None] + squares[None, :] - 2 * pixels @ pixels.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, 5, axis=1)[:, :5]
    clear = (labels[nearest] == labels[:, None]).all(1)
    images = (pixels / 16).astype(np.float32).reshape(-1, _CELLS, _CELLS)
    parts: dict[str, list[NDArray[np.float32]]] = {"train": [], "validation": [], "test": []}
    for digit in range(10):
        of_digit = images[clear & (labels == digit)]
        turn = np.arange(len(of_digit)) % 6
        parts["train"].append(of_digit[turn < 4])
        parts["validation"].append(of_digit[turn == 4])
        parts["test"].append(of_digit[turn == 5])
    return {split: tuple(digits) for split, digits in parts.items()}


def _spline_weights(centre: Floats, radius: Floats) -> Floats:
    """Cubic B-spline weights (frame, pixel, cell) of _CELLS cells spread over `centre` +- `radius`."""
    place = (_PIXELS[None, :] - centre[:, None]) / (2 * radius[:, None]) * _CELLS + (_CELLS - 1) / 2
    away = np.abs(place[:, :, None] - np.arange(_CELLS, dtype=np.float32))
    near, far = 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6
    return np.where(away < 1, near, far).astype(np.float32)


def _circle(x: Floats, y: Floats) -> Floats:
    return np.hypot(x, y) - np.float32(0.95)


def _ring(x: Floats, y: Floats) -> Floats:
    return np.abs(np.hypot(x, y) - np.float32(0.76)) - np.float32(0.22)


def _square(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.72)


def _cross(x: Floats, y: Floats) -> Floats:
    across, down = np.abs(x), np.abs(y)
    arm, width = np.float32(0.92), np.float32(0.28)
    return np.minimum(np.maximum(across - arm, down - width), np.maximum(down - arm, across - width))


def _triangle(x: Floats, y: Floats) -> Floats:
    slope = np.float32(np.sqrt(3) / 2)
    return np.maximum(y, slope * np.abs(x) - y / 2) - np.float32(0.5)


def _star(x: Floats, y: Floats) -> Floats:
    """Five points, by folding the plane onto half a point: its edge runs from the tip to the notch."""
    half = math.pi / 5
    angle = np.abs(np.mod(np.arctan2(x, -y) + half, 2 * half) - half)
    reach = np.hypot(x, y)
    notch_x, notch_y = 0.42 * math.cos(half), 0.42 * math.sin(half)
    edge = math.hypot(notch_x - 1, notch_y)
    past_tip, aside = reach * np.cos(angle) - 1, reach * np.sin(angle)
    return ((notch_y * past_tip + (1 - notch_x) * aside) / edge).astype(np.float32)


SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
}
