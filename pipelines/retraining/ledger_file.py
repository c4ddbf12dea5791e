"""The sqlite file of the ledger: its tables, and transactions that are on disk or have not happened.

Every transaction has a connection of its own. Writers wait for each other. The journal is a rollback journal
(no WAL, which needs shared memory), so that the file may lie on a disk that several machines share.
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.rundir import writable

VERSION = 1
"""Of the schema (`PRAGMA user_version`); a file of a later one is refused."""
PATIENCE = 60.0
"""Seconds that a writer waits for the others."""

SCHEMA = (
    """CREATE TABLE shots (
        shot INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, model TEXT, now TEXT NOT NULL,
        began TEXT NOT NULL, ended TEXT, step TEXT, outcome TEXT, reason TEXT, champion INTEGER,
        challenger INTEGER, former INTEGER, mlflow_run_id TEXT, notes TEXT NOT NULL DEFAULT '{}',
        decision TEXT)""",
    "CREATE INDEX shots_of_job ON shots (job, shot)",
    """CREATE TABLE moves (
        shot INTEGER PRIMARY KEY, model TEXT NOT NULL, move TEXT NOT NULL, noted TEXT NOT NULL)""",
    """CREATE TABLE firings (
        job TEXT NOT NULL, due TEXT NOT NULL, status TEXT NOT NULL, noted TEXT NOT NULL,
        PRIMARY KEY (job, due))""",
    """CREATE VIEW decisions AS SELECT
        shot, job, model, outcome, reason, champion, challenger, former, now, began, ended, mlflow_run_id
        FROM shots WHERE outcome IS NOT NULL ORDER BY shot DESC""",
)


class LedgerFile:
    """The file at `path`, which the first writer makes. Safe with several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which nobody else writes, with the tables there; undone by an error."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect("rwc")) as to:
            self._version(to)
            to.execute("BEGIN IMMEDIATE")
            try:
                if self._version(to) == 0:
                    for statement in SCHEMA:
                        to.execute(statement)
                    to.execute(f"PRAGMA user_version = {VERSION}")
                yield to
            except BaseException:
                to.execute("ROLLBACK")
                raise
            to.execute("COMMIT")

    def read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of a query; none where there is no ledger yet, which this does not make."""
        if not self.path.exists():
            return []
        with closing(self._connect("rw")) as to:
            return to.execute(query, values).fetchall() if self._version(to) else []

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        to = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        to.row_factory = sqlite3.Row
        return to

    def _version(self, to: sqlite3.Connection) -> int:
        """The version of the file's schema; 0 for a new file. Errors: InputError."""
        try:
            version = int(to.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} is not the ledger of retraining ({error}); set it aside, and shots begin a "
                "new one, or choose other runs with paths.runs="
            ) from None
        if version > VERSION:
            raise InputError(
                f"{self.path} was written by a newer skyreel (schema {version}; this one knows {VERSION}); "
                "install that one, or choose other runs with paths.runs="
            )
        return version


def as_text(value: Any) -> str:
    """`value` as JSON that sqlite can read: what is not finite is null."""
    return writable(json.dumps(_finite(value), ensure_ascii=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
