"""`make ui` serves this machine alone."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.pipelines.small_files import ROOT

PATIENCE = 180.0


def status(port: int, host: str, **headers: str) -> int:
    """What the server answers to a request that names `host`; 0 while it does not answer."""
    address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1"
    request = urllib.request.Request(address, headers={"Host": host, **headers})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as found:
            return int(found.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def listening(pid: int) -> set[str]:
    """The addresses at which a process and all that it started take connections."""
    found: set[str] = set()
    whole = psutil.Process(pid)
    for process in (whole, *whole.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = process.net_connections(kind="inet")
            found |= {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_pages_are_for_this_machine_and_for_no_foreign_name(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "mlflow.db").touch()
    installed = [f"BIN={Path(sys.executable).parent}", "-o", ".venv/.installed"]
    process = subprocess.Popen(
        ["make", "ui", *installed, f"RUNS={tmp_path}", f"PORT={port}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        start_new_session=True,
    )
    try:
        until = time.monotonic() + PATIENCE
        while not (own := status(port, f"127.0.0.1:{port}")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        assert own == 200
        assert listening(process.pid) == {"127.0.0.1"}
        assert status(port, "mlflow.example.org") == 403, "another name for this machine (DNS rebinding)"
        assert status(port, f"127.0.0.1:{port}", Origin="https://example.org") in (200, 403)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_every_flag_that_the_manual_names_is_one_of_the_server() -> None:
    manual = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    command = re.search(r"mlflow server (.*?)\n\n", manual, re.DOTALL)
    assert command is not None
    flags = set(re.findall(r"--[a-z-]+", command[1]))
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "server", "--help"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert {"--app-name", "--allowed-hosts", "--cors-allowed-origins", "--host"} <= flags
    assert flags <= set(re.findall(r"--[a-z-]+", done.stdout)), done.stderr
