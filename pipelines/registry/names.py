"""What registered models and their aliases may be called, and what an address of one means."""

import re
from dataclasses import dataclass

from datamodules.errors import InputError

SCHEME = "models:/"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*")
ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A version of a model by `which`: its number or an alias."""

    name: str
    which: str


def check_name(name: str) -> None:
    """Return when a model can have this name. InputError: what it may be."""
    if NAME.fullmatch(name) is None or name != name.strip(" ."):
        raise InputError(
            f"model={name}: not a name for a registered model; allowed are letters, digits, _ . - and "
            "spaces, a letter or digit first"
        )


def check_alias(alias: str) -> None:
    """Return when a version can have this alias. InputError: what it may be."""
    if ALIAS.fullmatch(alias) is None or RESERVED.fullmatch(alias) is not None:
        raise InputError(
            f"alias={alias}: not an alias; allowed are letters, digits, _ and -, a letter first, and neither "
            "'latest' nor 'v1', 'v2', ..."
        )


def read_address(uri: str) -> Address:
    """What `models:/NAME@ALIAS` or `models:/NAME/NUMBER` names. InputError for anything else."""
    rest = uri.removeprefix(SCHEME)
    found = re.fullmatch(r"(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>\d+))", rest)
    if not uri.startswith(SCHEME) or found is None:
        raise InputError(f"model={uri}: write models:/NAME@ALIAS or models:/NAME/NUMBER")
    check_name(found["name"])
    if found["alias"] is not None:
        check_alias(found["alias"])
    return Address(found["name"], found["alias"] or str(int(found["number"])))
