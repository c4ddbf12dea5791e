"""Runs read from MLflow's database file with SQL, and nothing written to it.

MLflow itself takes a second to be imported and reads every figure and setting of every run that it returns;
a table shows a handful of them. The tables are those of MLflow 3: experiments, runs, latest_metrics, params,
tags. What a filter means is what MLflow means by it (`SqlAlchemyStore`); settings and tags that are numbers
are sorted as numbers.
"""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.reviewing.archive import Experiment, Found, Query, Row
from pipelines.reviewing.filters import Term
from pipelines.reviewing.names import Kind, Name, Order

TABLES: dict[Kind, str] = {"metrics": "latest_metrics", "params": "params", "tags": "tags"}
ATTRIBUTES = {
    "status": "r.status",
    "start_time": "r.start_time",
    "end_time": "r.end_time",
    "run_id": "r.run_uuid",
    "user_id": "r.user_id",
    "artifact_uri": "r.artifact_uri",
    "run_name": "r.name",
    "experiment": "e.name",
    "age": "-r.start_time",
    "duration": "r.end_time - r.start_time",
}
FROM = "FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id"
RUN_NAME = "mlflow.runName"
AT_ONCE = 500
PATIENCE = 10.0
"""Seconds to wait for somebody who writes."""


class SqliteArchive:
    """The runs in MLflow's database at `path`. InputError when it is absent or no such database."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InputError(
                f"{path}: there is no such database, so no run was tracked there; set paths.runs= to the "
                "folder of the runs, or tracking.uri="
            )
        self.path = path
        # Not mode=ro: a writer that was killed leaves a journal that the next reader has to roll back.
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None
        )
        self._connection.create_function("as_number", 1, _as_number, deterministic=True)
        self._ask("PRAGMA query_only = ON")
        self._ask("PRAGMA case_sensitive_like = ON")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def experiments(self) -> list[Experiment]:
        """All that are not deleted, by name."""
        rows = self._ask(
            "SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active' ORDER BY name"
        )
        return [Experiment(str(number), name) for number, name in rows]

    def find(self, query: Query) -> Found:
        """The runs of a query, with their attributes, and how many there are in all."""
        where, values = _where(query)
        join, by, joined = _order(query.order)
        total = self._ask(f"SELECT COUNT(*) {FROM} WHERE {where}", values)[0][0]
        rows = self._ask(
            "SELECT r.run_uuid, r.name, e.name, r.status, r.start_time, r.end_time, r.user_id, "
            f"r.artifact_uri {FROM} {join} WHERE {where} ORDER BY {by} LIMIT ?",
            [*joined, *values, -1 if query.limit is None else query.limit],
        )
        return Found(tuple(_row(*row) for row in rows), total)

    def details(self, rows: Sequence[Row], names: Sequence[Name] | None) -> list[Row]:
        """The same runs with the values of `names`; of everything where that is None."""
        found = {kind: self._values(kind, rows, names) for kind in TABLES}
        return [
            replace(
                row,
                metrics=found["metrics"].get(row.run_id, {}),
                params=found["params"].get(row.run_id, {}),
                tags=found["tags"].get(row.run_id, {}),
            )
            for row in rows
        ]

    def holds(self, name: Name) -> bool:
        """Whether any run has it."""
        table = TABLES[name.kind]
        return bool(self._ask(f"SELECT 1 FROM {table} WHERE key = ? LIMIT 1", [name.key]))

    def names(self, kind: Kind) -> list[str]:
        """The keys that runs have, one look in the index for each."""
        table = TABLES[kind]
        rows = self._ask(
            f"WITH RECURSIVE found(key) AS (SELECT MIN(key) FROM {table} UNION ALL SELECT (SELECT MIN(key) "
            f"FROM {table} t WHERE t.key > found.key) FROM found WHERE found.key IS NOT NULL) "
            "SELECT key FROM found WHERE key IS NOT NULL"
        )
        return [row[0] for row in rows]

    def _values(
        self, kind: Kind, rows: Sequence[Row], names: Sequence[Name] | None
    ) -> dict[str, dict[str, Any]]:
        """By run and key, the values of `names` of this kind."""
        keys = None if names is None else [name.key for name in names if name.kind == kind]
        found: dict[str, dict[str, Any]] = {}
        if keys == []:
            return found
        value = "CASE is_nan WHEN 0 THEN value END" if kind == "metrics" else "value"
        asked = "" if keys is None else f" AND key IN ({_marks(keys)})"
        for some in _chunks([row.run_id for row in rows]):
            command = f"SELECT run_uuid, key, {value} FROM {TABLES[kind]} WHERE run_uuid IN ({_marks(some)})"
            for run, key, held in self._ask(command + asked, [*some, *(keys or ())]):
                found.setdefault(run, {})[key] = math.nan if held is None and kind == "metrics" else held
        return found

    def _ask(self, command: str, values: Sequence[object] = ()) -> list[tuple]:
        try:
            return self._connection.execute(command, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path}: not a database of MLflow 3 that can be read ({error}); set tracking.uri= or "
                "paths.runs=, or look again when nobody changes it"
            ) from error


def _row(
    run_id: str,
    name: str | None,
    experiment: str,
    status: str,
    start: int | None,
    end: int | None,
    user: str | None,
    artifacts: str | None,
) -> Row:
    return Row(run_id, name or "", experiment, status, start, end, user or "", artifacts or "")


def _where(query: Query) -> tuple[str, list[object]]:
    """The condition of a query and its values."""
    ids = [int(one.id) for one in query.experiments]
    parts = [f"r.lifecycle_stage = 'active' AND r.experiment_id IN ({_marks(ids)})"]
    values: list[object] = [*ids]
    for term in query.terms:
        part, more = _condition(term)
        parts.append(part)
        values += more
    return " AND ".join(parts), values


def _condition(term: Term) -> tuple[str, list[object]]:
    """One comparison as SQL; a run that lacks the key fulfils none but IS NULL."""
    name, sign, value = term.name, term.comparator, term.value
    if name.kind == "attributes" and name.key != "run_name":
        return _compared(ATTRIBUTES[name.key], sign, value)
    if name.kind == "attributes":
        name = Name("tags", RUN_NAME)
    inside = f"SELECT 1 FROM {TABLES[name.kind]} t WHERE t.run_uuid = r.run_uuid AND t.key = ?"
    if value is None:
        return f"{'NOT ' if sign == 'IS NULL' else ''}EXISTS ({inside})", [name.key]
    test, values = _compared("t.value", sign, value)
    if name.kind == "metrics":
        test = f"({test} OR t.is_nan)" if sign == "!=" else f"({test} AND NOT t.is_nan)"
    return f"EXISTS ({inside} AND {test})", [name.key, *values]


def _compared(column: str, sign: str, value: object) -> tuple[str, list[object]]:
    if isinstance(value, tuple):
        return f"{column} {sign} ({_marks(value)})", [*value]
    if sign == "ILIKE":
        return f"lower({column}) LIKE lower(?)", [value]
    return f"{column} {sign} ?", [value]


def _order(order: Order | None) -> tuple[str, str, list[object]]:
    """The join that an order needs, the ORDER BY and the join's values; newest first among equals."""
    last = "r.start_time DESC, r.run_uuid"
    if order is None:
        return "", last, []
    name, way = order.name, "DESC" if order.descending else "ASC"
    if name.kind == "attributes":
        column = ATTRIBUTES[name.key]
        return "", f"{column} IS NULL, {column} {way}, {last}", []
    join = f"LEFT JOIN {TABLES[name.kind]} s ON s.run_uuid = r.run_uuid AND s.key = ?"
    if name.kind == "metrics":
        return join, f"s.is_nan IS NULL, s.is_nan, s.value {way}, {last}", [name.key]
    number = "as_number(s.value)"
    return join, f"s.value IS NULL, {number} IS NULL, {number} {way}, s.value {way}, {last}", [name.key]


def _as_number(text: str | None) -> float | None:
    """The number that a text is; None for other texts and for NaN."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _chunks(items: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some
