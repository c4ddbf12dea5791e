"""Ten thousand runs are listed, filtered and sorted in the time that a person waits."""

from pathlib import Path

import pytest

from benchmarks.review import CALLS, make_database, timed

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

GENEROUS = 6.0
"""Seconds on a machine with other work; idle it takes about one (benchmarks/review.py)."""


@pytest.mark.slow
def test_ten_thousand_runs_are_reviewed_at_once(tmp_path: Path) -> None:
    make_database(tmp_path, 10_000)
    for name, words in CALLS.items():
        tries = [timed(*words, f"paths.runs={tmp_path}") for _ in range(3)]
        assert all(done.returncode == (2 if name == "a wrong name" else 0) for _, done in tries), tries[0][1]
        assert min(seconds for seconds, _ in tries) < GENEROUS, name
