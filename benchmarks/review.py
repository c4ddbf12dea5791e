"""Seconds that `skyreel review` takes over a database of 10,000 runs, the start of the process included.

    python benchmarks/review.py [--runs 10000] [--folder FOLDER] [--server]

The database is MLflow's own, made by it; its rows are inserted in bulk: each run has 40 figures, 60
settings and 8 tags. Each call is a process of its own, the best and the worst of several are printed.
`--server` asks an `mlflow server` before the same database too.
"""

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ("weather", "clips", "sample_weather", "sample_clips")
LEADS = ("6h", "12h", "24h", "48h", "72h")
WHO = ("test", "reference/persistence", "reference/climatology", "reference/linear")
PARAMS = 60
CALLS = {
    "list": ("list",),
    "list, one experiment, sorted": ("list", "experiment=weather", "sort=test/rmse/air/24h"),
    "list, filtered by figure and tag": (
        "list",
        "filter=test/rmse/air/24h<2 and tags.skyreel.kind=retrain and status=FINISHED",
        "sort=-test/skill_persistence/air/72h",
    ),
    "list, sorted by a setting": ("list", "sort=params.model.key_7", "columns=name,params.model.key_7"),
    "list, 1,000 rows": ("list", "limit=1000"),
    "best": ("best", "experiment=weather", "metric=test/rmse/air/24h"),
    "a wrong name": ("list", "sort=test/rmse/air/25h"),
}


def make_database(folder: Path, runs: int = 10_000, seed: int = 0) -> str:
    """The address of MLflow's database in `folder`, with so many runs in four experiments."""
    from pipelines.tracking.database import make_database as make
    from pipelines.tracking.server import default_uri, load_mlflow

    uri = default_uri(folder)
    load_mlflow(uri, 60.0)
    make(uri)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    ids = [int(client.create_experiment(name, str(folder / "mlartifacts"))) for name in EXPERIMENTS]
    with sqlite3.connect(folder / "mlflow.db") as connection:
        _fill(connection, ids, runs, random.Random(seed))
    connection.close()
    return uri


def _fill(connection: sqlite3.Connection, ids: Sequence[int], runs: int, chance: random.Random) -> None:
    """Insert the runs as MLflow's tables hold them."""
    begin = 1_760_000_000_000
    some = [(f"{chance.getrandbits(128):032x}", ids[n % len(ids)], n) for n in range(runs)]
    connection.executemany(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
        "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
        "VALUES (?, ?, 'UNKNOWN', '', '', 'somebody', ?, ?, ?, '', 'active', ?, ?)",
        (
            (
                run,
                f"run-{n:05d}",
                "FINISHED" if n % 9 else "FAILED",
                begin + 60_000 * n,
                begin + 60_000 * n + 45_000,
                f"/nowhere/{run}",
                of,
            )
            for run, of, n in some
        ),
    )
    connection.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
        "VALUES (?, ?, ?, 1, ?, ?)",
        (
            (key, value, begin + 60_000 * n, n % 500 == 3, run)
            for run, _, n in some
            for key, value in _figures(n, chance)
        ),
    )
    connection.executemany(
        "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
        (
            (f"model.key_{k}", str(chance.choice((4, 8, 16, 128))), run)
            for run, _, _ in some
            for k in range(PARAMS)
        ),
    )
    connection.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
        (
            (key, value, run)
            for run, _, n in some
            for key, value in (
                ("mlflow.runName", f"run-{n:05d}"),
                ("mlflow.user", "somebody"),
                ("mlflow.source.name", "skyreel train experiment=sample_weather"),
                ("mlflow.source.type", "LOCAL"),
                ("mlflow.source.git.commit", "0" * 40),
                ("skyreel.run_key", uuid.UUID(int=n).hex),
                ("skyreel.kind", "retrain" if n % 5 == 0 else "train"),
                ("skyreel.job", "weather"),
            )
        ),
    )


def _figures(n: int, chance: random.Random) -> Iterator[tuple[str, float]]:
    """Some 40 figures of a forecaster, or of a captioner."""
    if n % 2:
        for who in (
            "test",
            "reference/human",
            "reference/nearest",
            "reference/constant",
            "reference/frequent",
        ):
            for score in ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d"):
                yield f"{who}/{score}", chance.random()
        yield "validation/cider", chance.random()
    else:
        for lead in LEADS:
            for who in WHO:
                yield f"{who}/rmse/air/{lead}", chance.uniform(1, 5)
                yield f"{who}/mae/air/{lead}", chance.uniform(1, 5)
            yield f"test/skill_persistence/air/{lead}", chance.random()
        yield "validation/loss", chance.random()
    yield "train/loss", chance.random()
    yield "epoch", float(n % 40)


def timed(*words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds of a call in a process of its own, and what came of it."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "review", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    return time.perf_counter() - began, done


def measure(times: int, *place: str) -> dict[str, list[float]]:
    """Seconds of every call, `times` times over."""
    found: dict[str, list[float]] = {}
    for _ in range(times):
        for name, words in CALLS.items():
            found.setdefault(name, []).append(timed(*words, *place)[0])
    return found


def _print(title: str, found: dict[str, list[float]]) -> None:
    sys.stdout.write(f"{title}\n")
    for name, seconds in found.items():
        sys.stdout.write(f"  {name:<36} {min(seconds):6.2f} to {max(seconds):.2f} s\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--server", action="store_true", help="also through an mlflow server")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "mlflow.db").exists():
            began = time.perf_counter()
            make_database(folder, asked.runs)
            sys.stdout.write(f"{asked.runs} runs made in {time.perf_counter() - began:.0f} s\n")
        found = {"database": measure(asked.times, f"paths.runs={folder}")}
        _print("SQLite", found["database"])
        if asked.server:
            from tests.pipelines.mlflow_servers import free_port, mlflow_server

            port = free_port()
            with mlflow_server(folder, port):
                place = [f"tracking.uri=http://127.0.0.1:{port}", f"paths.runs={folder}"]
                found["server"] = measure(asked.times, *place)
            _print("server", found["server"])
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
