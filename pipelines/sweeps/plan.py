"""What a sweep is to do, read from the words of the call and checked as a whole before anything starts."""

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.compose import Composed, compose, group_choices
from pipelines.mistakes import CallError, Mistake, find_mistakes
from pipelines.sweeps.options import DRAWS, Ranking, SweepOptions, SweepSettings, ranking_of
from pipelines.sweeps.space import Axis, Choices, Values, draws, grid, mixed, one_by_one, read_axis

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

OURS = ("run.name", "run.experiment", "run.sweep", "run.restart", "paths.*", "tracking.*")
"""What is the same for all trials, or follows from the name of the sweep."""
PLACING = ("run.*", "paths.*", "tracking.*", "trainer.max_*", "trainer.threads", "data.workers")
"""What may differ when a sweep goes on."""
MAY_CHANGE = ("trials", "parallel", "prune", "warmup_epochs", "warmup_trials", "fail")
"""The sweep's own keys that may differ when it goes on."""


@dataclass(frozen=True)
class Plan:
    """A checked sweep.

    name, experiment: its trials are <paths.runs>/<experiment>/<name>-000, -001, ...
    fixed:  the words that all trials share.       axes: what varies.
    listed: what every trial sets, where that is known beforehand (grid, random); None where optuna chooses.
    first:  the settings of the first trial.
    """

    name: str
    experiment: str
    options: SweepOptions
    ranking: Ranking
    fixed: tuple[str, ...]
    axes: tuple[Axis, ...]
    listed: tuple[Values, ...] | None
    first: Composed

    @property
    def total(self) -> int:
        """How many trials there are."""
        return self.options.trials or DRAWS if self.listed is None else len(self.listed)

    @property
    def folder(self) -> Path:
        """Where the sweep keeps what it asked and found: no run directory, beside those of its trials."""
        return (Path(self.first.settings.paths.runs) / self.experiment / f"{self.name}.sweep").absolute()

    def trial_name(self, number: int) -> str:
        """The run.name of a trial."""
        return f"{self.name}-{number:03d}"

    def words(self, number: int, values: Values) -> list[str]:
        """The call of `train` that is one trial."""
        names = (
            f"run.name={self.trial_name(number)}",
            f"run.experiment={self.experiment}",
            f"run.sweep={self.name}",
        )
        return [*self.fixed, *_texts(values), *names]

    def asked(self) -> dict[str, Any]:
        """What makes this sweep the same one when it is called again: the content of sweep.yaml."""
        options = self.options.model_dump(mode="json", exclude={"minimize", "maximize"})
        settings = dict(word.split("=", 1) for word in self.fixed)
        return {
            "figure": self.ranking.figure,
            "mode": self.ranking.mode,
            **options,
            "space": {axis.key: axis.asked for axis in self.axes},
            "settings": {key: settings[key] for key in settings if not _is_any(key, PLACING)},
        }


@dataclass
class _Read:
    """The words of a call, sorted out."""

    options: dict[str, Any] = field(default_factory=dict)
    fixed: list[str] = field(default_factory=list)
    axes: list[Axis] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def read_plan(words: Iterable[str], data: bool = True, before: Sequence[Mistake] = ()) -> Plan:
    """The sweep that the words ask for, every trial's settings validated.

    data: as in `compose`. Errors: CallError with every mistake of every trial, and those found `before`.
    """
    read = _sort_out(words)
    mistakes = [*before, *read.mistakes]
    options = _options(read, mistakes)
    listed = _listed(options, read.axes)
    data = data and not mistakes
    first: Composed | None = None
    experiments: dict[str, None] = {}
    for values in one_by_one(read.axes) if listed is None else listed or ({},):
        try:
            composed = compose([*read.fixed, *_texts(values)], data=data)
        except CallError as error:
            mistakes += error.mistakes
            continue
        first = first or composed
        experiments[composed.settings.run.experiment] = None
    if len(experiments) > 1:
        problem = (
            f"The trials would lie in {', '.join(experiments)}; one sweep lies in one: give run.experiment=."
        )
        mistakes.append(Mistake("run.experiment", problem))
    if mistakes or first is None:
        raise CallError(_once(mistakes))
    settings = first.settings
    plan = Plan(
        settings.run.name or "",
        settings.run.experiment,
        options,
        ranking_of(options, settings.task.kind),
        tuple(read.fixed),
        tuple(read.axes),
        listed,
        first,
    )
    return plan if plan.name else _named(plan)


def _once(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Each mistake once, however many trials make it; values that are wrong in one way together."""
    found: dict[tuple[str, str], Mistake] = {}
    for one in mistakes:
        before = found.setdefault((one.key, one.problem), one)
        if one.value is not None and before.value is not None and one.value not in before.value.split(", "):
            found[one.key, one.problem] = replace(before, value=f"{before.value}, {one.value}")
    return list(found.values())


def _named(plan: Plan) -> Plan:
    """The plan with a name that follows from what it asks, so that the same call finds its own sweep."""
    from pipelines.rundir import default_name

    fixed = {key: value for key, value in plan.asked().items() if key not in MAY_CHANGE}
    return replace(plan, name=default_name("sweep", fixed))


def _sort_out(words: Iterable[str]) -> _Read:
    """Settings with one value, axes, and keys of the sweep itself; mistakes beside them.

    Of a key that is given twice the last word counts, as in every call.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, groups, read = OverridesParser.create(), group_choices(), _Read()
    latest: dict[str, str] = {}
    for word in words:
        latest.pop(word.partition("=")[0], None)
        latest[word.partition("=")[0]] = word
    for word in latest.values():
        key, equals, text = word.partition("=")
        try:
            override = parser.parse_override(word) if equals and key[:1] not in "~+" else None
        except HydraException:
            override = None
        if override is not None and override.is_sweep_override():
            found = _axis(key, text, override, groups.get(key))
            (read.mistakes if isinstance(found, Mistake) else read.axes).append(found)  # type: ignore[arg-type]
        elif override is not None and key.startswith("sweep."):
            read.options[key.removeprefix("sweep.")] = override.value()
        else:
            read.fixed.append(word)
    read.mistakes += _together(read)
    return read


def _axis(key: str, text: str, override: "Override", names: Sequence[str] | None) -> Axis | Mistake:
    """The values that one word gives its key, or why it may not give several."""
    if key.startswith("sweep."):
        return Mistake(key, "One value goes here; the sweep itself is not swept.", text)
    if _is_any(key, OURS):
        problem = "This is the same for all trials of a sweep; each has a directory of its own in it."
        return Mistake(key, problem, text)
    try:
        return read_axis(key, text, override, names)
    except ValueError as error:
        problem = str(error)
        return Mistake(key, f"{problem[0].upper()}{problem[1:]}.", text)


def _together(read: _Read) -> list[Mistake]:
    """What is wrong with the words beside one another."""
    found: list[Mistake] = []
    if any(word.lower() == "run.restart=true" for word in read.fixed):
        problem = "A sweep goes on, or gets another run.name; what was found stays."
        found.append(Mistake("run.restart", problem, "true"))
    if not read.axes and not read.mistakes:
        problem = "Nothing varies: give a key several values, such as model.recurrent.hidden=8,16,32."
        found.append(Mistake("sweep", problem))
    return found


def _options(read: _Read, mistakes: list[Mistake]) -> SweepOptions:
    """The validated keys of the sweep; what is wrong with them, or with the axes they meet, is added."""
    from pydantic import ValidationError

    if read.options.get("method", "grid") == "grid" and (mistake := mixed(read.axes)) is not None:
        mistakes.append(mistake)
    config = {"sweep": read.options}
    try:
        options = SweepSettings.model_validate(config).sweep
    except ValidationError as error:
        mistakes += find_mistakes(error, config, SweepSettings)
        return SweepOptions()
    if options.method == "optuna" and importlib.util.find_spec("optuna") is None:
        problem = "Optuna is not installed: pip install 'skyreel[optuna]', or take sweep.method=random."
        mistakes.append(Mistake("sweep.method", problem, "optuna"))
    return options


def _listed(options: SweepOptions, axes: Sequence[Axis]) -> tuple[Values, ...] | None:
    if options.method == "optuna":
        return None
    if options.method == "random":
        return draws(axes, options.trials or DRAWS, options.seed)
    return grid([axis for axis in axes if isinstance(axis, Choices)])


def _texts(values: Values) -> list[str]:
    return [f"{key}={text}" for key, text in values.items()]


def _is_any(key: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(key, pattern) for pattern in patterns)
