"""The chosen frames are those that a viewer sees at evenly spread moments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.video.frame_choice import choose, length
from datamodules.video.options import FrameOptions

STEADY = np.arange(100) / 25


def test_uniform_takes_the_frames_in_the_middle_of_equal_parts() -> None:
    found = choose(FrameOptions(choice="uniform", count=4), STEADY, training=False)
    assert found.tolist() == [12, 37, 62, 87]
    assert found.dtype == np.int64


def test_a_frame_that_is_shown_for_long_is_chosen_more_than_once() -> None:
    times = np.array([0.0, 0.1, 0.2, 8.0, 8.1])
    found = choose(FrameOptions(choice="uniform", count=8), times, training=False)
    assert found.tolist() == [2] * 8


def test_fps_takes_each_frame_once_and_thins_evenly() -> None:
    assert choose(FrameOptions(choice="fps", fps=5), STEADY, training=False).tolist() == list(
        range(0, 100, 5)
    )
    assert choose(FrameOptions(choice="fps", fps=400), STEADY, training=False).tolist() == list(range(100))
    few = choose(FrameOptions(choice="fps", fps=25, most=4), STEADY, training=False)
    assert few.tolist() == [12, 37, 62, 87]


def test_all_takes_every_frame_up_to_most() -> None:
    assert choose(FrameOptions(choice="all"), STEADY, training=False).tolist() == list(range(100))
    assert choose(FrameOptions(choice="all", most=2), STEADY, training=False).tolist() == [25, 75]


def test_segments_are_drawn_within_their_parts_when_training_and_uniform_when_judging() -> None:
    options = FrameOptions(choice="segment", count=4)
    drawn = [choose(options, STEADY, training=True, rng=np.random.default_rng(seed)) for seed in range(50)]
    assert all((one // 25 == np.arange(4)).all() for one in drawn)
    assert len({tuple(one) for one in drawn}) > 40
    np.testing.assert_array_equal(
        drawn[3], choose(options, STEADY, training=True, rng=np.random.default_rng(3))
    )
    assert choose(options, STEADY, training=False).tolist() == [12, 37, 62, 87]
    with pytest.raises(ValueError, match="generator"):
        choose(options, STEADY, training=True)


def test_a_short_clip_repeats_its_frames() -> None:
    options = FrameOptions(choice="uniform", count=4)
    assert choose(options, [7.0], training=False).tolist() == [0, 0, 0, 0]
    assert choose(options, [0.0, 1.0], training=False).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("times", [[], [[0.0]], [1.0, 0.0], [0.0, np.nan]])
def test_times_that_are_none_are_refused(times: list) -> None:
    with pytest.raises(ValueError, match="times"):
        choose(FrameOptions(choice="all"), times, training=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=40),
    st.sampled_from(["uniform", "segment", "fps", "all"]),
    st.integers(1, 20),
    st.floats(-1e6, 1e6),
)
def test_choices_never_decrease_and_lie_within_the_clip(
    gaps: list[float], choice: str, count: int, origin: float
) -> None:
    times = origin + np.cumsum(gaps)
    options = FrameOptions.model_validate({"choice": choice, "count": count, "most": count})
    found = choose(options, times, training=True, rng=np.random.default_rng(0))
    assert (np.diff(found) >= 0).all()
    assert 0 <= found[0] <= found[-1] < len(times)
    assert len(found) == count if choice in ("uniform", "segment") else 1 <= len(found) <= count
    assert length(times) >= 0
