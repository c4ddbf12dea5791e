"""What a launch is about to do: the batch over all ranks, the learning rate, the steps; what has changed."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Plan:
    """One launch of a run, in the numbers that decide what its steps do.

    ranks:           processes that train together
    batch_size:      samples that a rank reads at once, at most
    accumulate:      batches of a rank that make one step of the optimiser
    learning_rate:   the highest, as set
    steps_per_epoch: steps of the optimiser in one pass over the data
    max_steps:       steps of the optimiser in the whole run; None where only minutes bound it
    max_minutes:     of training in the whole run; None for no bound
    precision:       Lightning's name of it, such as bf16-mixed
    device:          what each rank computes on, for people
    """

    ranks: int
    batch_size: int
    accumulate: int
    learning_rate: float
    steps_per_epoch: int
    max_steps: int | None
    max_minutes: float | None
    precision: str
    device: str

    @property
    def batch(self) -> int:
        """Samples that one step of the optimiser learns from, at most."""
        return self.ranks * self.batch_size * self.accumulate

    @property
    def factors(self) -> str:
        """Ranks x samples of each x batches accumulated."""
        return f"{self.ranks} x {self.batch_size} x {self.accumulate}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, for provenance.json."""
        return {**asdict(self), "batch": self.batch}

    @classmethod
    def from_json(cls, found: Any) -> "Plan | None":
        """The plan that `to_json` wrote; None where there is none, or one of another version."""
        names = {field.name for field in fields(cls)}
        if not isinstance(found, Mapping) or not names <= set(found):
            return None
        return cls(**{name: found[name] for name in names})


def make_plan(
    *,
    ranks: int,
    batch_size: int,
    batches: int,
    accumulate: int = 1,
    learning_rate: float,
    max_epochs: int | None = None,
    max_steps: int | None = None,
    max_minutes: float | None = None,
    precision: str,
    device: str,
) -> Plan:
    """The plan of a launch; batches: those that each rank reads in an epoch."""
    steps = math.ceil(batches / accumulate)
    bounds = [bound for bound in (max_steps, max_epochs and max_epochs * steps) if bound is not None]
    most = min(bounds) if bounds else None
    return Plan(ranks, batch_size, accumulate, learning_rate, steps, most, max_minutes, precision, device)


def plan_lines(plan: Plan) -> list[str]:
    """What people should know before the first step, a line each."""
    rate = f"learning rate {_rate(plan.learning_rate)}"
    if plan.ranks > 1:
        rate += " (as set: it is not scaled by the number of ranks)"
    ranks = "1 rank" if plan.ranks == 1 else f"{plan.ranks} ranks"
    return [_batch(plan), rate, _steps(plan), f"{plan.precision} on {plan.device}, {ranks}"]


def changed_plan(before: Plan, now: Plan) -> list[str]:
    """What a launch that goes on with a run does otherwise than the one before, a sentence each."""
    found = []
    if before.batch != now.batch:
        size = "larger" if now.batch > before.batch else "smaller"
        found.append(
            f"the global batch was {before.batch} ({before.factors}) and is now {now.batch} ({now.factors}): "
            f"the same learning rate acts on {size} batches; {_restored(before, now)}"
        )
    if before.learning_rate != now.learning_rate:
        found.append(
            f"the learning rate was {_rate(before.learning_rate)} and is now {_rate(now.learning_rate)}"
        )
    if before.precision != now.precision:
        found.append(
            f"the precision was {before.precision} and is now {now.precision}: figures no longer equal those "
            f"of an undisturbed run; trainer.precision={_setting(before.precision)} restores it"
        )
    return found


def _batch(plan: Plan) -> str:
    """The global batch and what it is made of."""
    if plan.ranks == plan.accumulate == 1:
        return f"batch of {plan.batch}"
    made = f"{plan.ranks} ranks x {plan.batch_size} each" if plan.ranks > 1 else f"{plan.batch_size}"
    accumulated = f" x {plan.accumulate} accumulated" if plan.accumulate > 1 else ""
    return f"batch of {plan.batch} = {made}{accumulated}"


def _steps(plan: Plan) -> str:
    """How long training lasts."""
    steps = f"{plan.steps_per_epoch:,} steps an epoch"
    minutes = "" if plan.max_minutes is None else f"{plan.max_minutes:g} minutes"
    if plan.max_steps is None:
        return f"{steps}, for {minutes}" if minutes else steps
    return f"{steps}, {plan.max_steps:,} in all" + (f" or {minutes}, what comes first" if minutes else "")


def _restored(before: Plan, now: Plan) -> str:
    """The settings that bring the former batch back, else that none do."""
    each, left = divmod(before.batch, now.ranks)
    if left:
        return f"no setting restores it with {now.ranks} ranks: take as many as divide {before.batch}"
    if each % now.batch_size == 0:
        return f"trainer.accumulate={each // now.batch_size} restores it"
    if each % now.accumulate == 0:
        return f"data.batch_size={each // now.accumulate} restores it"
    return f"data.batch_size={each} with trainer.accumulate=1 restores it"


def _rate(rate: float) -> str:
    """A learning rate as people write it: 1e-3, 2.5e-4, 0.1."""
    if rate >= 0.01:
        return f"{rate:g}"
    digits, _, power = f"{rate:e}".partition("e")
    return f"{float(digits):g}e{int(power)}"


def _setting(precision: str) -> str:
    """What `trainer.precision` calls Lightning's name of a precision."""
    return precision.partition("-")[0]
