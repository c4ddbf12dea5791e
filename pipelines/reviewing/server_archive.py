"""Runs looked up through MLflow's client: of a tracking server, or of a database that is no file.

The server filters and sorts; it sorts settings and tags as texts ("10" before "9"). It knows no order by
duration or experiment: by those the runs are sorted here, which takes all pages of them.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from pipelines.redact import without_secrets
from pipelines.reviewing.archive import Experiment, Found, Query, Row
from pipelines.reviewing.filters import Term, mlflow_filter
from pipelines.reviewing.names import Kind, Name, Order
from pipelines.settings import Settings
from pipelines.tracking.destination import destination
from pipelines.tracking.server import load_mlflow

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 1000
PATIENCE = 30.0
SERVED = ("status", "start_time", "end_time", "run_id", "user_id", "artifact_uri", "run_name", "age")
"""Attributes that a server sorts by."""


class ServerArchive:
    """The runs at the settings' tracking address. InputError when it does not answer."""

    def __init__(self, settings: Settings) -> None:
        to = destination(settings)
        assert to is not None  # open_archive has seen to it
        load_mlflow(to.uri, PATIENCE)
        from mlflow import MlflowClient

        self._shown = to.shown
        self._client = MlflowClient(tracking_uri=to.uri, registry_uri=to.uri)
        self._names: dict[str, dict[Kind, set[str]]] = {}

    def experiments(self) -> list[Experiment]:
        """All that are not deleted, by name."""
        found = [Experiment(one.experiment_id, one.name) for one in self._pages("search_experiments")]
        return sorted(found, key=lambda one: one.name)

    def find(self, query: Query) -> Found:
        """The runs of a query, with everything that they hold."""
        order = query.order
        here = order is not None and not _served(order)
        words = {
            "experiment_ids": [one.id for one in query.experiments],
            "filter_string": mlflow_filter(query.terms),
            "order_by": [] if order is None or here else [_order_by(order)],
        }
        if not query.experiments:
            return Found((), 0)
        names = {one.id: one.name for one in query.experiments}
        limit = None if here else query.limit
        found = [
            _row(run, names.get(run.info.experiment_id, ""))
            for run in self._pages("search_runs", limit, **words)
        ]
        if here and order is not None:
            found = _sorted(found, order)
        rows = tuple(found[: query.limit])
        whole = here or limit is None or len(found) < limit
        return Found(rows, len(found) if whole else None)

    def details(self, rows: Sequence[Row], names: Sequence[Name] | None) -> list[Row]:
        """The same runs: a server sends all that it holds of each."""
        return list(rows)

    def holds(self, name: Name) -> bool:
        """Whether any run has it."""
        sign, value = (">=", -1e308) if name.kind == "metrics" else ("!=", "\n")
        experiments = tuple(self.experiments())
        return bool(self.find(Query(experiments, (Term(name, sign, value),), None, 1)).rows)

    def names(self, kind: Kind) -> list[str]:
        """The keys that the newest runs have."""
        rows = self.find(Query(tuple(self.experiments()), (), None, 200)).rows
        return sorted({key for row in rows for key in getattr(row, kind)})

    def _pages(self, search: str, limit: int | None = None, **words: Any) -> Iterator[Any]:
        """What a search of the client finds, page after page, `limit` at most."""
        token, left = None, limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self._ask(search, max_results=size, page_token=token, **words)
            yield from page
            token, left = page.token, None if left is None else left - len(page)
            if not token:
                return

    def _ask(self, search: str, **words: Any) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return getattr(self._client, search)(**words)
        except (MlflowException, OSError) as error:
            told = without_secrets(str(error)).splitlines()[0][:300]
            raise InputError(
                f"tracking.uri={self._shown}: the server does not answer this: {told}"
            ) from error


def _served(order: Order) -> bool:
    """Whether servers sort so."""
    return order.name.kind != "attributes" or order.name.key in SERVED


def _order_by(order: Order) -> str:
    """The order as MLflow takes it; age is the start, turned round."""
    name, descending = order.name, order.descending
    if name.kind != "attributes":
        key = f"{name.kind}.`{name.key}`"
    else:
        key = "start_time" if name.key == "age" else name.key
        descending = descending != (name.key == "age")
    return f"{key} {'DESC' if descending else 'ASC'}"


def _sorted(rows: list[Row], order: Order) -> list[Row]:
    """The rows by duration or experiment; without one last, the newest first among equals."""
    rows = sorted(rows, key=lambda row: (-(row.start or 0), row.run_id))
    if order.name.key == "experiment":
        return sorted(rows, key=lambda row: row.experiment, reverse=order.descending)
    known = [row for row in rows if row.seconds is not None]
    known.sort(key=lambda row: row.seconds or 0.0, reverse=order.descending)
    return [*known, *(row for row in rows if row.seconds is None)]


def _row(run: "Run", experiment: str) -> Row:
    info, data = run.info, run.data
    return Row(
        info.run_id,
        info.run_name or "",
        experiment,
        info.status,
        info.start_time,
        info.end_time,
        info.user_id or "",
        info.artifact_uri or "",
        dict(data.metrics),
        dict(data.params),
        dict(data.tags),
    )
