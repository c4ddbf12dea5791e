"""What reviewing asks of MLflow: its experiments, and runs filtered, sorted, and read as far as shown.

Two archives answer it: `sqlite_archive` for the database in a file, `server_archive` for everything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from datamodules.errors import InputError
from pipelines.mistakes import nearest
from pipelines.reviewing.filters import Term
from pipelines.reviewing.names import Kind, Name, Order, unknown
from pipelines.settings import Settings


@dataclass(frozen=True)
class Experiment:
    """An experiment in MLflow."""

    id: str
    name: str


@dataclass(frozen=True)
class Row:
    """One run as MLflow holds it.

    start, end: milliseconds since 1970; end is None while it runs.
    metrics: newest values, NaN where one is not a number.     metrics, params, tags: as far as asked for.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    start: int | None
    end: int | None
    user: str = ""
    artifacts: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.start is None or self.end is None else max(0.0, (self.end - self.start) / 1000)


@dataclass(frozen=True)
class Query:
    """Which runs, in which order, how many at most (None: all); without an order the newest come first."""

    experiments: tuple[Experiment, ...]
    terms: tuple[Term, ...] = ()
    order: Order | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Found:
    """Runs in order; total: how many there are without the limit, None where the server does not tell."""

    rows: tuple[Row, ...]
    total: int | None


class Archive(Protocol):
    """Where runs are looked up."""

    def experiments(self) -> list[Experiment]:
        """All that are not deleted, by name."""

    def find(self, query: Query) -> Found:
        """The runs of a query, with their attributes."""

    def details(self, rows: Sequence[Row], names: Sequence[Name] | None) -> list[Row]:
        """The same runs with the values of `names`; of everything where that is None."""

    def holds(self, name: Name) -> bool:
        """Whether any run has it."""

    def names(self, kind: Kind) -> list[str]:
        """The keys that runs have."""


def open_archive(settings: Settings) -> Archive:
    """The archive at the settings' tracking address. InputError where nothing is tracked."""
    if settings.tracking_uri is None:
        raise InputError(
            "tracking=none: runs are looked up in MLflow; choose tracking=sqlite or tracking.uri="
        )
    if settings.tracking_uri.startswith("sqlite:///"):
        from pipelines.reviewing.sqlite_archive import SqliteArchive

        path = Path(settings.tracking_uri.removeprefix("sqlite:///").partition("?")[0])
        return SqliteArchive(path)
    from pipelines.reviewing.server_archive import ServerArchive

    return ServerArchive(settings)


def chosen_experiments(archive: Archive, named: str | None) -> tuple[Experiment, ...]:
    """The experiment that `experiment=` names (or its id); all of them without it."""
    there = archive.experiments()
    if named is None:
        return tuple(there)
    found = tuple(one for one in there if named in (one.name, one.id))
    if found:
        return found
    names = [one.name for one in there]
    near = nearest(named, names)
    hint = f"did you mean experiment={near}?" if near else f"there are {', '.join(names) or 'none yet'}"
    raise InputError(f"experiment={named}: there is no such experiment; {hint}")


def require_known(archive: Archive, key: str, names: Sequence[Name]) -> None:
    """Return when some run has each of `names`; `key` is the argument that they stand in."""
    for name in names:
        if name.kind == "attributes" or archive.holds(name):
            continue
        kinds: tuple[Kind, ...] = ("metrics", "params", "tags")
        own = archive.names(name.kind)
        if name.key in own:
            continue
        known = [str(Name(kind, other)) for kind in kinds for other in archive.names(kind)]
        mine = [str(Name(name.kind, other)) for other in own]
        raise unknown(f"{key}={name}", name, mine if nearest(str(name), mine) else known)
