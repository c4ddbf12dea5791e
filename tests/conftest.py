"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data that `SKYREEL_DATA` names; tests that need it skip without it."""
    folder = os.environ.get("SKYREEL_DATA")
    if not folder or not (Path(folder) / "weather").is_dir():
        pytest.skip("SKYREEL_DATA does not point to the folder of real data")
    return Path(folder)
