"""What MLflow calls to load a model that `pipelines.registry.package` made."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from datamodules.errors import InputError
from pipelines.registry.contents import wrong_with
from pipelines.rundir import RunDir
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, table: "pd.DataFrame") -> "pd.DataFrame":
        """The answer to a table of inputs."""


def _load_pyfunc(data_path: str) -> Predictor:
    """The forecaster or captioner in the folder `data_path`, every file of which is verified.

    Errors: InputError when a file is not as it was packed.
    """
    run = RunDir(Path(data_path).absolute())
    if (wrong := wrong_with(run.path)) is not None:
        raise InputError(f"{wrong}: the model is not whole; fetch it again, or register the run again")
    settings = Settings.model_validate(run.read_config())
    if settings.task.kind == "caption":
        from pipelines.registry.captioner import RegisteredCaptioner

        return RegisteredCaptioner(settings, run)
    from pipelines.registry.forecaster import RegisteredForecaster

    return RegisteredForecaster(settings, run)
