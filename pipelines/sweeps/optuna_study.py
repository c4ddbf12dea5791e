"""Optuna as the chooser, by ask and tell (Akiba et al. 2019).

The sweep's own files are the truth. At each launch the study is made anew from them, and the sampler is
seeded for each trial by its number: a sweep that was stopped anywhere goes on as if it had not been.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from pipelines.sweeps.course import Course
from pipelines.sweeps.ledger import Ledger, Trial
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.space import Axis, Interval, Values

log = logging.getLogger(__name__)

STATES = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "stopped": TrialState.RUNNING,
}


class OptunaStudy:
    """A study in `<sweep>/optuna.log`, which optuna-dashboard can read while the sweep runs."""

    def __init__(self, plan: Plan, ledger: Ledger, courses: Mapping[int, Course]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        self._spaces = {axis.key: _distribution(axis) for axis in plan.axes}
        ledger.study.unlink(missing_ok=True)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(ledger.study))),
            study_name=plan.name,
            direction="minimize" if plan.ranking.mode == "min" else "maximize",
            pruner=_pruner(plan),
        )
        self._trials: dict[int, optuna.trial.Trial] = {}
        for number in sorted(ledger.trials):
            self._add(ledger.trials[number], courses[number])

    def _add(self, trial: Trial, course: Course) -> None:
        """Tell the study of a trial of an earlier launch."""
        state, params = STATES[trial.state], self._params(trial.values)
        if state == TrialState.COMPLETE and trial.figure is None:
            state = TrialState.FAIL
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=trial.figure if state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
                params=params,
                distributions=self._spaces,
                intermediate_values=_reports(course, trial.epochs if trial.state == "pruned" else None),
                user_attrs={"run": trial.name},
            )
        )
        if state == TrialState.RUNNING:
            found = self._study.get_trials(deepcopy=False)[trial.number]
            self._trials[trial.number] = optuna.trial.Trial(self._study, found._trial_id)

    def _params(self, values: Values) -> dict[str, Any]:
        """The typed values that a trial's texts stand for."""
        kinds = {FloatDistribution: float, IntDistribution: int}
        return {key: kinds.get(type(self._spaces[key]), str)(text) for key, text in values.items()}

    def propose(self, number: int) -> Values:
        """What the sampler makes of all trials so far; repr keeps every digit."""
        seed = int(np.random.SeedSequence([self._plan.options.seed, number]).generate_state(1)[0])
        self._study.sampler = _sampler(self._plan.options.sampler, seed)
        trial = self._study.ask(self._spaces)
        trial.set_user_attr("run", self._plan.trial_name(number))
        self._trials[number] = trial
        return {key: value if isinstance(value, str) else repr(value) for key, value in trial.params.items()}

    def hopeless(self, number: int, epoch: int, courses: Mapping[int, Course]) -> str | None:
        """What the pruner says of the best figure so far."""
        trial, best = self._trials.get(number), courses[number].best(epoch)
        if trial is None:
            return None
        if best is not None:
            trial.report(best.figure, epoch)
        if self._plan.options.prune == "none" or epoch < self._plan.options.warmup_epochs:
            return None
        if best is None or trial.should_prune():
            found = "no finite figure" if best is None else f"{best.figure:.4g}"
            return f"{found} after {epoch + 1} epochs; {self._plan.options.prune} rule of Optuna"
        return None

    def ended(self, trial: Trial) -> None:
        """Tell the study; a trial that was only stopped stays open."""
        state = STATES[trial.state]
        if trial.number not in self._trials or state == TrialState.RUNNING:
            return
        if state == TrialState.COMPLETE and trial.figure is None:
            state = TrialState.FAIL
        value = trial.figure if state == TrialState.COMPLETE else None
        self._study.tell(self._trials.pop(trial.number), value, state=state)


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Interval):
        if axis.whole:
            return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    if axis.steps is not None:
        first, last, step = axis.steps
        return IntDistribution(first, last, step=step)
    return CategoricalDistribution(axis.texts)


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    options, epochs = plan.options, plan.first.settings.trainer.max_epochs
    if options.prune == "median":
        return optuna.pruners.MedianPruner(options.warmup_trials, options.warmup_epochs)
    if options.prune == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=max(1, options.warmup_epochs), max_resource=epochs or "auto"
        )
    return optuna.pruners.NopPruner()


def _reports(course: Course, epochs: int | None) -> dict[int, float]:
    """The best figure so far at each epoch, as reported; a pruned trial's up to where it was judged."""
    stop = len(course.points) if epochs is None else epochs
    found = {epoch: course.best(epoch) for epoch in sorted(course.points)[:stop]}
    return {epoch: point.figure for epoch, point in found.items() if point is not None}
