"""What is known of a run that is to be compared: from its directory, or from MLflow without one."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.changes import flat
from pipelines.find_run import find_run
from pipelines.reviewing.archive import Query, Row, open_archive
from pipelines.reviewing.filters import Term
from pipelines.reviewing.names import Name
from pipelines.rundir import RunDir, read_metrics
from pipelines.settings import Settings

ERRORS, SENTENCES = "predictions/errors.npz", "test.json"
"""Where MLflow keeps them among a run's artifacts."""


@dataclass(frozen=True)
class Sentence:
    """What a run wrote for a clip, and what people said of it."""

    caption: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """One run to be compared.

    name: experiment/name.    place: its directory, or its MLflow id.    settings: by full key.
    metrics: as in metrics.json; empty where the run has not been judged.
    errors: the file of its errors by forecast, None without.    sentences: by clip, of a captioner.
    units: of each variable.
    """

    name: str
    place: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    errors: Path | None
    sentences: Mapping[str, Sentence]
    units: Mapping[str, str]


def gather(named: str, settings: Settings) -> Evidence:
    """What is known of the run that `named` names: a directory, experiment/name, or an MLflow run id."""
    runs = Path(settings.paths.runs)
    try:
        return from_directory(find_run(named, runs))
    except InputError as error:
        if not re.fullmatch(r"[0-9a-f]{32}", named):
            raise InputError(
                f"runs={named}: {str(error).partition(': ')[2]}".replace("run=", "runs=")
            ) from None
    return _from_mlflow(named, settings)


def from_directory(run: RunDir) -> Evidence:
    """What the run directory holds."""
    errors = run.predictions / "errors.npz"
    return Evidence(
        name=f"{run.path.parent.name}/{run.path.name}",
        place=str(run.path),
        settings=flat(run.read_config()),
        metrics=read_metrics(run.metrics) if run.metrics.exists() else {},
        errors=errors if errors.exists() else None,
        sentences=_sentences(run.predictions / SENTENCES),
        units=_units(run.path / "model" / "store.json"),
    )


def _from_mlflow(run_id: str, settings: Settings) -> Evidence:
    """What MLflow holds of a run that has no directory below paths.runs."""
    archive = open_archive(settings)
    term = Term(Name("attributes", "run_id"), "=", run_id)
    found = archive.find(Query(tuple(archive.experiments()), (term,))).rows
    if not found:
        raise InputError(
            f"runs={run_id}: neither a run directory below {settings.paths.runs} nor MLflow has this run id"
        )
    row = archive.details(found, None)[0]
    errors, sentences = (_artifact(row, path, settings) for path in (ERRORS, SENTENCES))
    return Evidence(
        name=f"{row.experiment}/{row.name}",
        place=run_id,
        settings=dict(row.params),
        metrics={key: value for key, value in row.metrics.items() if key.startswith(("test/", "reference/"))},
        errors=errors,
        sentences=_sentences(sentences) if sentences else {},
        units={},
    )


def _artifact(row: Row, path: str, settings: Settings) -> Path | None:
    """A copy of a file among the artifacts of a run; None where the run has no such file."""
    from pipelines.tracking.destination import destination
    from pipelines.tracking.server import load_mlflow

    to = destination(settings)
    assert to is not None  # open_archive has seen to it
    load_mlflow(to.uri, 30.0)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=to.uri, registry_uri=to.uri)
    folder = path.rpartition("/")[0]
    try:
        there = [item.path for item in client.list_artifacts(row.run_id, folder or None)]
        if path not in there:
            return None
        return Path(client.download_artifacts(row.run_id, path, tempfile.mkdtemp(prefix="skyreel-review-")))
    except (MlflowException, OSError):
        return None


def _sentences(path: Path) -> dict[str, Sentence]:
    """The sentences in predictions/test.json by clip; none where there is no such file."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(one["clip"]): Sentence(str(one["caption"]), tuple(one.get("references", ()))) for one in found
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); evaluate the run again") from error


def _units(description: Path) -> dict[str, str]:
    """Units of the variables that a run directory's store names."""
    try:
        channels = json.loads(description.read_text(encoding="utf-8"))["channels"]
        return {str(one["name"]): str(one["units"]) for one in channels}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
