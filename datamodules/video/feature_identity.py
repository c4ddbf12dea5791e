"""What made the features of a store: two stores are the same only when all of it is the same."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from datamodules.errors import InputError

ABSENT = "nothing"


@dataclass(frozen=True)
class FeatureIdentity:
    """All that decides the numbers a frozen encoder writes; every value can be put into JSON.

    backbone:       its name, and whether features are pooled
    weights_digest: SHA-256 of its weights
    preprocessing:  how pixels were scaled before it
    frames:         which frames were read, and their size
    versions:       of the packages that decode and compute
    """

    backbone: str
    weights_digest: str
    preprocessing: Mapping[str, Any]
    frames: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of everything here."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values: tuples become lists, and keys become text."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Errors: TypeError when a field is missing or unknown."""
        return cls(**fields)

    def differences(self, wanted: "FeatureIdentity") -> list[str]:
        """One line for each value that is not as `wanted`: its name, what is found, what is wanted."""
        found, other = dict(_leaves(self.to_json())), dict(_leaves(wanted.to_json()))
        return [
            f"{name}: found {found.get(name, ABSENT)}, wanted {other.get(name, ABSENT)}"
            for name in sorted(found.keys() | other.keys())
            if found.get(name) != other.get(name)
        ]


def store_path(stores: Path, identity: FeatureIdentity) -> Path:
    """The folder below `stores` where features of this identity belong."""
    return stores / f"features-{identity.digest[:12]}"


def refuse_other_identity(folder: Path, found: FeatureIdentity, wanted: FeatureIdentity) -> None:
    """Returns when both are the same. Errors: InputError with each difference."""
    differences = found.differences(wanted)
    if differences:
        raise InputError(
            f"the features in {folder} were made otherwise than this run asks for: {'; '.join(differences)}. "
            "Set these as they were, or set paths.stores to another folder, or delete this one, and features "
            "are computed again"
        )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every value inside nested mappings as JSON text, with the keys that lead to it."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value, ensure_ascii=False)
