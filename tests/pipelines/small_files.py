"""Small NetCDF files and settings for the verbs: hundreds of steps on a tiny grid, made on the spot."""

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipelines.cli import run
from pipelines.rundir import RunDir
from pipelines.tracking.server import default_uri, load_mlflow

ROOT = Path(__file__).resolve().parents[2]

TINY = (
    "data=netcdf",
    "data.name=tiny",
    "data.batch_size=32",
    "task.history=3",
    "task.horizon=2",
    "task.linear.components=4",
    "task.linear.lags=2",
    "task.linear.folds=2",
    "model.encoder.channels=4",
    "model.encoder.depth=1",
    "model.recurrent.hidden=4",
    "trainer=cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "trainer.max_epochs=2",
    "seed=3",
)
"""A forecaster that trains in a second."""


def steps_of(count: int, gaps: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """The first `count` six-hourly steps from 2001-01-01, without those in `gaps` (first, stop)."""
    steps = np.arange(count)
    for first, stop in gaps:
        steps = steps[(steps < first) | (steps >= stop)]
    return steps


def write_maps(
    path: Path,
    steps: np.ndarray,
    variables: Sequence[str] = ("air",),
    shape: tuple[int, int] = (8, 12),
    hours: int = 6,
) -> Path:
    """A wave that travels east and a daily cycle, with noise, in K; latitude from north to south."""
    rows, columns = shape
    lat, lon = np.linspace(60.0, 25.0, rows), np.linspace(200.0, 255.0, columns)
    clock = steps[:, None, None] * hours
    found = {}
    for number, name in enumerate(variables):
        noise = np.random.default_rng(number).normal(size=(int(steps.max()) + 1, *shape))[steps]
        wave = 5 * np.sin(np.deg2rad(3 * lon) + number - clock / 30)[..., None, :].reshape(-1, 1, columns)
        day = 3 * np.cos(2 * np.pi * clock / 24) * np.cos(np.deg2rad(lat))[None, :, None]
        values = (280 + 10 * number + wave + day + 0.5 * noise).astype(np.float32)
        attributes = {"units": "K", "long_name": f"{name} temperature", "standard_name": "air_temperature"}
        found[name] = (("time", "lat", "lon"), values, attributes)
    data = xr.Dataset(
        found,
        {
            "time": np.datetime64("2001-01-01", "ns") + steps * np.timedelta64(hours, "h"),
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )
    data.to_netcdf(path, encoding={"time": {"units": "hours since 1990-01-01", "dtype": "float64"}})
    return path


def write_series(path: Path, steps: np.ndarray) -> Path:
    """A CSV of two stations; every seventh value of the first is missing, and a stretch of the second."""
    lines = ["time,harbour,hill"]
    for step in steps:
        when = np.datetime64("2001-01-01T00:00", "m") + step * np.timedelta64(6, "h")
        harbour = "" if step % 7 == 0 else f"{280 + 5 * np.sin(-step / 5):.3f}"
        hill = "" if 40 <= step < 60 else f"{270 + 3 * np.cos(step * np.pi / 2):.3f}"
        lines.append(f"{when},{harbour},{hill}")
    path.write_text("\n".join(lines) + "\n")
    return path


def words(folder: Path, *more: str) -> list[str]:
    """The settings of a tiny run below `folder`, which holds air.nc."""
    return [
        *TINY,
        f"data.path={folder / 'air.nc'}",
        f"paths.runs={folder / 'runs'}",
        f"paths.stores={folder / 'stores'}",
        "run.name=a",
        *more,
    ]


def answer(*argv: str) -> tuple[int, Any, str]:
    """Exit status, JSON result (None without) and messages of a verb called in this process with --json."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run([*argv, "--json"])
        finally:
            close_logs()
    text = out.getvalue()
    return status, json.loads(text) if text.strip() else None, err.getvalue()


def close_logs() -> None:
    """Let go of the log files that a verb in this process has left open."""
    root = logging.getLogger()
    ours = (logging.FileHandler, logging.StreamHandler)
    for handler in [one for one in root.handlers if type(one) in ours]:
        root.removeHandler(handler)
        handler.close()


def result(*argv: str) -> Any:
    """What a verb that has to succeed returns."""
    status, found, said = answer(*argv)
    assert status == 0, said
    return found


def start(*argv: str, **environment: str) -> subprocess.Popen[str]:
    """A verb in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *argv],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,
    )


def _hear_ctrl_c() -> None:
    """A shell that runs tests in the background has its children ignore Ctrl-C; a person's does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def mlflow_runs(folder: Path, experiment: str = "tiny") -> tuple[Any, list[Any]]:
    """A client of the database in the runs folder below `folder`, and the runs that it holds."""
    uri = default_uri(folder / "runs")
    load_mlflow(uri, 30.0)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return client, list(client.search_runs([found.experiment_id])) if found else []


def losses(run: RunDir) -> list[dict[str, float]]:
    """The losses that a run has told its journal, in order."""
    records = [json.loads(line) for line in (run.tracking / "journal.jsonl").read_text().splitlines()]
    metrics = [record["metrics"] for record in records if record["kind"] == "metrics"]
    found = [{name: value for name, value in one.items() if name.endswith("/loss")} for one in metrics]
    return [one for one in found if one]
