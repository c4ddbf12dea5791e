"""What is changed by chance is the same for all frames of a clip, and only what was asked for."""

import numpy as np
import pytest

from datamodules.video.augment import GREY, augment
from datamodules.video.options import AugmentOptions


def clip(frames: int = 3) -> np.ndarray:
    """(frame, 24, 24, 3): the same noise in every frame."""
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return np.stack([picture] * frames)


def test_nothing_asked_changes_nothing() -> None:
    np.testing.assert_array_equal(augment(clip(), AugmentOptions(), np.random.default_rng(0)), clip())


def test_all_frames_change_alike_and_a_seed_repeats_it() -> None:
    options = AugmentOptions(crop=0.4, flip=0.5, colour=0.4)
    for seed in range(5):
        found = augment(clip(), options, np.random.default_rng(seed))
        assert (found == found[0]).all()
        assert found.shape == clip().shape
        assert found.dtype == np.uint8
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, augment(clip(), options, np.random.default_rng(seed)))


def test_a_mirrored_clip_is_mirrored_sideways() -> None:
    found = augment(clip(), AugmentOptions(flip=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(found, clip()[:, :, ::-1])


def test_one_option_does_not_change_what_another_does() -> None:
    for seed in range(20):
        one = augment(clip(), AugmentOptions(flip=0.5), np.random.default_rng(seed))
        both = augment(clip(), AugmentOptions(flip=0.5, colour=1e-6), np.random.default_rng(seed))
        assert np.abs(one.astype(int) - both).max() <= 1


def test_a_crop_keeps_the_share_that_was_asked_for() -> None:
    rows = np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8)[None, :, None, None], (1, 24, 24, 3))
    for seed in range(20):
        found = augment(rows, AugmentOptions(crop=0.25), np.random.default_rng(seed)).astype(int)
        assert np.ptp(found) >= 240 * 0.5 - 30


@pytest.mark.parametrize("seed", range(4))
def test_colours_are_those_of_the_three_steps_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rng.uniform(1.0, 1.0), rng.random(3)
    brightness, contrast, saturation = 1 + 0.3 * rng.uniform(-1, 1, 3)
    wanted = clip().astype(float) * brightness
    wanted = (wanted - wanted.mean()) * contrast + wanted.mean()
    grey = (wanted @ GREY)[..., None]
    wanted = ((wanted - grey) * saturation + grey).clip(0, 255)
    found = augment(clip(), AugmentOptions(colour=0.3), np.random.default_rng(seed))
    assert np.abs(found - wanted).max() <= 0.51
