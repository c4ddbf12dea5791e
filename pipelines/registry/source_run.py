"""The MLflow run that a version comes from: the tracked one, else one that is made to stand for it."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines import provenance
from pipelines.rundir import RunDir, read_metrics
from pipelines.tracking.server import MOST_METRICS, clean_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

KIND_TAG = "skyreel.kind"
KEY_TAG = "skyreel.stands_for"


@dataclass(frozen=True)
class Origin:
    """A run in MLflow, and the experiment that it belongs to."""

    run_id: str
    experiment_id: str


def source_run(client: "MlflowClient", run: RunDir, artifacts: str | None) -> Origin:
    """The run as MLflow knows it here; a run that was tracked elsewhere, or not at all, is told to it now.

    artifacts: where an experiment that has to be made keeps its files; None: the server's own place.
    """
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    run_id = (provenance.read(run).get("mlflow") or {}).get("run_id")
    if run_id:
        try:
            found = client.get_run(run_id)
            return Origin(found.info.run_id, found.info.experiment_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    experiment_id = _experiment(client, run.path.parent.name, artifacts)
    key = f"{run.path.parent.name}/{run.path.name}"
    earlier = client.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    if earlier:
        return Origin(earlier[0].info.run_id, experiment_id)
    made = client.create_run(
        experiment_id, run_name=run.path.name, tags={KIND_TAG: "registered", KEY_TAG: key}
    )
    if run.metrics.is_file():
        now = int(time.time() * 1000)
        figures = read_metrics(run.metrics).items()
        metrics = [Metric(clean_name(name), value, now, 0) for name, value in figures]
        for first in range(0, len(metrics), MOST_METRICS):
            client.log_batch(made.info.run_id, metrics=metrics[first : first + MOST_METRICS])
    client.set_terminated(made.info.run_id, "FINISHED")
    return Origin(made.info.run_id, experiment_id)


def _experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name, artifact_location=artifacts))
    except MlflowException as error:
        found = client.get_experiment_by_name(name)
        if found is None or error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(found.experiment_id)
