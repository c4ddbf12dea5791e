"""A real MLflow database with runs of both systems, and the settings that lead to it."""

from pathlib import Path
from typing import Any

from benchmarks.review import make_database
from pipelines.compose import compose
from pipelines.settings import Settings
from pipelines.tracking.server import default_uri, load_mlflow

RUNS = 60


def make_runs(folder: Path) -> Path:
    """`folder`, with a database of RUNS runs, one of them deleted, and a deleted experiment."""
    folder.mkdir(parents=True, exist_ok=True)
    make_database(folder, RUNS)
    client = mlflow_client(folder)
    gone = client.get_experiment_by_name("sample_clips")
    client.delete_experiment(gone.experiment_id)
    weather = client.get_experiment_by_name("weather")
    newest = client.search_runs([weather.experiment_id], max_results=2)
    client.delete_run(newest[0].info.run_id)
    client.set_tag(newest[1].info.run_id, "note", '100%_[done] it\'s "it"')
    return folder


def mlflow_client(folder: Path) -> Any:
    """MLflow's own client of the database in `folder`."""
    uri = default_uri(folder)
    load_mlflow(uri, 30.0)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def settings_of(folder: Path, *more: str) -> Settings:
    """The settings of a call with paths.runs=`folder`."""
    return compose([f"paths.runs={folder}", *more], None, data=False).settings
