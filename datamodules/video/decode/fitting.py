"""Pictures of any shape brought to a square: cropped, squeezed or padded."""

import numpy as np
from numpy.typing import NDArray


def stored_size(stored: tuple[int, int], wide: float, turns: int, size: int, fit: str) -> tuple[int, int]:
    """Width and height to which a stored picture is scaled before it is turned and fitted.

    stored: (width, height);  wide: width of a pixel over its height;  turns: quarter turns to come
    fit: crop (the short side becomes `size`), pad (the long one), squeeze (both)
    """
    if fit == "squeeze":
        return size, size
    width, height = max(stored[0] * wide, 1.0), float(stored[1])
    side = min(width, height) if fit == "crop" else max(width, height)
    # a very long strip is cropped to its middle anyway: its far ends need no care
    across, down = (max(1, round(one * size / side)) for one in (width, height))
    return min(across, 64 * size), min(down, 64 * size)


def fit_picture(picture: NDArray[np.uint8], size: int, fit: str) -> NDArray[np.uint8]:
    """The middle (size, size, 3) of a picture (height, width, 3); what is missing is black."""
    height, width = picture.shape[:2]
    if fit == "squeeze" or (height, width) == (size, size):
        return np.ascontiguousarray(picture)
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    middle = picture[top : top + size, left : left + size]
    if middle.shape[:2] == (size, size):
        return np.ascontiguousarray(middle)
    canvas = np.zeros((size, size, 3), np.uint8)
    down, across = (size - middle.shape[0]) // 2, (size - middle.shape[1]) // 2
    canvas[down : down + middle.shape[0], across : across + middle.shape[1]] = middle
    return canvas


def turned(picture: NDArray[np.uint8], turns: int) -> NDArray[np.uint8]:
    """The picture after so many quarter turns counterclockwise."""
    return np.rot90(picture, turns) if turns else picture
