"""Every sample once, on one rank, in as many batches on every rank."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.errors import InputError
from datamodules.sampler import EpochBatches, OrderedBatches, Pass, ShuffledBatches, batches_per_rank


@st.composite
def shares(draw: st.DrawFn) -> tuple[int, int, int]:
    """Samples, batch size, ranks: at least a sample for each rank."""
    world = draw(st.integers(1, 5))
    return draw(st.integers(world, 200)), draw(st.integers(1, 20)), world


@settings(deadline=None)
@given(shares(), st.booleans())
def test_ranks_together_read_each_sample_once_in_equally_many_batches(
    share: tuple[int, int, int], shuffle: bool
) -> None:
    count, size, world = share
    ranks = [
        list(
            ShuffledBatches(count, size, 7, rank, world)
            if shuffle
            else OrderedBatches(count, size, rank, world)
        )
        for rank in range(world)
    ]
    assert {len(batches) for batches in ranks} == {batches_per_rank(count, size, world)}
    assert all(0 < len(batch) <= max(size, 2) for batches in ranks for batch in batches)
    if size > 1:
        assert max(len(batch) for batches in ranks for batch in batches) <= size
    assert sorted(i for batches in ranks for batch in batches for i in batch) == list(range(count))


def test_evaluation_reads_every_world_th_sample_in_order() -> None:
    read = [i for batch in OrderedBatches(11, 3, rank=1, world=3) for i in batch]
    assert read == [1, 4, 7, 10]


def test_seed_and_epoch_alone_decide_the_order() -> None:
    one, same, other = ShuffledBatches(50, 8, 1), ShuffledBatches(50, 8, 1), ShuffledBatches(50, 8, 2)
    assert list(one) == list(one) == list(same)
    assert list(one) != list(other)
    same.set_epoch(3)
    assert list(one) != list(same)
    one.set_epoch(3)
    assert list(one) == list(same)


def test_positions_that_count_through_all_epochs_tell_the_epoch_and_the_sample() -> None:
    plain, counted = ShuffledBatches(50, 8, 1, rank=1, world=2), EpochBatches(50, 8, 1, rank=1, world=2)
    for epoch in (0, 4):
        plain.set_epoch(epoch)
        counted.set_epoch(epoch)
        assert list(counted) == [[epoch * 50 + sample for sample in batch] for batch in plain]


def test_a_pass_can_go_on_in_the_middle_and_the_next_one_is_whole() -> None:
    batches = ShuffledBatches(50, 8, 1)
    whole = list(batches)
    batches.skip = 3
    assert list(batches) == whole[3:]
    assert list(batches) == whole


@pytest.mark.parametrize("ranks", [(2, 3), (3, 1), (1, 2), (2, 3, 2, 2)])
def test_an_epoch_that_goes_on_with_other_ranks_reads_each_sample_once(ranks: tuple[int, ...]) -> None:
    count, passes, seen = 103, list[Pass](), list[int]()
    for number, world in enumerate(ranks):
        shares = [ShuffledBatches(count, 8, 1, rank, world) for rank in range(world)]
        for one in shares:
            one.set_epoch(5)
            one.go_on(5, 1, passes)
        assert len({(one.batches_of_pass, one.skip) for one in shares}) == 1
        last = number == len(ranks) - 1
        stop = shares[0].batches_of_pass if last else shares[0].skip + 2
        passes = [*shares[0].passes, Pass(world, shares[0].batches_of_pass, stop)]
        for one in shares:
            for batch in list(one)[: None if last else 2]:
                assert 0 < len(batch) <= 9
                seen += batch
    assert sorted(seen) == list(range(count))


def test_more_ranks_than_samples_are_refused() -> None:
    with pytest.raises(InputError, match="2 samples cannot be shared by 3 ranks"):
        OrderedBatches(2, 4, rank=0, world=3)
    with pytest.raises(ValueError, match="rank 3 of 3"):
        OrderedBatches(9, 4, rank=3, world=3)
    assert np.sum([len(b) for b in OrderedBatches(3, 4, rank=2, world=3)]) == 1
