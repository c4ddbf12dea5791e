"""What is wrong with a call, all at once: each mistake with its key, value, what is allowed, a near miss."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo

MISSING = "this must be set"
BRANCHES = ("gridded", "clips", "forecast", "caption", "forecaster", "captioner")
"""Kinds of sections, which pydantic puts into the place of a mistake; no key is called like one."""


@dataclass(frozen=True)
class Mistake:
    """One thing to put right: `key` as the user would write it, the `value` found, and the way out."""

    key: str
    problem: str
    value: str | None = None
    near: str | None = None

    def __str__(self) -> str:
        head = self.key if self.value is None else f"{self.key}={self.value}"
        near = f" Did you mean {self.near}?" if self.near else ""
        return f"{head}\n    {self.problem}{near}"


class CallError(InputError):
    """Every mistake in a call, one below the other."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__("\n".join([f"{count} in the call; nothing was started.", *map(str, self.mistakes)]))


def nearest(word: str, allowed: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The allowed word that looks most like `word`, if any does."""
    found = difflib.get_close_matches(word, list(allowed), n=1, cutoff=cutoff)
    return found[0] if found else None


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The known full key most likely meant: a neighbour in its section, its name elsewhere, or one alike."""
    known = list(known)
    section, _, name = key.rpartition(".")
    neighbours = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == section}
    if (near := nearest(name, neighbours)) is not None:
        return neighbours[near]
    same_name = [other for other in known if other.rpartition(".")[2] == name]
    return nearest(key, same_name, cutoff=0) or nearest(key, known, cutoff=0.7)


def options_of(field: "FieldInfo") -> "tuple[type[BaseModel], ...]":
    """The options classes that a field may hold: none for a plain value, several where `kind` chooses."""
    from typing import get_args

    from pydantic import BaseModel

    found: list[type[BaseModel]] = []
    waiting: list[Any] = [field.annotation]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, type) and issubclass(one, BaseModel):
            found.append(one)
        else:
            waiting += get_args(one)
    return tuple(dict.fromkeys(found))


def known_keys(
    options: "type[BaseModel]", prefix: str = "", branch: int | None = None
) -> "dict[str, FieldInfo]":
    """Every key below `options` by its full dotted name, sections included, in order of definition.

    branch: which class where `kind` chooses among several; None for all of them together.
    """
    keys: dict[str, FieldInfo] = {}
    for name, field in options.model_fields.items():
        keys[prefix + name] = field
        sections = options_of(field)
        if len(sections) > 1 and branch is not None:
            sections = sections[branch : branch + 1]
        for section in sections:
            below = known_keys(section, f"{prefix}{name}.", branch)
            keys.update({key: value for key, value in below.items() if key not in keys})
    return keys


def branch_of(config: dict[str, Any]) -> int | None:
    """Which of several classes the sections of `config` are of: 0 forecasts, 1 captions, None if mixed."""
    kinds = {section.get("kind") for section in config.values() if isinstance(section, dict)}
    branches = {BRANCHES.index(kind) % 2 for kind in kinds if kind in BRANCHES}
    return branches.pop() if len(branches) == 1 else None


def leaves(key: str, value: Any) -> list[tuple[str, Any]]:
    """The full keys and values below `key`; itself when it is no section."""
    if not isinstance(value, dict) or not value:
        return [(key, value)]
    return [leaf for name, below in value.items() for leaf in leaves(f"{key}.{name}", below)]


def shown(value: Any) -> str:
    """`value` as it would be written in a call."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def find_mistakes(
    error: "ValidationError",
    config: dict[str, Any],
    options: "type[BaseModel]",
    extra_keys: Sequence[str] = (),
) -> list[Mistake]:
    """Every mistake that validation found in `config`, one per key.

    `extra_keys` are further keys that a call may hold (groups, arguments): only for "did you mean".
    """
    known = known_keys(options, branch=branch_of(config))
    problems: dict[str, tuple[Any, list[str], str | None]] = {}
    for found in error.errors(include_url=False):
        if found["type"] == "extra_forbidden":
            place = ".".join(part for part in map(str, found["loc"]) if part not in BRANCHES)
            for key, value in leaves(place, found["input"]):
                near = nearest_key(key, [*known, *extra_keys])
                problems[key] = (value, [_no_such_key(key, known)], near)
            continue
        key = _key_of(found["loc"], config, missing=found["type"] == "missing")
        value, reasons, near = problems.get(key, (found["input"], [], None))
        if found["type"] == "literal_error":
            words = [word.strip("'") for word in found["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            near = near or nearest(str(found["input"]), words)
        problems[key] = (value, [*reasons, _reason(found["type"], found["msg"])], near)
    return [_mistake(key, *rest) for key, rest in problems.items()]


def _mistake(key: str, value: Any, reasons: list[str], near: str | None) -> Mistake:
    whole_section = isinstance(value, dict) and bool(value)
    text = None if whole_section or reasons == [MISSING] else shown(value)
    problem = f"{', or '.join(dict.fromkeys(reasons))}."
    return Mistake(key or "the settings together", problem[0].upper() + problem[1:], text, near)


def _no_such_key(key: str, known: "dict[str, FieldInfo]") -> str:
    """That the key is unknown, and what its section holds."""
    section, _, _ = key.rpartition(".")
    while section and section not in known:
        section = section.rpartition(".")[0]
    below = [other for other in known if other.rpartition(".")[0] == section]
    names = ", ".join(other.rpartition(".")[2] for other in below)
    return f"there is no such key; {section or 'the top level'} has {names}"


def _key_of(location: tuple[int | str, ...], config: dict[str, Any], missing: bool) -> str:
    """The dotted key of an error's location, without the branches of a union that pydantic adds."""
    parts: list[str] = []
    here: Any = config
    for part in location:
        if isinstance(here, dict) and part in here:
            here = here[str(part)]
        elif isinstance(here, (list, tuple)) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif part in BRANCHES:
            continue
        elif missing and part == location[-1]:
            return ".".join([*parts, str(part)])
        else:
            break
        parts.append(str(part))
    return ".".join(parts)


def _reason(kind: str, message: str) -> str:
    """Pydantic's message as a clause in our words."""
    if kind == "missing":
        return MISSING
    if kind == "union_tag_invalid":
        return f"its kind must be one of {message.rpartition(': ')[2]}"
    for before, after in (
        ("Input should be a valid integer", "it must be a whole number"),
        ("Input should be a valid ", "it must be a "),
        ("Input should be ", "it must be "),
        ("Input should have ", "it must have "),
        ("String should ", "it must "),
        ("Value error, ", ""),
    ):
        if message.startswith(before):
            return after + message.removeprefix(before).rstrip(".")
    return message.rstrip(".")
