"""How a sweep goes about it: the `sweep.*` keys, and the figure that ranks its trials."""

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from lightning_modules.options import Options

Mode = Literal["min", "max"]
Method = Literal["grid", "random", "optuna"]

MONITORS: dict[str, tuple[str, Mode]] = {
    "forecast": ("validation/loss", "min"),
    "caption": ("validation/cider", "max"),
}
"""What chooses the checkpoint of a run, by the kind of its task (the modules' `monitor` and `mode`)."""

DRAWS = 20
"""How many trials random and optuna make where nobody says."""


class SweepOptions(Options):
    """How trials are chosen, run and ranked.

    method: grid (every combination), random (draws), or optuna (learns from the trials before).
    trials: how many random and optuna make (null: 20); a grid has as many as it has combinations.
    seed: of what random and optuna draw.
    minimize: the validation figure that ranks trials, if small is good; null: what chooses checkpoints.
    maximize: the same, if large is good.
    parallel: trials at once; each has its share of the processors and GPUs.
    prune: stops hopeless trials: none, median (also: true), or hyperband (with optuna).
    warmup_epochs: epochs in which no trial is stopped.
    warmup_trials: other trials that must have come as far before one is stopped (median).
    sampler: of optuna: tpe, gp (Gaussian process; needs scipy) or random.
    fail: when a trial fails: continue with the others, or stop.
    """

    method: Method = "grid"
    trials: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    minimize: str | None = Field(default=None, min_length=1)
    maximize: str | None = Field(default=None, min_length=1)
    parallel: int = Field(default=1, ge=1)
    prune: Literal["none", "median", "hyperband"] = "none"
    warmup_epochs: int = Field(default=3, ge=0)
    warmup_trials: int = Field(default=3, ge=1)
    sampler: Literal["tpe", "gp", "random"] = "tpe"
    fail: Literal["continue", "stop"] = "continue"

    @model_validator(mode="before")
    @classmethod
    def _prune_by_yes_or_no(cls, values: object) -> object:
        """`sweep.prune=true` is the median rule, false and null are none."""
        if not isinstance(values, dict) or "prune" not in values:
            return values
        words = {True: "median", False: "none", None: "none"}
        prune = values["prune"]
        known = prune is None or isinstance(prune, bool)
        return {**values, "prune": words[prune]} if known else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.minimize is not None and self.maximize is not None:
            raise ValueError("minimize and maximize are both set; one figure ranks the trials")
        figure = self.minimize or self.maximize
        if figure is not None and not figure.startswith("validation/"):
            raise ValueError(
                f"{figure} would rank the trials, but only a validation/ figure may: the test split is for "
                "the end, and a figure of the training split is of memory"
            )
        if self.method == "grid" and self.trials is not None:
            raise ValueError(
                "a grid tries every combination, whatever trials says; leave it out, or draw some of them "
                "with sweep.method=random"
            )
        if self.prune == "hyperband" and self.method != "optuna":
            raise ValueError("prune=hyperband is Optuna's; set sweep.method=optuna, or sweep.prune=median")
        return self


class SweepSettings(Options):
    """The `sweep` section of a call; the settings of the runs are not here."""

    sweep: SweepOptions = SweepOptions()


@dataclass(frozen=True)
class Ranking:
    """The figure that ranks trials (`mode`: which way is better), and the one that chooses checkpoints.

    A trial's figure is that of the epoch whose checkpoint is kept as its best.
    """

    figure: str
    mode: Mode
    monitor: str
    monitor_mode: Mode

    @property
    def sign(self) -> int:
        """1 where small figures are better, -1 where large ones are: `sign * figure` is to be minimised."""
        return 1 if self.mode == "min" else -1


def ranking_of(options: SweepOptions, kind: str) -> Ranking:
    """How trials of this kind of task are ranked."""
    monitor, monitor_mode = MONITORS[kind]
    if options.minimize is not None:
        return Ranking(options.minimize, "min", monitor, monitor_mode)
    if options.maximize is not None:
        return Ranking(options.maximize, "max", monitor, monitor_mode)
    return Ranking(monitor, monitor_mode, monitor, monitor_mode)
