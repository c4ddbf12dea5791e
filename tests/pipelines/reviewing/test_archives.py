"""What is read straight from the database is what MLflow finds; a server is asked for the same."""

from pathlib import Path

import pytest

from pipelines.reviewing.archive import Archive, Query, chosen_experiments, open_archive
from pipelines.reviewing.filters import mlflow_filter, read_filter
from pipelines.reviewing.names import Name, read_order
from pipelines.reviewing.server_archive import ServerArchive
from pipelines.reviewing.sqlite_archive import SqliteArchive
from tests.pipelines.mlflow_servers import free_port, mlflow_server
from tests.pipelines.reviewing.databases import mlflow_client, settings_of

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

FILTERS = (
    "",
    "test/rmse/air/24h<3",
    "test/rmse/air/24h>=3 and status=FINISHED",
    "test/rmse/air/24h != 2 and tags.skyreel.kind=retrain",
    "tags.skyreel.kind != retrain",
    "tags.skyreel.kind LIKE 'RE%'",
    "tags.skyreel.kind ILIKE 'RE%'",
    "name LIKE 'run-000%' and status != 'FAILED'",
    "name ILIKE 'RUN-0_1%'",
    "tags.note IS NOT NULL",
    "tags.note IS NULL and test/cider>0.5",
    "params.model.key_1=16 and params.model.key_2 != 4",
    "params.model.key_1 LIKE '1%'",
    "start_time>2025-10-09 and end_time<2025-10-09T10:00",
    "user=somebody and artifacts LIKE '/nowhere%'",
    "params.nothing=1",
)
ORDERS = (
    (None, []),
    ("test/rmse/air/24h", ["metrics.`test/rmse/air/24h` ASC"]),
    ("-test/cider", ["metrics.`test/cider` DESC"]),
    ("status", ["status ASC"]),
    ("age", ["start_time DESC"]),
    ("-tags.skyreel.kind", ["tags.`skyreel.kind` DESC"]),
)


@pytest.mark.parametrize("text", FILTERS)
def test_the_database_gives_the_runs_that_mlflow_gives(runs: Path, text: str) -> None:
    client, archive = mlflow_client(runs), open_archive(settings_of(runs))
    assert isinstance(archive, SqliteArchive)
    experiments = chosen_experiments(archive, None)
    ids = [one.experiment_id for one in client.search_experiments()]
    assert sorted(ids) == sorted(one.id for one in experiments)
    for asked, theirs in ORDERS[: len(ORDERS) if not text else 1]:
        terms = read_filter(text)
        query = Query(experiments, terms, read_order(asked) if asked else None)
        found = archive.find(query)
        expected = list(client.search_runs(ids, mlflow_filter(terms), order_by=theirs))
        assert [row.run_id for row in found.rows] == [run.info.run_id for run in expected], asked
        assert found.total == len(expected)
    archive.close()


def test_every_value_is_the_one_that_mlflow_gives(runs: Path) -> None:
    client, archive = mlflow_client(runs), open_archive(settings_of(runs))
    found = archive.find(Query(chosen_experiments(archive, "weather"), limit=10))
    for row in archive.details(found.rows, None):
        run = client.get_run(row.run_id)
        assert (row.name, row.status, row.start, row.end, row.user, row.artifacts) == (
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            run.info.user_id,
            run.info.artifact_uri,
        )
        assert (dict(row.params), dict(row.tags)) == (run.data.params, run.data.tags)
        assert {k: str(v) for k, v in row.metrics.items()} == {k: str(v) for k, v in run.data.metrics.items()}
    some = archive.details(found.rows[:1], [Name("tags", "skyreel.kind"), Name("metrics", "epoch")])[0]
    assert (set(some.tags), set(some.metrics), set(some.params)) == ({"skyreel.kind"}, {"epoch"}, set())


def same_as_the_database(asked: Archive, database: Archive) -> None:
    """Both archives give the same runs, names and experiments."""
    experiments = chosen_experiments(database, None)
    assert asked.experiments() == database.experiments()
    for text in (FILTERS[2], FILTERS[7], FILTERS[9], FILTERS[15]):
        for order in (None, "-test/rmse/air/24h", "-tags.skyreel.kind", "-duration", "experiment"):
            query = Query(experiments, read_filter(text), read_order(order) if order else None, 7)
            first, second = asked.find(query), database.find(query)
            assert [row.run_id for row in first.rows] == [row.run_id for row in second.rows], (text, order)
            assert asked.details(first.rows, None)[:3] == database.details(second.rows, None)[:3]
    for name, there in (("test/cider", True), ("test/none", False)):
        assert asked.holds(Name("metrics", name)) is database.holds(Name("metrics", name)) is there
    assert asked.holds(Name("tags", "skyreel.kind"))
    assert not asked.holds(Name("params", "skyreel.kind"))
    assert set(asked.names("tags")) == set(database.names("tags"))


def test_mlflow_s_client_is_asked_for_the_same(runs: Path) -> None:
    same_as_the_database(ServerArchive(settings_of(runs)), open_archive(settings_of(runs)))


def test_numbers_among_settings_are_sorted_as_numbers(runs: Path) -> None:
    archive = open_archive(settings_of(runs))
    query = Query(chosen_experiments(archive, None), (), read_order("params.model.key_7"))
    rows = archive.details(archive.find(query).rows, [Name("params", "model.key_7")])
    values = [int(row.params["model.key_7"]) for row in rows]
    assert values == sorted(values)
    assert set(values) == {4, 8, 16, 128}


@pytest.mark.slow
def test_a_server_is_asked_for_the_same(runs: Path, tmp_path: Path) -> None:
    port = free_port()
    with mlflow_server(runs, port):
        settings = settings_of(tmp_path, f"tracking.uri=http://127.0.0.1:{port}")
        archive = open_archive(settings)
        assert isinstance(archive, ServerArchive)
        same_as_the_database(archive, open_archive(settings_of(runs)))
