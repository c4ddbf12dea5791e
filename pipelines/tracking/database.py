"""The database that a run keeps beside itself: whole, or not there."""

from pathlib import Path

from pipelines.locking import Lock

SQLITE = "sqlite:///"
PATIENCE = 120.0
"""Seconds to wait for another process that makes the same database; it takes MLflow some 5."""


def make_database(uri: str) -> None:
    """Return once the SQLite file of `uri` is there; nothing to do for other addresses.

    MLflow makes a database in dozens of steps, and one that was cut off among them is of no use to anybody.
    So it is made beside its place, by one process at a time, and renamed. RuntimeError when another process
    takes too long over it.
    """
    path = Path(uri.removeprefix(SQLITE).partition("?")[0])
    if not uri.startswith(SQLITE) or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(path.with_name(f".{path.name}.lock"))
    if not lock.acquire(PATIENCE):
        raise RuntimeError(f"{path} is being made by {lock.holder()}")
    with lock:
        if not path.exists():
            _make(path)


def _make(path: Path) -> None:
    from mlflow import MlflowClient

    beside = path.with_name(f".{path.name}.new")
    for half in path.parent.glob(f"{beside.name}*"):
        half.unlink()
    uri = f"{SQLITE}{beside}"
    MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
    beside.rename(path)
