"""Rates, rollouts and sampling follow from how far the run is, and from nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.options import CurriculumOptions, OptimizerOptions, ScheduledSamplingOptions
from lightning_modules.schedules import learning_rate, rollout_steps, truth_share

SHARE = st.floats(0, 1)


@given(SHARE)
def test_the_rate_never_passes_its_highest_and_never_falls_below_zero(share: float) -> None:
    options = OptimizerOptions(learning_rate=0.01, warmup=0.1)
    assert 0 <= learning_rate(options, share) <= 0.01 + 1e-12


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    options = OptimizerOptions(learning_rate=0.01, warmup=0.1)
    assert learning_rate(options, 0.05) == pytest.approx(0.005)
    assert learning_rate(options, 0.1) == pytest.approx(0.01)
    assert learning_rate(options, 0.55) == pytest.approx(0.005)
    assert learning_rate(options, 1.0) == pytest.approx(0.0)


def test_a_constant_rate_stays_where_the_warm_up_brought_it() -> None:
    options = OptimizerOptions(learning_rate=0.01, warmup=0.1, schedule="constant")
    assert learning_rate(options, 0.9) == 0.01


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 20), st.integers(0, 50))
def test_the_rollout_grows_from_start_to_the_horizon(
    start: int, horizon: int, epochs: int, epoch: int
) -> None:
    options = CurriculumOptions(start=start, epochs=epochs)
    now, later = (rollout_steps(options, horizon, e) for e in (epoch, epoch + 1))
    assert 1 <= now <= later <= horizon or start > horizon
    assert rollout_steps(options, horizon, epochs) == horizon


def test_without_a_curriculum_the_whole_horizon_is_rolled_out() -> None:
    assert rollout_steps(CurriculumOptions(), 7, 0) == 7


def test_the_truth_is_read_less_and_less() -> None:
    options = ScheduledSamplingOptions(start=1.0, end=0.0)
    assert [truth_share(options, share) for share in (0.0, 0.25, 1.0)] == [1.0, 0.75, 0.0]
