"""A retraining job on a tiny forecaster, and what the ledger and the registry say of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.retraining.ledger import Ledger, Row
from tests.pipelines.small_files import TINY, answer, mlflow_runs, start, steps_of, write_maps

MODEL = "tiny"


@dataclass(frozen=True)
class TinyJob:
    """A job file below `folder`, whose data are all NetCDF files in `folder/arrived`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, **options: Any) -> "TinyJob":
        """The job with a first file of 300 steps; `options` are keys of the job file."""
        job = cls(folder)
        job.arrived.mkdir(parents=True)
        write_maps(job.arrived / "1.nc", steps_of(300))
        job.write(**options)
        return job

    def write(self, **options: Any) -> None:
        """The job file, anew."""
        plain = {
            "model": MODEL,
            "data": str(self.arrived / "*.nc"),
            "settings": [*TINY, f"paths.runs={self.runs}", f"paths.stores={self.folder / 'stores'}"],
            "start": {"new_steps": 40},
            "judge": {"steps": 60},
            "gate": {"minimum_gain": 0.001},
            "limits": {"backoff_seconds": 0.1, "retries": 1, "disk_gb": 0},
            "watch": {"after_steps": 40},
            **options,
        }
        self.file.write_text(yaml.safe_dump(plain))

    @property
    def file(self) -> Path:
        """The job."""
        return self.folder / "tiny.yaml"

    @property
    def arrived(self) -> Path:
        """Where its data are."""
        return self.folder / "arrived"

    @property
    def runs(self) -> Path:
        """Where its runs are."""
        return self.folder / "runs"

    @property
    def home(self) -> Path:
        """Where its shots are."""
        return self.runs / "retrain" / "tiny"

    def arrive(self, until: int) -> None:
        """All steps up to `until` are there."""
        write_maps(self.arrived / "1.nc", steps_of(until))

    def call(self, *words: str) -> list[str]:
        """A call of `retrain` for the job."""
        actions = [word for word in words if "=" not in word and not word.startswith("-")]
        rest = [word for word in words if word not in actions]
        return ["retrain", *actions, f"job={self.file}", *rest]

    def shoot(self, *words: str) -> tuple[int, Any, str]:
        """Exit status, result and messages of a call in this process."""
        return answer(*self.call(*words))

    def start(self, *words: str) -> Any:
        """A call in a process of its own."""
        return start(*self.call(*words, "--json"))

    def where(self) -> list[str]:
        """Where the runs and the database are, for verbs that take no job."""
        return [f"paths.runs={self.runs}", f"paths.stores={self.folder / 'stores'}"]

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.runs / "retrain" / "ledger.db")

    def outcomes(self) -> list[str]:
        """The outcomes of all finished shots, the oldest first."""
        return [str(row.outcome) for row in reversed(self.rows())]

    def rows(self) -> list[Row]:
        """The finished shots, the newest first."""
        return list(self.ledger.history("tiny"))

    def aliases(self) -> dict[str, int]:
        """Where the aliases of the model point."""
        client, _ = mlflow_runs(self.folder)
        from mlflow.exceptions import MlflowException

        try:
            found = client.get_registered_model(MODEL).aliases
        except MlflowException:
            return {}
        return {alias: int(version) for alias, version in found.items()}
