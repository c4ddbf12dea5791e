"""What stands between the journal and MLflow: one run, found or made by its key, and what is sent to it.

Everything here may be sent twice and is there once: runs are searched by key before one is made, metrics
carry their own time and step, artifacts and tags overwrite, parameters and inputs are compared first.
"""

import importlib
import json
import logging
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.changes import flat
from pipelines.redact import without_secrets
from pipelines.tracking.database import make_database
from pipelines.tracking.journal import Record

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

T = TypeVar("T")

KEY_TAG = "skyreel.run_key"
NOISY = ("mlflow", "alembic", "urllib3.connectionpool", "git")
NEEDED_FOR_HTTP = (
    "mlflow.tracking",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.artifact.http_artifact_repo",
)
NEEDED_FOR_DATABASE = ("mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", "alembic.command")
MOST_METRICS = 1000
MOST_PARAMS = 100
LONGEST_VALUE = 500
LONGEST_TAG = 5000
LONGEST_NAME = 250
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST", "INVALID_STATE")
NOTE_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"


class RefusedError(Exception):
    """The server answered, and will never take this record."""


class RunGoneError(Exception):
    """The server answers, and knows nothing of the run that was there."""


def load_mlflow(uri: str, timeout: float) -> None:
    """Import MLflow, quiet, without telemetry, and with requests that end after `timeout` seconds.

    What the user has set in the environment stays.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, math.ceil(timeout))))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy)\b.*")
    for module in NEEDED_FOR_HTTP if uri.startswith("http") else NEEDED_FOR_DATABASE:
        importlib.import_module(module)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def default_uri(runs: Path) -> str:
    """The address of the database in the runs folder."""
    return f"sqlite:///{runs.absolute() / 'mlflow.db'}"


def artifact_location(uri: str, runs: Path) -> str | None:
    """Where a new experiment keeps its files: the runs folder for a database; None: the server's place."""
    return None if uri.startswith(("http:", "https:", "databricks")) else str(runs.absolute() / "mlartifacts")


class TrackedRun:
    """One run on one server. Methods raise RefusedError, or whatever a failing server makes MLflow raise.

    `uri` is the tracking address, `artifacts` the location for an experiment that has to be made (None: the
    server's own), `folder` the run directory that relative paths in records start from.
    """

    def __init__(self, uri: str, artifacts: str | None, folder: Path, timeout: float = 30.0) -> None:
        load_mlflow(uri, timeout)
        make_database(uri)
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._over_http = uri.startswith("http")
        self._artifacts = artifacts
        self._folder = folder
        self.run_id: str = ""

    def open(self, start: Record, run_id: str | None, parent: str | None = None) -> str:
        """The id of the run: `run_id` when the server still has it, else found by key, else made.

        parent: the id of the run that it is a child of.

        RunGoneError when the server no longer knows `run_id`; RuntimeError when the run was deleted there.
        """
        from mlflow.exceptions import MlflowException

        if run_id is not None:
            try:
                run = self._client.get_run(run_id)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    raise RunGoneError(run_id) from error
                raise
            if run.info.lifecycle_stage == "deleted":
                raise RuntimeError(f"the run {run_id} was deleted there; restore it and the rest is sent")
            self.run_id = run_id
        else:
            experiment = self._experiment(start["experiment"])
            found = self._runs_with_key(experiment, start["key"])
            self.run_id = found[0].info.run_id if found else self._create(experiment, start)
            if parent is not None:
                self._tag(PARENT_TAG, parent)
        return self.run_id

    def ask(self) -> None:
        """Return when the server answers and knows the run; raises what it makes MLflow raise."""
        self._client.get_run(self.run_id)

    def _experiment(self, name: str) -> str:
        """The id of the experiment, made with its own artifact location when it is new."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return self._client.create_experiment(name, artifact_location=self._artifacts)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
            log.warning("the MLflow experiment %r had been deleted; it is restored for this run", name)
        return str(found.experiment_id)

    def _runs_with_key(self, experiment: str, key: str) -> "list[Run]":
        found = self._client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=50)
        return sorted(found, key=lambda run: (not run.data.params, not run.data.metrics, run.info.run_id))

    def _create(self, experiment: str, start: Record) -> str:
        tags = {name: str(value)[:LONGEST_TAG] for name, value in start["tags"].items()}
        run = self._client.create_run(
            experiment, start_time=start["time"], tags={**tags, KEY_TAG: start["key"]}, run_name=start["name"]
        )
        return str(run.info.run_id)

    def send(self, records: Sequence[Record]) -> None:
        """Store the records, all of one kind; RefusedError when the server will never take them."""
        from mlflow.exceptions import MlflowException, RestException

        try:
            if records[0]["kind"] == "metrics":
                self._metrics(records)
            else:
                for record in records:
                    self._single(record)
        except MlflowException as error:
            from_store = isinstance(error, RestException) or not self._over_http
            if error.error_code in REFUSALS and from_store:  # else a proxy on the way has said so
                raise RefusedError(str(error)) from error
            raise

    def _single(self, record: Record) -> None:
        match record["kind"]:
            case "start":
                if self._client.get_run(self.run_id).info.status != "RUNNING":
                    self._client.update_run(self.run_id, status="RUNNING")
            case "params":
                self._params(record)
            case "tag":
                self._tag(record["name"], record["value"])
            case "about":
                self._describe_experiment(record["text"])
            case "artifact":
                self._artifact(record)
            case "table":
                self._table(record)
            case "input":
                self._input(record)
            case "status":
                self._client.set_terminated(self.run_id, record["status"], end_time=record["time"])
                self._delete_twins()
            case other:
                raise RefusedError(f"a record of unknown kind {other!r}")

    def _metrics(self, records: Sequence[Record]) -> None:
        from mlflow.entities import Metric

        values = (
            Metric(clean_name(name), value, record["time"], record["step"])
            for record in records
            for name, value in record["metrics"].items()
        )
        for batch in _batches(values, MOST_METRICS):
            self._client.log_batch(self.run_id, metrics=batch, synchronous=True)

    def _params(self, record: Record) -> None:
        """Store what is new; what differs from the first launch, which MLflow cannot change, as tags."""
        from mlflow.entities import Param

        now = {clean_name(name): _short(value) for name, value in flat(record["params"]).items()}
        there = self._client.get_run(self.run_id).data.params
        new = (Param(name, value) for name, value in now.items() if name not in there)
        for batch in _batches(new, MOST_PARAMS):
            self._client.log_batch(self.run_id, params=batch, synchronous=True)
        for name, value in now.items():
            if there.get(name, value) != value:
                self._tag(f"changed.{name}", value)

    def _tag(self, name: str, value: str) -> None:
        self._client.set_tag(self.run_id, clean_name(name), str(value)[:LONGEST_TAG])

    def _describe_experiment(self, text: str) -> None:
        """Set the experiment's description unless it has one: somebody may have written it."""
        experiment = self._client.get_experiment(self._client.get_run(self.run_id).info.experiment_id)
        if NOTE_TAG not in experiment.tags:
            self._client.set_experiment_tag(experiment.experiment_id, NOTE_TAG, text[:LONGEST_TAG])

    def _artifact(self, record: Record) -> None:
        path = self._folder / record["path"]
        if path.is_dir():
            self._client.log_artifacts(self.run_id, str(path), record["folder"] or path.name)
        elif path.exists():
            self._client.log_artifact(self.run_id, str(path), record["folder"] or None)
        else:
            raise RefusedError(f"{path} is no longer there")

    def _table(self, record: Record) -> None:
        """Store a table and list it where MLflow's pages look for tables."""
        self._artifact(record)
        tag = "mlflow.loggedArtifacts"
        listed = json.loads(self._client.get_run(self.run_id).data.tags.get(tag, "[]"))
        path = "/".join(part for part in (record["folder"], Path(record["path"]).name) if part)
        item = {"path": path, "type": "table"}
        if item not in listed:
            self._client.set_tag(self.run_id, tag, json.dumps([*listed, item]))

    def _input(self, record: Record) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=record["name"][:500],
            digest=record["digest"][:36],
            source_type="local",
            source=json.dumps({"uri": record["source"]}),
            schema=_json(record.get("schema")),
            profile=_json(record.get("profile")),
        )
        tags = [InputTag("mlflow.data.context", record["context"])] if record.get("context") else []
        self._client.log_inputs(self.run_id, datasets=[DatasetInput(dataset, tags)])

    def _delete_twins(self) -> None:
        """Delete empty runs of the same key: a request to make one that timed out may be served later."""
        run = self._client.get_run(self.run_id)
        for twin in self._runs_with_key(run.info.experiment_id, run.data.tags.get(KEY_TAG, "")):
            if twin.info.run_id != self.run_id and not twin.data.metrics and not twin.data.params:
                self._client.delete_run(twin.info.run_id)


def clean_name(name: str) -> str:
    """`name` as MLflow takes it: letters, digits, _ - . space / only, at most 250 characters."""
    cleaned = re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)
    cleaned = "/".join(part for part in cleaned.split("/") if part.strip(". "))
    return cleaned[:LONGEST_NAME] or "_"


def _short(value: Any) -> str:
    text = without_secrets(str(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _json(content: Any) -> str | None:
    return None if content is None else json.dumps(content)


def _batches(items: Iterable[T], most: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, most)):
        yield batch
