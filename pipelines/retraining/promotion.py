"""Where the aliases of a registered model point, moved so that a crash at any point leaves a champion.

A move is written into the ledger first, whole, then done alias by alias, then taken off the ledger. Doing it
again changes nothing, so whoever finds a move in the ledger finishes it; only where the version that was to
be champion is gone, it is undone.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from datamodules.errors import InputError
from pipelines import interrupts

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
FORMER_TAG = "skyreel.former"
"""The tag of a version that became champion: the number of the champion before it."""

Aliases = Mapping[str, int | None]
"""alias -> number of the version; None for an alias that does not exist."""


class Versions(Protocol):
    """A version of a registered model, as far as moves need it."""

    @property
    def number(self) -> int: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


class Models(Protocol):
    """The registry, as far as moves need it (see pipelines.registry.registry.Registry)."""

    def version(self, name: str, which: str | int) -> Versions | None:
        """A version by alias or number."""

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point the alias to the version."""

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove the alias; nothing where there is none."""


@dataclass(frozen=True)
class Move:
    """Where the three aliases of `model` pointed, where they are to point, what this is, and why."""

    model: str
    kind: Literal["promotion", "rollback"]
    reason: str
    before: Aliases
    after: Aliases

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as the ledger keeps them."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Move":
        """The move that `as_plain` gave."""
        return cls(**{key: plain[key] for key in ("model", "kind", "reason", "before", "after")})


def aliases(models: Models, model: str) -> dict[str, int | None]:
    """Where the three aliases point now."""
    found = {alias: models.version(model, alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER)}
    return {alias: None if version is None else int(version.number) for alias, version in found.items()}


def promotion(models: Models, model: str, number: int, reason: str) -> Move:
    """The move that makes version `number` champion and the champion of now the previous one."""
    before = aliases(models, model)
    former = before[PREVIOUS] if before[CHAMPION] == number else before[CHAMPION]
    return Move(model, "promotion", reason, before, {PREVIOUS: former, CHAMPION: number, CHALLENGER: None})


def rollback(models: Models, model: str, reason: str) -> Move:
    """The move that makes the former champion champion again; `previous` then is the one before that, if any.

    Errors: InputError where there is no champion, or none before it.
    """
    before = aliases(models, model)
    champion, former = before[CHAMPION], before[PREVIOUS]
    if champion is None:
        raise InputError(f"model={model}: no version of it is champion, so there is nothing to roll back")
    if former is None:
        raise InputError(
            f"model={model}: there is no champion before version {champion}. Choose a version yourself: "
            f"skyreel register run=RUN model={model} alias=champion"
        )
    version = models.version(model, former)
    tag = version.tags.get(FORMER_TAG) if version is not None else None
    earlier = int(tag) if tag and tag.isdecimal() and models.version(model, int(tag)) is not None else None
    after = {CHAMPION: former, PREVIOUS: earlier, CHALLENGER: before[CHALLENGER]}
    again = f"version {former} is champion again, not version {champion}: {reason}"
    return Move(model, "rollback", again, before, after)


def carry_out(models: Models, move: Move) -> bool:
    """Whether the aliases point where `move` says; False where they are back where they were.

    They are moved one by one, the champion from one version to the other in one step. A signal that comes
    meanwhile is heard afterwards.
    """
    goal = move.after[CHAMPION]
    done = goal is not None and models.version(move.model, goal) is not None
    with _undisturbed():
        for alias, number in (move.after if done else move.before).items():
            _point(models, move.model, alias, number)
    if not done:
        log.warning("%s: version %s is gone, so the aliases stay where they were", move.model, goal)
    return done


def _point(models: Models, model: str, alias: str, number: int | None) -> None:
    there = models.version(model, alias)
    if number is None:
        if there is not None:
            models.delete_alias(model, alias)
    elif (there is None or int(there.number) != number) and models.version(model, number) is not None:
        models.set_alias(model, alias, number)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait until the block ends."""
    interrupts.defer()
    try:
        yield
    finally:
        interrupts.resume()
    if (signum := interrupts.received()) is not None:
        raise interrupts.Stopped(signum)
