"""The directory of a run, by its path or by the id of its MLflow run, and the settings that lie there."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.rundir import RunDir

MLFLOW_ID = re.compile(r"[0-9a-f]{32}")


def find_run(named: str, words: Iterable[str] = ()) -> Path:
    """The run directory that `run=` names. InputError when there is none, with what was looked at.

    `words` are the settings of the call: an MLflow id is looked for in the `paths.runs` that they give.
    """
    path = Path(named).expanduser()
    if (path / "config.yaml").is_file():
        return path
    if not MLFLOW_ID.fullmatch(named):
        reason = "it holds no config.yaml" if path.is_dir() else "there is no such folder"
        raise InputError(f"run={named}: {reason}; give runs/<experiment>/<name>, or the id of an MLflow run")
    runs = Path(next((word.partition("=")[2] for word in words if word.startswith("paths.runs=")), "runs"))
    for provenance in sorted(runs.glob("*/*/provenance.json")):
        if _mlflow_id(provenance) == named:
            return provenance.parent
    raise InputError(
        f"run={named}: no run directory below {runs.resolve()} has this MLflow id; set paths.runs="
    )


def _mlflow_id(provenance: Path) -> str | None:
    """The id of the MLflow run that a provenance file names; None when it names none or is broken."""
    try:
        found = json.loads(provenance.read_text(encoding="utf-8"))
        return str(found["mlflow"]["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_config(run: Path) -> dict[str, Any]:
    """The settings of the run. InputError when its config.yaml cannot be read."""
    return RunDir(run).read_config()
