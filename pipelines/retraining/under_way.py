"""A shot under way: what it works with, what is known so far, and what the shot after a crash finds."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from pipelines.locking import Lock
from pipelines.provenance import now as clock
from pipelines.retraining.decision import Decision
from pipelines.retraining.ledger import Ledger
from pipelines.rundir import RunDir, write_json
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.registry.registry import Registry
    from pipelines.retraining.job import Job

log = logging.getLogger(__name__)

PINNED = "shot.json"
"""What a shot has settled before it trains, in its folder."""
PATIENCE = 60.0
"""Seconds that a move of aliases waits for another one of the same model."""


@dataclass(frozen=True)
class Ending:
    """How a shot ends: the outcome, why, and whether the next shot goes on with it all the same."""

    outcome: str
    reason: str
    goes_on: bool = False


class EarlyEndError(Exception):
    """Raised by a step after which nothing is left to do but to tell the decision."""

    def __init__(self, outcome: str, reason: str, *, goes_on: bool = False) -> None:
        super().__init__(reason)
        self.ending = Ending(outcome, reason, goes_on)


class GivenUpError(Exception):
    """Raised where an interrupted shot cannot go on as it began: a new one begins."""


@dataclass(frozen=True)
class Pinned:
    """What the shot after a crash must find unchanged to go on, and what it then takes over.

    job, data: digests.     champion: its version when the shot began; None without one.
    trigger: why it trains.     plan: words and files of the splits.     start: the run it begins from.
    """

    job: str
    data: str
    champion: int | None
    trigger: Mapping[str, Any]
    plan: Mapping[str, Any]
    start: str | None = None

    def write(self, folder: Path) -> None:
        """Publish it in the folder of the shot."""
        write_json(folder / PINNED, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Pinned | None":
        """What an earlier launch of the shot has written; None where it has not come so far."""
        try:
            return cls(**json.loads((folder / PINNED).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def differs(self, job: str, data: str, champion: int | None) -> str | None:
        """What is not as it was, in words; None where the shot can go on."""
        if self.job != job:
            return "the job has changed since it was interrupted"
        if self.data != data:
            return "the data have changed since it was interrupted"
        if self.champion != champion:
            return f"version {champion} has become champion since it was interrupted"
        return None


@dataclass
class Shot:
    """What the steps of one shot share. `known`: the fields of its decision, as far as they are known.

    words: settings, the job's and then the call's.     step: the one that it is at.
    experiment: where the decision is tracked; None: where the settings say.
    """

    job: "Job"
    settings: Settings
    words: tuple[str, ...]
    argv: tuple[str, ...]
    now: datetime
    ledger: Ledger
    models: "Registry"
    number: int
    began: str = field(default_factory=clock)
    step: str = ""
    known: dict[str, Any] = field(default_factory=dict)
    experiment: str | None = None

    @property
    def folder(self) -> Path:
        """The folder of this shot."""
        return home_of(self.settings, self.job.name) / f"{self.number:04d}"

    @property
    def run_name(self) -> str:
        """What the challenger's run is called; its version bears it as a tag."""
        return f"{self.job.name}-{self.number:04d}"

    @property
    def run(self) -> RunDir:
        """The directory of the challenger."""
        runs = Path(self.settings.paths.runs).absolute()
        return RunDir(runs / self.settings.run.experiment / self.run_name)

    @property
    def digest(self) -> str:
        """A digest of everything that decides what the shot does, besides data and champion."""
        return digest_of(self.words, self.job)

    def at(self, step: str, **more: Any) -> None:
        """Note in the ledger which step begins."""
        self.step = step
        log.info("%s: %s", self.run_name, step)
        self.ledger.note(self.number, step=step, **more)

    def decision(self, ending: Ending) -> Decision:
        """The decision with everything that is known."""
        names = {one.name for one in fields(Decision)}
        known = {name: value for name, value in self.known.items() if name in names}
        plain = {
            **known,
            "job": self.job.name,
            "shot": self.number,
            "model": self.job.model,
            "outcome": ending.outcome,
            "reason": ending.reason,
            "started": self.began,
            "ended": clock(),
            "now": self.now.isoformat(timespec="seconds"),
        }
        return Decision.from_plain(plain)

    @contextmanager
    def registry_held(self) -> Iterator[None]:
        """No other process that asks for this moves the aliases of the model meanwhile."""
        with model_held(self.settings, self.job.model):
            yield


def home_of(settings: Settings, job: str) -> Path:
    """`<paths.runs>/retrain/<job>`."""
    return Path(settings.paths.runs).absolute() / "retrain" / job


def ledger_of(settings: Settings) -> Ledger:
    """The ledger of all jobs whose runs are in `paths.runs`."""
    return Ledger(Path(settings.paths.runs).absolute() / "retrain" / "ledger.db")


def time_of(now: str | None) -> datetime:
    """What `now=` says, else the clock; in UTC. Errors: InputError."""
    from pipelines.scheduling.times import parse_time

    return datetime.now(UTC) if now is None else parse_time(now, "now")


@contextmanager
def model_held(settings: Settings, model: str) -> Iterator[None]:
    """No other process that asks for this moves the aliases of `model` meanwhile. Errors: InputError."""
    lock = Lock(Path(settings.paths.runs).absolute() / "retrain" / f".{model}.lock")
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    if not lock.acquire(PATIENCE):
        raise InputError(f"model={model}: {lock.holder()} is moving its aliases; try again when it has ended")
    with lock:
        yield


def digest_of(words: Sequence[str], job: "Job") -> str:
    """A digest of the settings and of what the job says of training and judging."""
    plain = job.model_dump(mode="json", exclude={"schedule", "alerts", "keep", "limits", "watch"})
    text = json.dumps([plain, list(words)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
