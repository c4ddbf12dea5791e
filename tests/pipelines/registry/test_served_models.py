"""`mlflow models serve` answers as `skyreel predict` writes; a registry behind HTTP holds the same."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.pipelines.mlflow_servers import answers, free_port, mlflow_server, wait_for
from tests.pipelines.registry.conftest import Registered
from tests.pipelines.small_files import answer, result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]


@contextlib.contextmanager
def served(registered: Registered, model: str, folder: Path) -> Iterator[str]:
    """The address of a server that has loaded the champion; killed at the end."""
    port = free_port()
    words = ("models", "serve", "--env-manager", "local", "-m", f"models:/{model}@champion")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": registered.uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": "1",
    }
    place = ("--host", "127.0.0.1", "--port", str(port))
    with (folder / "log.txt").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlflow", *words, *place],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: server.poll() is not None or answers(port, "ping"), 300)
        assert server.poll() is None, (folder / "log.txt").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def asked(address: str, body: bytes) -> tuple[int, Any]:
    """Status and JSON of an answer; NaN, which JSON does not know, is a mistake."""
    request = urllib.request.Request(
        f"{address}/invocations", body, {"Content-Type": "application/json"}, method="POST"
    )

    def refuse(word: str) -> None:
        raise ValueError(f"{word} in the answer")

    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, json.loads(reply.read(), parse_constant=refuse)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def records(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"dataframe_records": rows}).encode()


def example(registered: Registered, model: str) -> bytes:
    version = registered.registry.version(model, "champion")
    assert version is not None
    return (Path(version.source) / "serving_input_example.json").read_bytes()


def test_a_served_forecaster_answers_as_predict_writes(registered: Registered, tmp_path: Path) -> None:
    with served(registered, "weather", tmp_path) as address:
        status, found = asked(address, records({"path": str(registered.inputs["weather"])}))
        refused, told = asked(address, records({"path": "/nowhere/maps.nc"}))
        again, _ = asked(address, example(registered, "weather"))
    assert (status, refused, again) == (200, 400, 200)
    assert "row 0" in told["message"]
    assert "/nowhere/maps.nc" in told["message"]
    values = np.array([row["values"] for row in found["predictions"]], dtype=np.float32)
    with xr.open_dataset(registered.predicted("weather")) as expected:
        assert values.tobytes() == expected["air"].values.astype(np.float32).tobytes()


def test_a_served_captioner_answers_as_predict_writes(registered: Registered, tmp_path: Path) -> None:
    with served(registered, "clips", tmp_path) as address:
        status, found = asked(address, records({"path": str(registered.inputs["clips"])}))
        again, _ = asked(address, example(registered, "clips"))
    assert (status, again) == (200, 200)
    expected = json.loads(registered.predicted("clips").read_text())
    assert found["predictions"] == [{"row": 0, **one} for one in expected]


def test_a_registry_behind_a_server_holds_the_same(registered: Registered, tmp_path: Path) -> None:
    port = free_port()
    words = (f"tracking.uri=http://127.0.0.1:{port}", f"paths.runs={tmp_path / 'runs'}")
    with mlflow_server(tmp_path, port):
        run = f"run={registered.runs['weather'].path}"
        made = result("register", run, "model=weather", "alias=champion", *words)
        again = result("register", run, "model=weather", "alias=champion", *words)
        assert (made["version"], again["version"]) == (1, 2)
        output = tmp_path / "forecast.nc"
        call = (f"input={registered.inputs['weather']}", f"output={output}", *words)
        result("predict", "model=models:/weather@champion", *call)
        with xr.open_dataset(registered.predicted("weather")) as expected, xr.open_dataset(output) as found:
            assert found["air"].values.tobytes() == expected["air"].values.tobytes()
        from pipelines.compose import compose
        from pipelines.registry.registry import open_registry

        registry = open_registry(compose(words, data=False).settings)
        registry.delete_version("weather", 1)
        assert [one.aliases for one in registry.versions("weather")] == [("champion",)]
        status, _, said = answer("predict", "model=models:/weather/1", *call)
        assert (status, "versions 2" in said) == (2, True), said
