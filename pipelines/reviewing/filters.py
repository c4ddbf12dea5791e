"""Filters of runs: MLflow's search syntax, and shorter forms of it that mean the same.

A filter is one or more comparisons with `and` between. MLflow writes
``metrics.`test/rmse/air/24h` < 2 and tags.`skyreel.kind` = 'retrain'``; here `test/rmse/air/24h<2 and
tags.skyreel.kind=retrain` means that too. Times are ISO dates or milliseconds since 1970.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from datamodules.errors import InputError
from pipelines.mistakes import nearest
from pipelines.reviewing.names import ATTRIBUTES, Name, read_name, unknown

TIMES = ("start_time", "end_time")
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
NUMBERS = ("=", "!=", "<", "<=", ">", ">=")
TEXTS = ("=", "!=", "LIKE", "ILIKE")
PRESENCE = ("IS NULL", "IS NOT NULL")
COMPARATORS = {
    "metrics": NUMBERS,
    "params": (*TEXTS, *PRESENCE),
    "tags": (*TEXTS, *PRESENCE),
    "attributes": TEXTS,
    "run_id": (*TEXTS, "IN", "NOT IN"),
    "time": NUMBERS,
}

EXAMPLE = 'for example: filter="test/rmse/air/24h<2 and tags.skyreel.kind=retrain and status=FINISHED"'

_NAME = re.compile(r"\s*((?:[A-Za-z]+\.)?(?:`[^`]*`|\"[^\"]*\")|(?:(?!\s|[<>=!'\"`()]).)+)\s*")
_COMPARATOR = re.compile(
    r"(<=|>=|!=|==|=|<|>|NOT\s+IN\b|IN\b|IS\s+NOT\s+NULL\b|IS\s+NULL\b|LIKE\b|ILIKE\b)\s*", re.IGNORECASE
)
_VALUE = re.compile(r"'([^']*)'|\"([^\"]*)\"|\(([^)]*)\)|(.*?)(?=\s+and\s|\s*$)", re.IGNORECASE | re.DOTALL)
_AND = re.compile(r"\s*(?:and\s+|$)", re.IGNORECASE)
_OTHER = re.compile(r"[<>=]|\sor\s", re.IGNORECASE)


@dataclass(frozen=True)
class Term:
    """One comparison; value: a number of metrics and times, a text, texts for IN, None for IS (NOT) NULL."""

    name: Name
    comparator: str
    value: float | int | str | tuple[str, ...] | None

    def __str__(self) -> str:
        """As MLflow writes it."""
        key = self.name.key if self.name.kind == "attributes" else f"{self.name.kind}.`{self.name.key}`"
        if self.value is None:
            return f"{key} {self.comparator}"
        if isinstance(self.value, tuple):
            return f"{key} {self.comparator} ({', '.join(map(_quoted, self.value))})"
        shown = _quoted(self.value) if isinstance(self.value, str) else f"{self.value!r}".replace("e+", "e")
        return f"{key} {self.comparator} {shown}"


def read_filter(text: str | None) -> tuple[Term, ...]:
    """The comparisons of a filter. InputError that shows the part which cannot be read, and a way out."""
    rest = (text or "").strip()
    found = []
    while rest:
        term, rest = _first(rest)
        found.append(term)
    return tuple(found)


def mlflow_filter(terms: tuple[Term, ...]) -> str:
    """The filter as MLflow's servers take it."""
    return " and ".join(map(str, terms))


def _first(text: str) -> tuple[Term, str]:
    """The first comparison of `text`, and what is left behind its `and`."""
    name = _NAME.match(text)
    comparator = _COMPARATOR.match(text, name.end()) if name else None
    if name is None or comparator is None:
        raise InputError(
            f"filter: {text!r} does not begin with NAME, a comparison ({', '.join(NUMBERS)}, LIKE, ILIKE, "
            f"IN, IS NULL) and a value; {EXAMPLE}"
        )
    sign = re.sub(r"\s+", " ", comparator[1].upper()).replace("==", "=")
    meant = _meant(name[1])
    kind = _kind(meant)
    if sign not in COMPARATORS[kind]:
        raise InputError(f"filter: {name[1]} is compared by {', '.join(COMPARATORS[kind])}, not by {sign}")
    if sign in PRESENCE:
        return Term(meant, sign, None), _behind(text, comparator.end())
    value = _VALUE.match(text, comparator.end())
    assert value is not None  # the last alternative matches anything
    single, double, several, plain = value.groups()
    if (several is not None) != (sign in ("IN", "NOT IN")):
        raise InputError(f"filter: IN is followed by a list in brackets, and only it: {text!r}; {EXAMPLE}")
    if plain is not None and (not plain.strip() or _OTHER.search(plain)):
        raise InputError(
            f"filter: {text!r}: comparisons have a value, and only `and` between them; {EXAMPLE}"
        )
    rest = _behind(text, value.end())
    if several is not None:
        return Term(meant, sign, tuple(part.strip().strip("'\"") for part in several.split(","))), rest
    said = next(part for part in (single, double, plain) if part is not None)
    return Term(meant, sign, _value(name[1], kind, meant, said)), rest


def _meant(word: str) -> Name:
    """The name in a filter; an attribute is one that MLflow can compare."""
    name = read_name(word)
    if name.kind == "attributes" and name.key not in ATTRIBUTES:
        raise unknown("filter", Name("attributes", word), ATTRIBUTES)
    return name


def _kind(name: Name) -> str:
    """Which comparators and values a name takes."""
    if name.kind != "attributes":
        return name.kind
    return "time" if name.key in TIMES else "run_id" if name.key == "run_id" else "attributes"


def _behind(text: str, place: int) -> str:
    """What follows the `and` at `place`; empty at the end."""
    found = _AND.match(text, place)
    if found is None or (found.end() == len(text) and found[0].strip()):
        raise InputError(f"filter: {text[place:].strip()!r} is left over; only `and` joins comparisons")
    return text[found.end() :]


def _value(word: str, kind: str, name: Name, said: str) -> float | int | str:
    """The value as its kind wants it. InputError where it is another kind of value."""
    if kind == "metrics":
        try:
            number = float(said)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"filter: {word} is a figure and is compared with a number, not with {said!r}")
        return number
    if kind == "time":
        return _milliseconds(word, said)
    if name == Name("attributes", "status"):
        if said.upper() not in STATUSES and "%" not in said:
            near = nearest(said.upper(), STATUSES)
            hint = f"; did you mean {near}?" if near else ""
            raise InputError(f"filter: status={said}: there are {', '.join(STATUSES)}{hint}")
        return said.upper()
    return said


def _milliseconds(word: str, said: str) -> int:
    """Milliseconds since 1970 of an ISO time (UTC unless it says otherwise), or of that number itself."""
    if re.fullmatch(r"-?\d{9,}", said.strip()):
        return int(said)
    try:
        moment = datetime.fromisoformat(said.strip())
    except ValueError:
        raise InputError(
            f"filter: {word} is compared with a time such as 2026-11-01, not with {said!r}"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _quoted(text: str) -> str:
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    raise InputError(f"filter: {text!r} holds both kinds of quotes, which MLflow cannot be asked for")
