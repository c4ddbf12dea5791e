"""Generated clips and one trained captioner that the tests of several verbs read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.rundir import RunDir
from tests.pipelines.captions.small_clips import make_clips, words
from tests.pipelines.small_files import result


@dataclass(frozen=True)
class Captioned:
    """A finished run: its folder, the folder of its clips, its words, and what `train` returned."""

    folder: Path
    clips: Path
    words: tuple[str, ...]
    result: dict[str, Any]

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return RunDir(Path(self.result["run"]))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of generated clips. Read it; change nothing in it."""
    return make_clips(tmp_path_factory.mktemp("clips") / "sample")


@pytest.fixture(scope="session")
def captioned(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Captioned:
    """A captioner trained for two epochs. Read it; change nothing below its folder."""
    folder = tmp_path_factory.mktemp("captioned")
    call = words(clips, folder)
    return Captioned(folder, clips, tuple(call), result("train", *call))
