"""Where a run's tracking records go, from its settings."""

import os
from pathlib import Path

from pipelines.redact import split_login
from pipelines.settings import Settings
from pipelines.tracking.sender import Destination
from pipelines.tracking.server import artifact_location


def destination(settings: Settings) -> Destination | None:
    """Where tracking records go; None when nothing is tracked.

    A login in the address moves to the environment, where MLflow looks for it and no message repeats it.
    """
    if settings.tracking_uri is None:
        return None
    uri, user, password = split_login(settings.tracking_uri)
    if user is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = user
        os.environ["MLFLOW_TRACKING_PASSWORD"] = password or ""
    Path(settings.paths.runs).mkdir(parents=True, exist_ok=True)
    return Destination(uri, artifact_location(uri, Path(settings.paths.runs)))
