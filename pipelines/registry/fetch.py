"""The run directory that a registered model holds, on this machine."""

import difflib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import InputError
from pipelines.locking import Lock
from pipelines.registry.contents import DATA, wrong_with
from pipelines.registry.names import read_address
from pipelines.rundir import RunDir

if TYPE_CHECKING:
    from pipelines.registry.registry import Registry, Version
    from pipelines.settings import Settings

PATIENCE = 600.0
"""Seconds to wait for another process that fetches the same model."""


def fetch(uri: str, settings: "Settings") -> RunDir:
    """The run directory within `models:/NAME@ALIAS` or `models:/NAME/NUMBER`: local, whole, verified.

    A copy lies in <paths.runs>/models/NAME/NUMBER. It is compared with the registry's digest whenever it is
    asked for; one that was changed or is not whole is set right again.
    Errors: InputError when there is no such version, or what the registry keeps of it is damaged.
    """
    from pipelines.registry.registry import DIGEST_TAG, open_registry

    address = read_address(uri)
    registry = open_registry(settings)
    version = registry.version(address.name, address.which)
    if version is None:
        raise _unknown(uri, address.name, registry)
    digest = version.tags.get(DIGEST_TAG)
    if digest is None:
        raise InputError(
            f"model={uri}: version {version.number} was not made by skyreel register; only such a version "
            "holds a run"
        )
    assert registry.copies is not None
    place = registry.copies / version.name / str(version.number)
    if wrong_with(place, digest) is not None:
        _bring(registry, version, digest, place)
    RunDir(place).predictions.mkdir(exist_ok=True)
    return RunDir(place)


def _bring(registry: "Registry", version: "Version", digest: str, place: Path) -> None:
    """Put the model's run at `place`: beside it, verified, then renamed. Errors: InputError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(place.with_name(f".{place.name}.lock"))
    if not lock.acquire(PATIENCE):
        raise InputError(f"{place}: {lock.holder()} has been fetching it for long; stop it, or wait")
    with lock:
        if wrong_with(place, digest) is None:  # another process has brought it meanwhile
            return
        for half in place.parent.glob(f".{place.name}.part-*"):
            shutil.rmtree(half, ignore_errors=True)
        part = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.part-"))
        try:
            found = registry.download(version, DATA, part)
            if (wrong := wrong_with(found, digest)) is not None:
                told = wrong.replace(f"{found}{os.sep}", "")
                raise InputError(
                    f"{version.uri}: the registry's own files are damaged ({told} in {version.source}); "
                    "register the run again, or choose another version"
                )
            if place.exists():
                place.rename(part / "damaged")
            found.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _unknown(uri: str, name: str, registry: "Registry") -> InputError:
    """That there is no such version, and what there is."""
    versions = registry.versions(name)
    if versions:
        aliases = sorted({f"@{alias}" for one in versions for alias in one.aliases})
        numbers = ", ".join(str(one.number) for one in versions[-5:])
        there = f"{name} has the versions {numbers} and the aliases {', '.join(aliases) or 'none'}"
    else:
        names = registry.names()
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4) or names[:5]
        there = f"did you mean {' or '.join(near)}?" if near else "no model is registered there yet"
    return InputError(f"model={uri}: not in the registry {registry.shown}; {there}")
