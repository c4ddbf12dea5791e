"""One trained run, tracked in a real MLflow database, that the tests of several verbs read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.rundir import RunDir
from tests.pipelines.small_files import result, steps_of, words, write_maps


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder, which holds air.nc, its words, and what `train` returned."""

    folder: Path
    words: tuple[str, ...]
    result: dict[str, Any]

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return RunDir(Path(self.result["run"]))

    @property
    def maps(self) -> Path:
        """The file it was trained on."""
        return self.folder / "air.nc"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of two epochs on one variable. Read it; change nothing below its folder."""
    folder = tmp_path_factory.mktemp("trained")
    write_maps(folder / "air.nc", steps_of(300))
    call = words(folder)
    return Trained(folder, tuple(call), result("train", *call))
