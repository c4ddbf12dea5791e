"""A forecaster and a captioner, trained in seconds and registered in one real MLflow database."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.registry.registry import Registry
from pipelines.rundir import RunDir
from pipelines.tracking.server import artifact_location, default_uri
from tests.pipelines.captions import small_clips
from tests.pipelines.conftest import Trained
from tests.pipelines.small_files import result

ASKING = Path(__file__).with_name("asking_model.py")


@dataclass(frozen=True)
class Registered:
    """Models `weather` and `clips`, both with a champion, in the database below `folder`.

    runs: what each was made from.     inputs: files for each.
    """

    folder: Path
    runs: Mapping[str, RunDir]
    inputs: Mapping[str, Path]

    @property
    def words(self) -> tuple[str, ...]:
        """The words by which a verb finds the registry."""
        return (f"paths.runs={self.folder / 'runs'}", f"paths.stores={self.folder / 'stores'}")

    @property
    def uri(self) -> str:
        """The address of the database."""
        return default_uri(self.folder / "runs")

    @property
    def registry(self) -> Registry:
        """The registry."""
        runs = self.folder / "runs"
        return Registry(self.uri, artifact_location(self.uri, runs), runs / "models")

    def predicted(self, model: str, **more: str) -> Path:
        """What `skyreel predict run=...` writes of the files for `model`."""
        output = self.folder / ("expected.nc" if model == "weather" else "expected.json")
        words = [f"{key}={value}" for key, value in {"input": str(self.inputs[model]), **more}.items()]
        result("predict", f"run={self.runs[model].path}", f"output={output}", *words, *self.words)
        return output


def asked(registered: Registered, folder: Path, asks: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What the champions answer to tables of rows in a fresh process, started in the empty `folder`.

    The process knows nothing of this project but what the models carry.
    """
    (folder / "asks.json").write_text(json.dumps({"uri": registered.uri, "asks": asks}))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", str(ASKING), str(folder / "asks.json")],
        cwd=folder,
        env={**kept, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "asks.json.answer").read_text()))


@pytest.fixture(scope="session")
def registered(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """Read it; register nothing under its two names, and change nothing below its folder."""
    folder = tmp_path_factory.mktemp("registered")
    sample = small_clips.make_sample_clips(folder / "sample", clips=20, seed=1)
    call = small_clips.words(sample, folder, "trainer.max_epochs=1")
    run = RunDir(Path(result("train", *call)["run"]))
    found = Registered(
        folder, {"weather": trained.run, "clips": run}, {"weather": trained.maps, "clips": sample / "clips"}
    )
    for name, one in found.runs.items():
        result("register", f"run={one.path}", f"model={name}", "alias=champion", *found.words)
    return found
