"""Which settings differ between two runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "(not set)"


ABSENT = _Absent()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True)
class Change:
    """A setting that differs between a run directory and the command."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.before)} there, {_shown(self.now)} now"


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings as one level, keys joined by dots; lists and empty sections stay values."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The settings that differ, sorted by key."""
    old, new = flat(before), flat(now)
    pairs = [(key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in sorted(old.keys() | new.keys())]
    return [Change(*pair) for pair in pairs if pair[1] != pair[2]]
