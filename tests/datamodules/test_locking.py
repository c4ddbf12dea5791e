"""A lock is held by one process at a time and by no dead one."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.locking import alone

HOLD = """
import sys, time
from pathlib import Path
from datamodules.locking import alone

with alone(Path(sys.argv[1]), "works"):
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


def test_a_killed_holder_lets_go_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lock, held = tmp_path / "deep" / "x.lock", tmp_path / "held"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock), str(held)]) as holder:
        try:
            until = time.monotonic() + 60
            while not held.exists():
                assert time.monotonic() < until
                time.sleep(0.01)
            with subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {holder.pid}"]), alone(lock, "works"):
                assert holder.wait(10) == -9
        finally:
            holder.kill()
    assert "another process works; waiting for it" in caplog.text


def test_a_lock_is_free_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError, match="inside"), alone(tmp_path / "x.lock", "works"):
            raise RuntimeError("inside")


def test_a_folder_that_cannot_be_written_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"data\.path: .* cannot be written"),
        alone(tmp_path / "file" / "x.lock", "works", "data.path"),
    ):
        raise AssertionError("never here")
