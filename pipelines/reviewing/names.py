"""What a figure, a setting, a tag or an attribute of a run is called: `metrics.x`, `tags.x`, `age`."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from datamodules.errors import InputError

Kind = Literal["metrics", "params", "tags", "attributes"]

PREFIXES: dict[str, Kind] = {
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("tag", "tags"), "tags"),
    **dict.fromkeys(("attr", "attribute", "attributes", "run"), "attributes"),
}
"""MLflow's own prefixes."""

ATTRIBUTES = ("run_name", "status", "start_time", "end_time", "run_id", "user_id", "artifact_uri")
"""What MLflow can filter by, beside metrics, params and tags."""

SHOWN = ("experiment", "age", "duration")
"""What a table can show and be sorted by besides."""

ALIASES = {
    "name": "run_name",
    "run name": "run_name",
    "run": "run_name",
    "created": "start_time",
    "started": "start_time",
    "ended": "end_time",
    "id": "run_id",
    "user": "user_id",
    "artifacts": "artifact_uri",
}

FAMILIES = {
    "largest": ("cider", "cider_d", "bleu", "meteor", "rouge", "acc", "skill", "facts"),
    "smallest": ("loss", "rmse", "mae", "crps"),
}
"""Beginnings of the parts of a figure's name that tell which way is better."""


@dataclass(frozen=True)
class Name:
    """One thing that a run has: its kind, and its key as MLflow holds it."""

    kind: Kind
    key: str

    def __str__(self) -> str:
        return self.key if self.kind in ("metrics", "attributes") else f"{self.kind}.{self.key}"


@dataclass(frozen=True)
class Order:
    """What runs are sorted by; runs without it come last, whichever way."""

    name: Name
    descending: bool = False


def read_name(word: str) -> Name:
    """The name that `word` means: with MLflow's prefix, an attribute, a setting (dots), else a figure."""
    text = word.strip()
    prefix, dot, rest = text.partition(".")
    if dot and rest and prefix in PREFIXES:
        key, kind = _bare(rest), PREFIXES[prefix]
        return Name(kind, _attribute(key, word)) if kind == "attributes" else Name(kind, key)
    key = _bare(text)
    if not key:
        raise InputError(f"{word!r}: no name of a figure, a setting (params.NAME) or a tag (tags.NAME)")
    known = ALIASES.get(key.lower(), key)
    if known in ATTRIBUTES or known in SHOWN:
        return Name("attributes", known)
    if "." in key and "/" not in key and not key.startswith("mlflow."):
        return Name("tags", key) if key.startswith("skyreel.") else Name("params", key)
    return Name("tags", key) if key.startswith("mlflow.") else Name("metrics", key)


def read_names(text: str) -> list[Name]:
    """The names in a list with commas between."""
    return [read_name(word) for word in text.split(",") if word.strip()]


def read_order(text: str) -> Order:
    """The order that `sort=` asks for: "-NAME" puts the largest first."""
    word = text.strip()
    if word.lower().endswith((" desc", " asc")):
        word, _, way = word.rpartition(" ")
        return Order(read_name(word), way.lower() == "desc")
    return Order(read_name(word.lstrip("-+")), word.startswith("-"))


def largest_is_best(name: Name) -> bool | None:
    """Whether the largest value of a figure is the best; None where its name does not tell."""
    for part in name.key.split("/"):
        for way, beginnings in FAMILIES.items():
            if any(part == one or part.startswith(f"{one}_") for one in beginnings):
                return way == "largest"
    return None


def _bare(text: str) -> str:
    """Without the quotes that MLflow puts around a key."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "`\"'" else text


def _attribute(key: str, word: str) -> str:
    found = ALIASES.get(key.lower(), key)
    if found not in ATTRIBUTES and found not in SHOWN:
        raise unknown(word, Name("attributes", key), list(ATTRIBUTES))
    return found


def unknown(where: str, name: Name, known: Sequence[str]) -> InputError:
    """The error for a name that no run has: it tells the nearest of `known`, else some of them."""
    near = _nearest(str(name), known) or _nearest(name.key, known)
    if near is None:
        tails = {other.rpartition(".")[2]: other for other in known}
        tail = _nearest(name.key.rpartition(".")[2], list(tails))
        near = tails[tail] if tail else None
    kinds = {"metrics": "no run has a figure", "params": "no run has a setting", "tags": "no run has a tag"}
    some = ", ".join(list(known)[:8])
    hint = f"did you mean {near}?" if near else f"there are {some or 'none at all'}"
    return InputError(f"{where}: {kinds.get(name.kind, 'there is no attribute')} {name.key}; {hint}")


def _nearest(word: str, allowed: Sequence[str]) -> str | None:
    """The allowed word that looks most like `word`; of several the one that begins most like it."""
    close = difflib.get_close_matches(word, allowed, n=4, cutoff=0.6)
    best = [one for one in close if _likeness(word, one) >= _likeness(word, close[0]) - 1e-9]
    return max(best, key=lambda one: _same_beginning(word, one), default=None)


def _same_beginning(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, one).ratio()
