"""The run directory: fixed names, files published whole, and one launcher at a time."""

import fnmatch
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from datamodules.errors import InputError
from pipelines.changes import ABSENT, Change, differences
from pipelines.locking import Lock
from pipelines.redact import settings_without_secrets

log = logging.getLogger(__name__)

MUST_STAY = ("data.*", "task.*", "model.*", "seed", "start")
"""Settings that decide what the weights are weights of: a run that has any goes on with the same ones."""

MAY_CHANGE = ("data.workers", "data.batch_size", "data.path", "data.annotations", "data.facts")
"""Those among them that do not. The files are compared by what they hold, not by where they lie."""

PLACES = (
    *MAY_CHANGE,
    "trainer.devices",
    "trainer.nodes",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.backend",
    "trainer.threads",
    "trainer.checkpoint_minutes",
    "trainer.keep_best",
    "trainer.requeue",
    "tracking.*",
    "paths.*",
    "run.*",
)
"""Settings that place a run, no more: one that is finished is still the same."""

EXTENDS = ("trainer.max_*", "trainer.patience")
"""Settings by which a run that is finished goes on."""

NAMELESS = ("paths", "tracking", "run")
"""Sections that do not enter the default name of a run."""

State = Literal["new", "unfinished", "finished"]


def write_bytes(path: Path, content: bytes) -> None:
    """Publish `content` at `path`: written beside it, synced, then renamed; a reader never sees half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Publish `text` at `path` as UTF-8 (see `write_bytes`)."""
    write_bytes(path, writable(text).encode("utf-8"))


def writable(text: str) -> str:
    """`text`, with what UTF-8 does not know (the bytes of an odd file's name) as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(path: Path, content: Any) -> None:
    """Publish `content` at `path` as indented JSON (see `write_bytes`)."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def write_metrics(path: Path, metrics: Mapping[str, float]) -> None:
    """Publish `metrics.json`: flat, finite figures (see `write_bytes`). ValueError for NaN."""
    write_text(path, json.dumps(metrics, indent=2, allow_nan=False) + "\n")


def read_metrics(path: Path) -> dict[str, float]:
    """The figures of a `metrics.json`. InputError when it cannot be read."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); evaluate the run again") from error


@dataclass(frozen=True)
class RunDir:
    """Where everything of one run lies; people and scripts rely on these names."""

    path: Path

    @property
    def config(self) -> Path:
        """The settings, composed and resolved."""
        return self.path / "config.yaml"

    @property
    def provenance(self) -> Path:
        """What made the run: code, packages, command, host, data."""
        return self.path / "provenance.json"

    @property
    def metrics(self) -> Path:
        """The final figures, flat; a run that has them is finished."""
        return self.path / "metrics.json"

    @property
    def skill(self) -> Path:
        """variable, lead_hours, metric, model, value."""
        return self.path / "skill.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of last.ckpt and best.ckpt."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        """The chosen checkpoint."""
        return self.checkpoints / "best.ckpt"

    @property
    def plots(self) -> Path:
        """The folder of PNG files."""
        return self.path / "plots"

    @property
    def predictions(self) -> Path:
        """The folder of NetCDF or JSON files."""
        return self.path / "predictions"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / "log.txt"

    @property
    def tracking(self) -> Path:
        """The journal of what goes to MLflow, and how far it has got."""
        return self.path / "tracking"

    def lock(self) -> Lock:
        """The lock that the launcher of this run holds while it works."""
        return Lock(self.path / ".lock")

    def read_config(self) -> dict[str, Any]:
        """The settled settings of the run, as plain values. InputError when they cannot be read."""
        try:
            found = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise InputError(
                f"{self.config}: cannot be read ({error}); run=DIR must name a run directory"
            ) from error
        return dict(found or {})


@dataclass(frozen=True)
class OpenRun:
    """A run directory that this process holds: what it is, and the accepted changes if it goes on."""

    run: RunDir
    state: State
    changes: tuple[Change, ...]
    lock: Lock

    def close(self) -> None:
        """Let other launchers open the directory."""
        self.lock.release()


def default_name(kind: str, config: Mapping[str, Any]) -> str:
    """`<kind>-<digest>`: the same settings (paths, tracking and run aside) give the same name."""
    counted = {
        key: value for key, value in settings_without_secrets(dict(config)).items() if key not in NAMELESS
    }
    text = json.dumps(counted, sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check_name(key: str, name: str) -> None:
    if not re.fullmatch(r"[\w][\w.+=, -]*", name):
        raise InputError(
            f"{key}={name!r}: not usable as the name of a folder; allowed are letters, digits and _ . + = , -"
        )


def open_run(
    runs: Path,
    experiment: str,
    name: str,
    config: Mapping[str, Any],
    *,
    restart: bool = False,
    wait: float = 10.0,
) -> OpenRun:
    """The run directory `runs/experiment/name`, locked for this process, with `config.yaml` written.

    `config` is the resolved settings as plain values. An existing run goes on, and tells which settings are
    not as they were; so does a finished one whose bound has changed (see EXTENDS). `restart` sets the old
    directory aside as `<name>-before-<time>` first. A run that ended before its first checkpoint (a mistake
    in the settings, say) takes any settings. InputError when another launcher holds it for `wait` seconds,
    when what its weights are weights of has changed (see MUST_STAY), or when the folder is not a run.
    """
    _check_name("run.experiment", experiment)
    _check_name("run.name", name)
    run = RunDir((runs / experiment / name).absolute())
    plain = settings_without_secrets(dict(config))
    lock = _locked(run, wait)
    try:
        if restart and run.config.exists():
            aside = run.path.with_name(f"{name}-before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            lock.release()
            run.path.rename(aside)
            log.info("run.restart=true: the earlier run is kept as %s", aside)
            lock = _locked(run, wait)
        state, changes = _compare(run, plain)
        if state != "finished":
            write_text(run.config, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
        for folder in (run.checkpoints, run.plots, run.predictions, run.tracking):
            folder.mkdir(exist_ok=True)
    except BaseException:
        lock.release()
        raise
    return OpenRun(run, state, changes, lock)


def _locked(run: RunDir, wait: float) -> Lock:
    run.path.mkdir(parents=True, exist_ok=True)
    lock = run.lock()
    if not lock.acquire(wait):
        raise InputError(
            f"{run.path}: {lock.holder()} is at work on this run. Wait for it to end, stop it, or "
            "give this one another name with run.name="
        )
    return lock


def _compare(run: RunDir, config: dict[str, Any]) -> tuple[State, tuple[Change, ...]]:
    """What the directory holds beside `config`. InputError when the two cannot be one run."""
    if not run.config.exists():
        strangers = sorted(item.name for item in run.path.iterdir() if not item.name.startswith("."))
        if [
            name
            for name in strangers
            if name not in ("tracking", "checkpoints", "plots", "predictions", "log.txt")
        ]:
            raise InputError(
                f"{run.path}: holds {', '.join(strangers[:5])} but no config.yaml, so it is "
                "not a run directory; choose another with run.name= or paths.runs="
            )
        return "new", ()
    now = yaml.safe_load(yaml.safe_dump(config))
    changes = [item for item in differences(run.read_config(), now) if item.before is not ABSENT]
    finished = run.metrics.exists() and _ended_well(run)
    extended = finished and any(_among(item.key, EXTENDS) for item in changes)
    if finished and not extended:
        refused = [item for item in changes if not _among(item.key, PLACES)]
    else:
        begun = run.metrics.exists() or any(run.checkpoints.glob("*.ckpt"))
        refused = [item for item in changes if begun and _decides(item.key)]
    if refused:
        shown = "".join(f"\n  {item}" for item in refused)
        raise InputError(
            f"{run.path} holds a run with other settings:{shown}\n"
            "Give this run its own name with run.name=, or begin again with run.restart=true (the earlier "
            "run is set aside, not deleted)"
        )
    if finished and not extended:
        return "finished", tuple(changes)
    if finished:
        run.metrics.replace(run.path / "earlier_metrics.json")
    for item in changes:
        log.warning("the run goes on with a changed setting: %s", item)
    return "unfinished", tuple(changes)


def _ended_well(run: RunDir) -> bool:
    """Whether the last launch came to its end: one that was killed after metrics.json has more to tell."""
    try:
        found = json.loads(run.provenance.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return not isinstance(found, dict) or found.get("status", "FINISHED") == "FINISHED"


def _among(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(key, pattern) for pattern in patterns)


def _decides(key: str) -> bool:
    """Whether the setting decides what a checkpoint's weights are weights of."""
    return _among(key, MUST_STAY) and not _among(key, MAY_CHANGE)
