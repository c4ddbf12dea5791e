"""A database of runs that several tests read; nothing changes it."""

from pathlib import Path

import pytest

from tests.pipelines.reviewing.databases import make_runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database of 60 runs in three experiments and a deleted one."""
    return make_runs(tmp_path_factory.mktemp("reviewed") / "runs")
