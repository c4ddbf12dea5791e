"""Pictures of any shape brought to a square: cropped, squeezed or padded."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def stored_size(stored: tuple[int, int], wide: float, size: int, fit: str) -> tuple[int, int]:
    """Width and height to which a whole stored picture is scaled before it is fitted.

    stored: (width, height);  wide: width of a pixel over its height
    fit: crop (the short side becomes `size`), pad (the long one), squeeze (both)
    """
    if fit == "squeeze":
        return size, size
    width, height = stored[0] * wide, float(stored[1])
    side = min(width, height) if fit == "crop" else max(width, height)
    return max(1, round(width * size / side)), max(1, round(height * size / side))


def fit_image(image: Image.Image, wide: float, size: int, fit: str) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 of an RGB image of any shape; only what is kept is scaled.

    wide: width of a pixel over its height
    """
    width, height = image.size
    if fit == "crop":
        side = min(width * wide, float(height))
        across, down = min(side / wide, width), side
        left, top = (width - across) / 2, (height - down) / 2
        kept = (left, top, left + across, top + down)
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=kept))
    scaled = image.resize(stored_size(image.size, wide, size, fit), Image.Resampling.BICUBIC)
    return fit_picture(np.asarray(scaled), size)


def fit_picture(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle (size, size, 3) of a picture (height, width, 3); what is missing is black."""
    height, width = picture.shape[:2]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    middle = picture[top : top + size, left : left + size]
    if middle.shape[:2] == (size, size):
        return np.ascontiguousarray(middle)
    canvas = np.zeros((size, size, 3), np.uint8)
    down, across = (size - middle.shape[0]) // 2, (size - middle.shape[1]) // 2
    canvas[down : down + middle.shape[0], across : across + middle.shape[1]] = middle
    return canvas
