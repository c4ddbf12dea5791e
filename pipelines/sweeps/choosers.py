"""Who says what the next trial sets, and which one is hopeless: a list, or Optuna."""

from collections.abc import Mapping
from typing import Protocol

from pipelines.sweeps.course import Course
from pipelines.sweeps.ledger import Ledger, Trial
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.pruning import MedianRule
from pipelines.sweeps.space import Values


class Chooser(Protocol):
    """Chooses what is tried. It is told everything in the order in which it happens."""

    def propose(self, number: int) -> Values:
        """What trial `number` sets; asked once for each, in order."""

    def hopeless(self, number: int, epoch: int, courses: Mapping[int, Course]) -> str | None:
        """Why a trial should stop after its validation of `epoch`; None when it should go on."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended, as it says."""


class Listed:
    """Trials that were all known beforehand, with the median rule where it is wanted."""

    def __init__(self, values: tuple[Values, ...], rule: MedianRule | None) -> None:
        self._values = values
        self._rule = rule

    def propose(self, number: int) -> Values:
        """The next in the list."""
        return self._values[number]

    def hopeless(self, number: int, epoch: int, courses: Mapping[int, Course]) -> str | None:
        """What the median rule says."""
        return None if self._rule is None else self._rule.reason(number, epoch, courses)

    def ended(self, trial: Trial) -> None:
        """Nothing follows from it."""


def chooser_of(plan: Plan, ledger: Ledger, courses: Mapping[int, Course]) -> Chooser:
    """The chooser that the plan asks for, which knows of every trial in the ledger."""
    options = plan.options
    if plan.listed is None:
        from pipelines.sweeps.optuna_study import OptunaStudy

        return OptunaStudy(plan, ledger, courses)
    rule = MedianRule(plan.ranking, options.warmup_epochs, options.warmup_trials)
    return Listed(plan.listed, rule if options.prune == "median" else None)
