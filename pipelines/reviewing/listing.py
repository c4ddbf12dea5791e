"""`review list`, `best` and `export`: runs filtered and sorted, the best of them, all of them as a file."""

import csv
import io
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.reviewing.archive import (
    Archive,
    Query,
    Row,
    chosen_experiments,
    open_archive,
    require_known,
)
from pipelines.reviewing.columns import cell, default_columns, figure, first_to_drop, moment
from pipelines.reviewing.decisions import without_decisions
from pipelines.reviewing.filters import Term, read_filter
from pipelines.reviewing.names import (
    Name,
    Order,
    largest_is_best,
    read_name,
    read_names,
    read_order,
)
from pipelines.verbs import Call

log = logging.getLogger(__name__)

SHOWN = 20
"""Rows of a table where nobody says how many."""


def list_runs(call: Call) -> dict[str, Any]:
    """The runs of a call as a table, and as plain values; the newest first where nothing is sorted.

    Decisions of retraining are left out, and counted, unless the call asks for what they have.
    """
    archive = open_archive(call.settings)
    query, columns = read_query(call, archive, SHOWN)
    query, left_out = without_decisions(query, columns, archive)
    found = archive.find(query)
    sample = archive.details(found.rows[:SHOWN], None)
    chosen = columns if call.columns else _with_asked(default_columns(sample), query)
    whole = call.json and not call.columns
    rows = (
        sample if len(sample) == len(found.rows) else archive.details(found.rows, None if whole else chosen)
    )
    if not call.json:
        _show(rows, chosen, query, found.total, [] if call.columns else _droppable(chosen, query))
        if left_out.count:
            _say(str(left_out))
    plain = [as_plain(row, None if whole else chosen) for row in rows]
    names = [str(name) for name in chosen]
    return {"runs": plain, "total": found.total, "decisions_left_out": left_out.count, "columns": names}


def best_run(call: Call) -> dict[str, Any]:
    """The best run by `metric=`, with its directory where it lies here."""
    archive = open_archive(call.settings)
    order, told = _best_order(call.metric or "")
    query, _ = read_query(call, archive, 1, order)
    require_known(archive, "metric", [order.name])
    measured = Term(order.name, ">" if order.descending else "<", -1e308 if order.descending else 1e308)
    query = Query(query.experiments, (*query.terms, measured), order, 1)
    found = archive.find(query)
    if not found.rows:
        raise InputError(
            f"metric={call.metric}: none of the runs that are asked for has a figure {order.name}"
        )
    row = archive.details(found.rows, None)[0]
    value = row.metrics[order.name.key]
    folder = _directory(row, Path(call.settings.paths.runs))
    if not call.json:
        _show_best(row, order.name, value, told, folder, call)
    plain = {**as_plain(row, None), "metric": order.name.key, "value": _finite(value)}
    return {**plain, "run": None if folder is None else str(folder)}


def export_runs(call: Call) -> dict[str, Any]:
    """All runs of the call written to `output=`, by its ending: .csv or .json."""
    from pipelines.rundir import write_json, write_text

    path = Path(call.output or "")
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(
            f"output={path}: runs are exported as .csv or .json; let the name end in one of them"
        )
    archive = open_archive(call.settings)
    query, columns = read_query(call, archive, None)
    names = columns if call.columns else None
    rows = archive.details(archive.find(query).rows, names)
    if path.suffix.lower() == ".json":
        write_json(path, {"runs": [as_plain(row, names) for row in rows]})
    else:
        write_text(path, _as_csv(rows, names))
    log.info("%s: %d runs", path, len(rows))
    return {"output": str(path), "runs": len(rows)}


def read_query(
    call: Call, archive: Archive, limit: int | None, order: Order | None = None
) -> tuple[Query, list[Name]]:
    """What the call asks for, every name in it checked; `limit` and `order` where it does not say."""
    terms = read_filter(call.filter)
    order = read_order(call.sort) if call.sort else order
    columns = read_names(call.columns or "")
    experiments = chosen_experiments(archive, call.experiment)
    require_known(archive, "filter", [term.name for term in terms])
    require_known(archive, "sort", [order.name] if call.sort and order else [])
    require_known(archive, "columns", columns)
    return Query(experiments, terms, order, _limit(call.limit, limit)), columns


def as_plain(row: Row, names: Sequence[Name] | None) -> dict[str, Any]:
    """A run as plain values: attributes, and the metrics, params and tags of `names` (None: all)."""
    found: dict[str, Any] = {
        "run_id": row.run_id,
        "name": row.name,
        "experiment": row.experiment,
        "status": row.status,
        "started": moment(row.start),
        "ended": moment(row.end),
        "seconds": row.seconds,
        "user": row.user,
        "artifacts": row.artifacts,
    }
    for kind in ("metrics", "params", "tags"):
        held: Mapping[str, Any] = getattr(row, kind)
        keys = sorted(held) if names is None else [name.key for name in names if name.kind == kind]
        values = {key: held[key] for key in keys if key in held}
        found[kind] = {key: _finite(value) for key, value in values.items()} if kind == "metrics" else values
    return found


def _finite(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return value if math.isfinite(value) else None


def _as_csv(rows: Sequence[Row], names: Sequence[Name] | None) -> str:
    """A line a run: its attributes, then metrics.NAME, params.NAME, tags.NAME; empty where it has none."""
    plain = [as_plain(row, names) for row in rows]
    attributes = [
        key
        for key in as_plain(Row("", "", "", "", None, None), [])
        if key not in ("metrics", "params", "tags")
    ]
    keys = [
        (kind, key)
        for kind in ("metrics", "params", "tags")
        for key in sorted({key for one in plain for key in one[kind]})
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*attributes, *(f"{kind}.{key}" for kind, key in keys)])
    for one in plain:
        values = [one[key] for key in attributes] + [one[kind].get(key) for kind, key in keys]
        writer.writerow(["" if value is None else value for value in values])
    return text.getvalue()


def _limit(text: str | None, otherwise: int | None) -> int | None:
    if text is None:
        return otherwise
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"limit={text}: this must be a whole number of at least 1")
    return int(text)


def _with_asked(columns: list[Name], query: Query) -> list[Name]:
    """The columns, and before the figures what the runs are sorted and filtered by."""
    new = [name for name in _asked(query) if name not in columns and name.key != "start_time"]
    first = next((i for i, name in enumerate(columns) if name.kind == "metrics"), len(columns))
    return [*columns[:first], *new, *columns[first:]]


def _asked(query: Query) -> list[Name]:
    """What the runs are sorted by, or filtered by so that it differs among them."""
    found = [query.order.name] if query.order else []
    terms = [one for one in query.terms if one.comparator not in ("=", "IS NULL")]
    return list(dict.fromkeys([*found, *(one.name for one in terms)]))


def _droppable(columns: Sequence[Name], query: Query) -> list[Name]:
    return [name for name in first_to_drop(columns) if name not in _asked(query)]


def _show(
    rows: Sequence[Row], columns: Sequence[Name], query: Query, total: int | None, droppable: Sequence[Name]
) -> None:
    from rich.console import Console

    from pipelines.reviewing.table import show_runs

    console = Console()
    if not rows:
        console.print("no run is like that", highlight=False)
        return
    show_runs(rows, columns, console, time.time(), droppable)
    if total is None or total > len(rows):
        of = f" of {total:,}" if total is not None else ""
        order = query.order
        way = "the newest" if order is None else f"the first by {order.name}"
        _say(f"{len(rows)}{of} runs, {way}; limit= shows more")


def _say(line: str) -> None:
    from rich.console import Console

    Console().print(line, highlight=False, markup=False, soft_wrap=True)


def _best_order(metric: str) -> tuple[Order, str]:
    """How the best comes first, and why so; a name that tells which way is better needs no sign."""
    name = read_name(metric.lstrip("-"))
    if name.kind != "metrics":
        raise InputError(f"metric={metric}: the best run is chosen by a figure, not by {name}")
    if metric.startswith("-"):
        return Order(name, True), "largest"
    largest = largest_is_best(name)
    return Order(name, bool(largest)), "largest" if largest else "smallest"


def _directory(row: Row, runs: Path) -> Path | None:
    """The run directory below `runs` that this run was tracked from."""
    from pipelines.find_run import find_run
    from pipelines.provenance import read
    from pipelines.rundir import RunDir

    near = runs / row.experiment / row.name
    try:
        if (near / "config.yaml").exists() and read(RunDir(near)).get("mlflow", {}).get(
            "run_id"
        ) == row.run_id:
            return near.absolute()
        return find_run(row.run_id, runs).path
    except (InputError, OSError):
        return None


def _show_best(row: Row, name: Name, value: float, told: str, folder: Path | None, call: Call) -> None:
    from rich.console import Console

    from pipelines.console import shown_path

    console = Console()
    age = cell(row, Name("attributes", "age"), time.time())
    lines = [
        f"{row.experiment}/{row.name}: {name} {figure(value)} ({told} is best), {row.status.lower()}, "
        f"begun {age} ago"
    ]
    if folder is None:
        lines.append(f"its directory is not below {call.settings.paths.runs}; its MLflow id is {row.run_id}")
    else:
        lines.append(f"  skyreel review compare runs={shown_path(folder)},OTHER")
        lines.append(f"  skyreel predict run={shown_path(folder)} output=FILE")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
