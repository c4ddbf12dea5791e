"""What a sweep knows of its trials, in files that survive it.

`<paths.runs>/<experiment>/<name>.sweep/` holds sweep.yaml (what is asked), trials.json (what became of each
trial), results.csv (the same, best first), log.txt, output/ (what each trial said) and tracking/ (a journal).
There is no config.yaml: it is not taken for a run directory.
"""

import csv
import fnmatch
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from datamodules.errors import InputError
from pipelines.changes import differences
from pipelines.redact import settings_without_secrets
from pipelines.rundir import write_json, write_text
from pipelines.sweeps.options import Ranking
from pipelines.sweeps.plan import MAY_CHANGE
from pipelines.sweeps.space import Values

log = logging.getLogger(__name__)

State = Literal["running", "stopped", "finished", "pruned", "failed"]
DONE: tuple[State, ...] = ("finished", "pruned")
"""States that a later call leaves as they are."""


@dataclass(frozen=True)
class Trial:
    """One trial: what it sets, and what is known of it.

    figure: what ranks it, at `epoch`, the one whose checkpoint is kept; None without a finite one.
    epochs: how many have been validated.   seconds: of all its launches.   reason: of its end, in words.
    """

    number: int
    name: str
    values: Values
    state: State = "running"
    figure: float | None = None
    epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    launches: int = 0
    reason: str | None = None


@dataclass
class Ledger:
    """The trials of one sweep by number; whatever is put in is on disk when `put` returns."""

    folder: Path
    ranking: Ranking
    trials: dict[int, Trial] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What the sweep said."""
        return self.folder / "log.txt"

    @property
    def results(self) -> Path:
        """The trials as a table, best first."""
        return self.folder / "results.csv"

    @property
    def study(self) -> Path:
        """Optuna's own file, for optuna-dashboard."""
        return self.folder / "optuna.log"

    def output(self, trial: Trial) -> Path:
        """What the process of a trial wrote, all launches."""
        return self.folder / "output" / f"{trial.name}.txt"

    def run(self, trial: Trial) -> Path:
        """The run directory of a trial."""
        return self.folder.parent / trial.name

    def put(self, trial: Trial) -> None:
        """Keep what is known of a trial now."""
        self.trials[trial.number] = trial
        write_json(self.folder / "trials.json", [asdict(self.trials[key]) for key in sorted(self.trials)])
        write_text(self.results, self.csv())

    def done(self) -> list[Trial]:
        """The trials that need nothing more."""
        return [trial for trial in self.trials.values() if trial.state in DONE]

    def ranked(self) -> list[Trial]:
        """All trials: finished ones by their figure, the best first; then pruned ones, then the rest."""
        order = {"finished": 0, "pruned": 1, "running": 2, "stopped": 2, "failed": 3}

        def place(trial: Trial) -> tuple[int, bool, float, int]:
            value = 0.0 if trial.figure is None else self.ranking.sign * trial.figure
            return order[trial.state], trial.figure is None, value, trial.number

        return sorted(self.trials.values(), key=place)

    def best(self) -> Trial | None:
        """The best of the finished trials."""
        first = next(iter(self.ranked()), None)
        return first if first is not None and first.state == "finished" and first.figure is not None else None

    def csv(self) -> str:
        """The trials as CSV, best first; the figure's column bears its name."""
        keys = list(dict.fromkeys(key for trial in self.trials.values() for key in trial.values))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = ["trial", "run", "state", self.ranking.figure, "epoch", "epochs", "seconds"]
        writer.writerow([*names, *keys, "reason"])
        for trial in self.ranked():
            known = [trial.figure, trial.epoch, trial.epochs, round(trial.seconds, 1)]
            values = [trial.values.get(key) for key in keys]
            writer.writerow([trial.number, trial.name, trial.state, *known, *values, trial.reason])
        return text.getvalue()


def open_ledger(folder: Path, asked: Mapping[str, Any], ranking: Ranking) -> Ledger:
    """The ledger of the sweep in `folder`, new or as it was left, with `asked` in its sweep.yaml.

    Errors: InputError when the folder is something else, or holds a sweep that asked otherwise.
    """
    asking, plain = folder / "sweep.yaml", settings_without_secrets(dict(asked))
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder}: is the directory of a run; give the sweep another run.name=")
    ledger = Ledger(folder, ranking)
    if asking.exists():
        before = _read(asking)
        changes = differences(before, plain)
        refused = [one for one in changes if not any(fnmatch.fnmatch(one.key, key) for key in MAY_CHANGE)]
        if refused:
            shown = "".join(f"\n  {one}" for one in refused)
            raise InputError(
                f"{folder} holds a sweep that asked otherwise:{shown}\n"
                "Give this sweep its own name with run.name=, or call it as it was called to go on"
            )
        for one in changes:
            log.info("the sweep goes on with a changed setting: %s", one)
        ledger.trials = {trial.number: trial for trial in _trials(folder / "trials.json")}
    write_text(asking, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    return ledger


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give the sweep another run.name=") from error


def _trials(path: Path) -> list[Trial]:
    if not path.exists():
        return []
    try:
        return [Trial(**found) for found in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give the sweep another run.name=") from error
