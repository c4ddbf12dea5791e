"""Random changes of training frames, the same for all frames of a clip: numpy and Pillow only."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.video.options import AugmentOptions

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Luminance of red, green and blue (ITU-R BT.601)."""


def augment(
    pixels: NDArray[np.uint8], options: AugmentOptions, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Frames (frame, height, width, 3) uint8 after a random crop, mirror and change of colours.

    Draws always come in the same order and number, so that one option does not change what another does.
    """
    share, across, down = rng.uniform(options.crop, 1.0), rng.random(), rng.random()
    mirrored = rng.random() < options.flip
    brightness, contrast, saturation = 1 + options.colour * rng.uniform(-1, 1, 3)
    if options.crop < 1:
        pixels = _cropped(pixels, share, across, down)
    if mirrored:
        pixels = pixels[:, :, ::-1]
    if options.colour > 0:
        pixels = _coloured(pixels, brightness, contrast, saturation)
    return np.ascontiguousarray(pixels)


def _cropped(pixels: NDArray[np.uint8], share: float, across: float, down: float) -> NDArray[np.uint8]:
    """A part of so much of the area, at a place between 0 and 1, brought back to the whole size."""
    height, width = pixels.shape[1:3]
    rows, columns = max(1, round(height * share**0.5)), max(1, round(width * share**0.5))
    top, left = round((height - rows) * down), round((width - columns) * across)
    part = pixels[:, top : top + rows, left : left + columns]
    resized = [Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR) for one in part]
    return np.stack([np.asarray(one) for one in resized])


def _coloured(
    pixels: NDArray[np.uint8], brightness: float, contrast: float, saturation: float
) -> NDArray[np.uint8]:
    """Brightness, contrast about the clip's mean and saturation about grey, each times its factor.

    All three are linear, so that they are one matrix and one offset; a frame at a time, to spare memory.
    """
    mean = brightness * float(pixels.mean(dtype=np.float64))
    mixed = saturation * np.eye(3) + (1 - saturation) * GREY[:, None]
    matrix = (brightness * contrast * mixed).astype(np.float32)
    offset = np.float32((1 - contrast) * mean + 0.5)
    return np.stack(
        [(frame.astype(np.float32) @ matrix + offset).clip(0, 255).astype(np.uint8) for frame in pixels]
    )
