"""The directory of a run, by its path, its experiment and name, or the id of its MLflow run."""

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from datamodules.errors import InputError
from pipelines.rundir import RunDir


def runs_folder(words: Iterable[str]) -> Path:
    """Where the runs are, by the `paths.runs=` among the words of a call."""
    return Path(next((word.partition("=")[2] for word in words if word.startswith("paths.runs=")), "runs"))


def find_run(run: str, runs: Path) -> RunDir:
    """The run that `run` names: a directory, `experiment/name` under `runs`, an MLflow run id, or the name
    alone where one run has it.

    InputError when there is none, which names the nearest, or more than one.
    """
    for candidate in (Path(run).expanduser(), runs / run):
        if (candidate / "config.yaml").is_file():
            return RunDir(candidate.absolute())
    known = sorted(path.parent for path in runs.glob("*/*/config.yaml"))
    if re.fullmatch(r"[0-9a-f]{32}", run):
        for folder in known:
            if _run_id(folder / "provenance.json") == run:
                return RunDir(folder.absolute())
        raise InputError(
            f"run={run}: no run directory under {runs} has this MLflow run id; give the directory, "
            "or set paths.runs="
        )
    named = [folder for folder in known if folder.name == run]
    if len(named) == 1:
        return RunDir(named[0].absolute())
    if named:
        which = " or ".join(f"run={folder.relative_to(runs)}" for folder in named)
        raise InputError(f"run={run}: {len(named)} runs are called so; say which: {which}")
    names = [str(folder.relative_to(runs)) for folder in known]
    near = difflib.get_close_matches(run, [*names, *(str(folder) for folder in known)], n=1, cutoff=0.4)
    hint = f"did you mean run={near[0]}?" if near else f"runs are looked for in {runs} (paths.runs)"
    raise InputError(
        f"run={run}: not a run directory (it has no config.yaml) and not an MLflow run id; {hint}"
    )


def _run_id(provenance: Path) -> str | None:
    try:
        found = json.loads(provenance.read_text(encoding="utf-8"))
        run_id = found["mlflow"]["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run_id if isinstance(run_id, str) else None
