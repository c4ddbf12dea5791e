"""Where a run comes from: code, packages, command, machine and data, in `provenance.json`."""

import getpass
import json
import logging
import os
import platform
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines.redact import command_line, without_secrets
from pipelines.rundir import RunDir, write_json

log = logging.getLogger(__name__)

PACKAGES = (
    "skyreel",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "mlflow",
    "numpy",
    "xarray",
    "netcdf4",
    "zarr",
    "hydra-core",
    "omegaconf",
    "pydantic",
    "matplotlib",
)
ROOT = Path(__file__).resolve().parent.parent

_writing = threading.Lock()


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def code_version(root: Path = ROOT) -> dict[str, Any]:
    """{"version", "commit", "changed"}: the commit only when this code is tracked in a checkout under `root`.

    `changed` is True when tracked files differ from the commit.
    """
    version = {"version": _version("skyreel"), "commit": None, "changed": None}
    if _git(root, "ls-files", "--error-unmatch", "pipelines/__init__.py") is None:
        return version
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {**version, "commit": commit, "changed": None if changes is None else bool(changes)}


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None when there is no git, no checkout, or no answer in five seconds."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def packages() -> dict[str, str]:
    """The versions of the packages that decide about results, as installed; absent ones are left out."""
    found = {name: _version(name) for name in PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


def host() -> dict[str, Any]:
    """The machine: name, user, system, processors, memory (bytes), GPUs by name."""
    import psutil

    from pipelines.tracking.system import gpu_names

    return {
        "name": socket.gethostname(),
        "user": _user(),
        "system": platform.platform(),
        "processors": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "gpus": gpu_names(),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def write(
    run: RunDir,
    *,
    seed: int,
    data: Mapping[str, Any],
    arguments: Sequence[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Publish `provenance.json` for this launch and return it; an earlier launch moves to `earlier`.

    `data`: name -> what is known of it (digest, sources); `arguments`: the command line, else sys.argv;
    `more`: further sections, plain values. The MLflow section and the plan of an earlier launch stay.
    """
    found = {
        "code": code_version(),
        "python": platform.python_version(),
        "packages": packages(),
        "command": command_line(sys.argv if arguments is None else arguments),
        "host": host(),
        "seed": seed,
        "data": dict(data),
        "start": now(),
        "end": None,
        "status": "RUNNING",
        **more,
    }
    with _writing:
        before = read(run)
        if before:
            launch = {key: before.get(key) for key in ("code", "command", "start", "end", "status", "plan")}
            found["earlier"] = [*before.get("earlier", []), launch]
        found |= {key: before.get(key) for key in ("mlflow", "plan")}
        write_json(run.provenance, found)
    return found


def read(run: RunDir) -> dict[str, Any]:
    """The content of `provenance.json`; empty when there is none that can be read."""
    try:
        found = json.loads(run.provenance.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(run: RunDir, **sections: Any) -> None:
    """Put sections into `provenance.json`, published whole; what cannot be written is told, not raised."""
    try:
        with _writing:
            write_json(run.provenance, {**read(run), **sections})
    except OSError as error:
        log.warning("%s: cannot be written (%s)", run.provenance, error)


def note_end(run: RunDir, status: str) -> None:
    """Put the end of the launch, now, and how it ended into `provenance.json`."""
    note(run, end=now(), status=status)


def note_mlflow(run: RunDir, uri: str, experiment: str, run_id: str) -> None:
    """Put the run's place in MLflow into `provenance.json`, the address without its secrets."""
    note(
        run,
        mlflow={"tracking_uri": without_secrets(uri), "experiment": experiment, "run_id": run_id},
    )


def run_tags(found: Mapping[str, Any]) -> dict[str, str]:
    """The tags under which MLflow's own pages show the code and the command."""
    tags = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": " ".join(found["command"]),
        "mlflow.user": found["host"]["user"],
    }
    if found["code"]["commit"]:
        tags["mlflow.source.git.commit"] = str(found["code"]["commit"])
    return tags
