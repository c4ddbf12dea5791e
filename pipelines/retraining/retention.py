"""What a job does not keep for ever: old versions, challengers, folders of shots, packed data.

Never anything that an alias points to, that a process is at work on, or that an unfinished shot needs.
"""

import glob
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from datamodules.options import Options
from pipelines.provenance import read as read_provenance
from pipelines.redact import masked
from pipelines.retraining.ledger import Ledger, Row
from pipelines.retraining.removal import is_free, remove, sweep
from pipelines.rundir import RunDir

if TYPE_CHECKING:
    from pipelines.retraining.job import Job
    from pipelines.settings import Settings

log = logging.getLogger(__name__)

SHOT_TAG = "skyreel.shot"
"""The tag of a version that tells which shot made it, <job>-<shot>; versions of others are left alone."""


class RetentionOptions(Options):
    """How many of the newest stay; null keeps all. What has an alias, and its run, stays besides.

    versions: registered versions that the job has made.
    runs: directories of challengers that are no version, or no more.
    shots: folders of shots, with their pages; the ledger keeps every row.
    stores: packed copies of the data (maps); one is made each time that the data have grown.
    """

    versions: int | None = Field(default=10, ge=1)
    runs: int | None = Field(default=5, ge=0)
    shots: int | None = Field(default=100, ge=1)
    stores: int | None = Field(default=3, ge=1)


class VersionLike(Protocol):
    """A version of a registered model, as far as it matters here."""

    @property
    def number(self) -> int: ...
    @property
    def aliases(self) -> Sequence[str]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


class Models(Protocol):
    """The registry, as far as it matters here (see pipelines.registry.registry.Registry)."""

    def versions(self, name: str) -> Sequence[VersionLike]:
        """Every version of a model; none where there is no such model."""

    def delete_version(self, name: str, number: int) -> None:
        """Remove a version with its files."""


@dataclass(frozen=True)
class Gone:
    """Something that was removed, or in a dry run would be: version, run, shot or store; why, in words."""

    kind: str
    what: str
    why: str


Removal = tuple[Gone, Callable[[], object]]


@dataclass(frozen=True)
class _Scene:
    """What there is of a job.

    rows: finished shots, the newest first.     busy: shots that are unfinished, or at work.
    experiment: the folder of its challengers.     made: shot -> the version that it made.
    """

    job: "Job"
    models: Models
    runs: Path
    stores: Path
    experiment: str
    data: str
    rows: tuple[Row, ...]
    busy: frozenset[int]
    made: Mapping[int, VersionLike]

    @property
    def home(self) -> Path:
        """The folder of the job's shots."""
        return self.runs / "retrain" / self.job.name


def prune(
    job: "Job",
    settings: "Settings",
    ledger: Ledger,
    models: Models,
    shot: int | None = None,
    dry_run: bool = False,
) -> list[Gone]:
    """Remove what `job.keep` does not keep, and tell it.

    shot: the one that is at work, whose things stay.     dry_run: tell what would go, and remove nothing.
    A thing that cannot be removed is told in the log, and tried again by the next shot.
    """
    try:
        scene = _scene(job, settings, ledger, models, shot)
        leaving, gone_shots = _versions(scene)
        found = [*leaving, *_runs(scene, gone_shots), *_shots(scene), *_stores(scene)]
        if not dry_run:
            sweep([scene.home, scene.stores, *{path.parent for path, _ in _challengers(scene)}])
    except Exception as error:
        log.warning("%s: nothing was removed: %s", job.name, masked(f"{type(error).__name__}: {error}"))
        return []
    gone = []
    for one, take_away in found:
        try:
            if not dry_run:
                take_away()
        except Exception as error:
            why = masked(f"{type(error).__name__}: {error}")
            log.warning("%s: the %s %s could not be removed: %s", job.name, one.kind, one.what, why)
            continue
        does = "would remove" if dry_run else "removed"
        log.info("%s: %s the %s %s: %s", job.name, does, one.kind, one.what, one.why)
        gone.append(one)
    return gone


def _scene(job: "Job", settings: "Settings", ledger: Ledger, models: Models, shot: int | None) -> _Scene:
    """Everything that counts, read at once."""
    mark = re.compile(re.escape(job.name) + r"-(\d{4,})")
    made = {}
    for version in models.versions(job.model):
        if (found := mark.fullmatch(version.tags.get(SHOT_TAG, ""))) is not None:
            made[int(found[1])] = version
    busy = {row.number for row in ledger.unfinished(job.name)} | ({shot} if shot is not None else set())
    return _Scene(
        job=job,
        models=models,
        runs=Path(settings.paths.runs).absolute(),
        stores=Path(settings.paths.stores).resolve(),
        experiment=str(settings.run.experiment),
        data=settings.data.name,
        rows=tuple(ledger.history(job.name)),
        busy=frozenset(busy),
        made=made,
    )


def _versions(scene: _Scene) -> tuple[list[Removal], set[int]]:
    """Versions that go, and the shots that made them."""
    keep, model = scene.job.keep.versions, scene.job.model
    newest = sorted(scene.made.items(), key=lambda item: -int(item[1].number))
    found: list[Removal] = []
    shots = set()
    for shot, version in newest[keep:] if keep is not None else []:
        if version.aliases or shot in scene.busy:
            continue
        number = int(version.number)
        shots.add(shot)
        told = Gone("version", f"models:/{model}/{number}", f"no alias, and {keep} newer ones are kept")
        found.append((told, partial(scene.models.delete_version, model, number)))
    return found, shots


def _challengers(scene: _Scene) -> list[tuple[Path, int]]:
    """The directories of the job's challengers that are there, with their shots, the newest first."""
    mark = re.compile(re.escape(scene.job.name) + r"-(\d{4,})")
    ours = scene.runs / scene.experiment  # elsewhere a run of such a name is somebody's own
    found = [(path, mark.fullmatch(path.name)) for path in ours.glob(f"{glob.escape(scene.job.name)}-*")]
    runs = [(path, int(one[1])) for path, one in found if one and (path / "config.yaml").is_file()]
    return sorted(runs, key=lambda run: (-run[1], run[0]))


def _runs(scene: _Scene, gone_shots: set[int]) -> list[Removal]:
    """Challengers that go: those that are no version, beyond the newest."""
    keep, finished = scene.job.keep.runs, {row.number for row in scene.rows}
    if keep is None:
        return []
    loose = [
        (path, shot)
        for path, shot in _challengers(scene)
        if shot in finished - scene.busy and (shot not in scene.made or shot in gone_shots)
    ]
    return [
        (
            Gone("run", str(path), f"no version of the model, and {keep} newer ones are kept"),
            partial(remove, path, RunDir(path).lock()),
        )
        for path, _ in loose[keep:]
        if is_free(RunDir(path).lock())
    ]


def _shots(scene: _Scene) -> list[Removal]:
    """Folders of shots that go."""
    keep = scene.job.keep.shots
    if keep is None or not scene.home.is_dir():
        return []
    numbers = sorted((int(one.name) for one in scene.home.iterdir() if one.name.isdecimal()), reverse=True)
    aliased = {shot for shot, version in scene.made.items() if version.aliases}
    return [
        (Gone("shot", str(path), f"{keep} newer ones are kept"), partial(remove, path))
        for path in (scene.home / f"{number:04d}" for number in numbers[keep:])
        if int(path.name) not in scene.busy | aliased
    ]


def _stores(scene: _Scene) -> list[Removal]:
    """Packed data that go: made for a shot of this job, needed by no run that may still read them."""
    keep = scene.job.keep.stores
    if keep is None:
        return []
    made = dict.fromkeys(path for row in scene.rows if (path := _store_of(scene, row)) is not None)
    needed = set(_needed(scene))
    return [
        (Gone("store", str(path), f"{keep} newer ones are kept"), partial(remove, path))
        for path in [path for path in made if path.is_dir()][keep:]
        if path not in needed
    ]


def _store_of(scene: _Scene, row: Row) -> Path | None:
    """The store that was packed for the look of a shot."""
    look = row.decision.look if row.decision else None
    digest = (look or {}).get("digest")
    return scene.stores / f"{scene.data}-{str(digest)[:12]}" if digest else None


def _needed(scene: _Scene) -> Iterator[Path]:
    """Stores of runs that are not this job's, and of its challengers that are unfinished or at work."""
    own = dict(_challengers(scene))
    for path in sorted(scene.runs.glob("*/*/provenance.json")):
        run = RunDir(path.parent)
        store = ((read_provenance(run).get("data") or {}).get("store") or {}).get("path")
        done = path.parent in own and own[path.parent] not in scene.busy and is_free(run.lock())
        if store and not done:
            yield Path(store)
