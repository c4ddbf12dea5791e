"""A launch says what its steps learn from, and what it does otherwise than the launch before."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pipelines.plan import Plan, changed_plan, make_plan, plan_lines

COUNT = some.integers(1, 64)


def plan(ranks: int = 2, batch_size: int = 16, accumulate: int = 2, **more: object) -> Plan:
    """The plan of a launch on 2 ranks, a few settings changed."""
    told = {"learning_rate": 1e-3, "batches": 101, "max_epochs": 10, "precision": "32-true", "device": "CPU"}
    return make_plan(ranks=ranks, batch_size=batch_size, accumulate=accumulate, **{**told, **more})  # type: ignore[arg-type]


def test_the_plan_says_what_a_step_learns_from_and_that_the_rate_is_as_set() -> None:
    assert plan_lines(plan()) == [
        "batch of 64 = 2 ranks x 16 each x 2 accumulated",
        "learning rate 1e-3 (as set: it is not scaled by the number of ranks)",
        "51 steps an epoch, 510 in all",
        "32-true on CPU, 2 ranks",
    ]


def test_a_process_alone_is_not_told_of_ranks() -> None:
    assert plan_lines(plan(1, 16, 1, learning_rate=2.5e-4))[:2] == ["batch of 16", "learning rate 2.5e-4"]
    assert plan_lines(plan(1, 16, 4, learning_rate=0.1))[:2] == [
        "batch of 64 = 16 x 4 accumulated",
        "learning rate 0.1",
    ]


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"max_steps": 40}, "51 steps an epoch, 40 in all"),
        ({"max_steps": 4000}, "51 steps an epoch, 510 in all"),
        ({"max_epochs": None, "max_steps": 4000}, "51 steps an epoch, 4,000 in all"),
        ({"max_epochs": None, "max_minutes": 90.0}, "51 steps an epoch, for 90 minutes"),
        ({"max_minutes": 1.5}, "51 steps an epoch, 510 in all or 1.5 minutes, what comes first"),
    ],
)
def test_the_plan_says_when_training_ends(bounds: dict[str, object], said: str) -> None:
    assert plan_lines(plan(**bounds))[2] == said


def test_a_plan_comes_back_from_provenance_as_it_was() -> None:
    written = json.loads(json.dumps(plan().to_json()))
    assert written["batch"] == 64
    assert Plan.from_json(written) == plan()


@pytest.mark.parametrize("found", [None, {}, {"ranks": 2}, "2 ranks"])
def test_provenance_without_a_plan_has_none(found: object) -> None:
    assert Plan.from_json(found) is None


def test_nothing_is_told_where_nothing_that_counts_has_changed() -> None:
    assert changed_plan(plan(), plan()) == []
    assert changed_plan(plan(2, 16, 2), plan(4, 16, 1)) == []
    assert changed_plan(plan(), plan(max_epochs=20)) == []


def test_a_larger_batch_at_the_same_rate_is_told_with_the_way_back() -> None:
    assert changed_plan(plan(1, 32, 1), plan(2, 32, 1)) == [
        "the global batch was 32 (1 x 32 x 1) and is now 64 (2 x 32 x 1): the same learning rate acts on "
        "larger batches; data.batch_size=16 restores it"
    ]


def test_a_smaller_batch_is_restored_by_accumulation() -> None:
    (said,) = changed_plan(plan(8, 32, 1), plan(2, 32, 1))
    assert "256 (8 x 32 x 1) and is now 64 (2 x 32 x 1)" in said
    assert said.endswith("acts on smaller batches; trainer.accumulate=4 restores it")


def test_ranks_that_cannot_share_the_former_batch_are_told_so() -> None:
    (said,) = changed_plan(plan(1, 32, 1), plan(3, 32, 1))
    assert said.endswith("no setting restores it with 3 ranks: take as many as divide 32")


def test_another_rate_and_another_precision_are_told() -> None:
    said = changed_plan(plan(), plan(learning_rate=2e-3, precision="bf16-mixed"))
    assert said[0] == "the learning rate was 1e-3 and is now 2e-3"
    assert said[1].startswith("the precision was 32-true and is now bf16-mixed")
    assert said[1].endswith("trainer.precision=32 restores it")


@given(before=some.tuples(COUNT, COUNT, COUNT), now=some.tuples(COUNT, COUNT, COUNT))
def test_the_way_back_leads_back(before: tuple[int, int, int], now: tuple[int, int, int]) -> None:
    first, second = plan(*before), plan(*now)
    told = changed_plan(first, second)
    assert bool(told) == (first.batch != second.batch)
    if told and told[0].endswith(" restores it"):
        way = told[0].partition("; ")[2].removesuffix(" restores it").split(" with ")
        changes = {word.partition("=")[0].partition(".")[2]: int(word.partition("=")[2]) for word in way}
        assert dataclasses.replace(second, **changes).batch == first.batch
    elif told:
        assert first.batch % second.ranks
