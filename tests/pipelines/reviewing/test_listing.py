"""Runs are listed, chosen and exported as they are in MLflow; mistakes are told with the nearest name."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipelines.reviewing.archive import Row
from pipelines.reviewing.columns import default_columns, first_to_drop, lead_order, main_figures, short_time
from pipelines.reviewing.table import show_runs
from tests.pipelines.conftest import Trained
from tests.pipelines.reviewing.databases import mlflow_client
from tests.pipelines.small_files import answer, close_logs, result, start

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def review(runs: Path, *words: str) -> Any:
    """The result of a review, which has to succeed."""
    return result("review", *words, f"paths.runs={runs}")


def refused(runs: Path, *words: str) -> str:
    """What a review says that is a mistake in the call."""
    status, _, said = answer("review", *words, f"paths.runs={runs}")
    assert status == 2, said
    return said


def drawn(rows: list[Row], width: int, *, terminal: bool) -> list[str]:
    console = Console(width=width, force_terminal=terminal, record=True, color_system=None)
    with console.capture() as caught:
        columns = default_columns(rows)
        show_runs(rows, columns, console, 1_760_000_100.0, first_to_drop(columns))
    return caught.get().splitlines()


def row(name: str, experiment: str = "weather", **metrics: float) -> Row:
    begun = 1_760_000_000_000
    return Row(
        name, name, experiment, "FINISHED", begun, begun + 65_000, metrics={**metrics}, params={}, tags={}
    )


FORECAST = {
    "validation/loss": 1.2345678,
    "test/rmse/air/6h": 0.5,
    "test/rmse/air/72h": 2.25,
    "test/rmse/air/24h": 1.5,
    "test/skill_persistence/air/72h": 0.4,
    "epoch": 3.0,
}
CAPTION = {"validation/cider": 0.3, "test/cider": 0.31, "test/bleu_4": 0.2, "train/loss": 3.0}


def test_a_filter_and_an_order_give_the_runs_that_mlflow_gives(runs: Path) -> None:
    found = review(
        runs,
        "list",
        "experiment=weather",
        "filter=test/rmse/air/24h<4 and status=FINISHED",
        "sort=-test/rmse/air/24h",
        "limit=5",
    )
    client = mlflow_client(runs)
    there = client.search_runs(
        [client.get_experiment_by_name("weather").experiment_id],
        "metrics.`test/rmse/air/24h` < 4 and status = 'FINISHED'",
        order_by=["metrics.`test/rmse/air/24h` DESC"],
    )
    assert [one["run_id"] for one in found["runs"]] == [run.info.run_id for run in there[:5]]
    assert found["total"] == len(there)
    assert found["runs"][0]["metrics"] == there[0].data.metrics
    assert found["runs"][0]["started"].startswith("2025-10-")


def test_the_best_run_is_the_best(runs: Path) -> None:
    client = mlflow_client(runs)
    there = client.search_runs([client.get_experiment_by_name("clips").experiment_id])
    scores = [run.data.metrics["test/cider"] for run in there]
    scores = [score for score in scores if score == score]
    found = review(runs, "best", "experiment=clips", "metric=test/cider")
    assert found["value"] == max(scores)
    assert found["run"] is None
    assert review(runs, "best", "metric=-test/cider")["value"] == max(scores)
    losses = review(runs, "list", "sort=validation/loss", "limit=1")["runs"][0]["metrics"]["validation/loss"]
    assert review(runs, "best", "metric=validation/loss")["value"] == losses


def test_a_run_with_a_directory_is_found_there(trained: Trained) -> None:
    found = review(trained.folder / "runs", "best", "experiment=tiny", "metric=test/rmse/air/6h")
    assert found["run"] == str(trained.run.path)
    assert found["value"] == json.loads(trained.run.metrics.read_text())["test/rmse/air/6h"]


def test_mistakes_are_told_with_the_nearest_name(runs: Path) -> None:
    assert "did you mean experiment=weather?" in refused(runs, "list", "experiment=wether")
    assert "did you mean test/rmse/air/24h?" in refused(runs, "list", "sort=test/rmse/air/25h")
    assert "did you mean tags.skyreel.kind?" in refused(runs, "list", "filter=tags.skyreel.kin=retrain")
    assert "did you mean params.model.key_7?" in refused(runs, "list", "columns=params.model.kee_7")
    assert "did you mean test/cider?" in refused(runs, "best", "metric=test/sider")
    assert "limit=0: this must be" in refused(runs, "list", "limit=0")
    assert ".csv or .json" in refused(runs, "export", "output=runs.xlsx")
    assert "review best needs this" in refused(runs, "best")
    assert "review list does not take this" in refused(runs, "list", "output=a.csv")
    assert "no run was tracked there" in refused(runs / "elsewhere", "list")
    assert "tracking=none" in refused(runs, "list", "tracking=none")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, but a text that is longer than a header\n" * 9)
    assert "not a database of MLflow 3" in refused(tmp_path, "list")


def test_an_export_holds_every_run_and_every_value(runs: Path, tmp_path: Path) -> None:
    review(runs, "export", f"output={tmp_path / 'all.json'}")
    review(runs, "export", f"output={tmp_path / 'all.csv'}")
    plain = json.loads((tmp_path / "all.json").read_text())["runs"]
    with (tmp_path / "all.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(plain) == len(lines) == review(runs, "list")["total"]
    for one, line in zip(plain, lines, strict=True):
        assert line["run_id"] == one["run_id"]
        assert {key: value for key, value in line.items() if key.startswith("tags.") and value} == {
            f"tags.{key}": value for key, value in one["tags"].items()
        }
        assert all(float(line[f"metrics.{key}"]) == value for key, value in one["metrics"].items() if value)
    review(
        runs, "export", f"output={tmp_path / 'few.csv'}", "columns=test/cider,tags.skyreel.kind", "limit=3"
    )
    header, *rest = (tmp_path / "few.csv").read_text().splitlines()
    assert header.endswith("metrics.test/cider,tags.skyreel.kind") or header.endswith(",tags.skyreel.kind")
    assert len(rest) == 3


def test_the_columns_are_those_that_tell_most_of_each_system() -> None:
    forecast, caption = row("a", **FORECAST), row("b", "clips", **CAPTION)
    assert [str(name) for name in default_columns([forecast])] == [
        "run_name",
        "status",
        "age",
        "duration",
        "validation/loss",
        "test/rmse/air/6h",
        "test/rmse/air/72h",
        "test/skill_persistence/air/72h",
    ]
    assert main_figures(CAPTION) == ["validation/cider", "test/cider", "test/bleu_4"]
    both = [str(name) for name in default_columns([forecast, caption])]
    assert {"test/rmse/air/72h", "test/cider"} <= set(both)
    assert sorted(["1mo", "24h", "6h"], key=lead_order) == ["6h", "24h", "1mo"]
    assert [short_time(seconds) for seconds in (3, 61, 7300, 200_000)] == ["3s", "1m", "2h", "2d"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_fits_into_eighty_columns(terminal: bool) -> None:
    rows = [
        row("challenger-0001", **FORECAST),
        row("b[red]", "sample_clips", **CAPTION),
        row("c", **{"test/rmse/air/6h": float("nan")}),
    ]
    lines = drawn(rows, 80, terminal=terminal)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "b[red]" in text
    assert "2.25" in text
    assert "0.31" in text
    assert "1m" in text


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("length", [30, 60, 100])
def test_a_run_is_called_in_one_piece_as_other_verbs_take_it(length: int, terminal: bool) -> None:
    name = "challenger-" + "0123456789" * (length // 10)
    lines = drawn([row(name, **FORECAST), row("b", **FORECAST)], 80, terminal=terminal)
    (whole,) = [line for line in lines if "challenger-" in line]
    assert whole.startswith(f"weather/{name}")
    assert sum(bool(line.strip()) for line in lines[-2:]) == 2
    assert max(len(line.rstrip()) for line in lines) <= max(80, len(f"weather/{name}"))


def shown(runs: Path, *words: str) -> str:
    """What a review prints in a terminal of 80 columns that is none."""
    process = start("review", *words, f"paths.runs={runs}", COLUMNS="80")
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        close_logs()
    assert process.returncode == 0, err
    return out


def test_what_the_list_prints_can_be_given_back(trained: Trained) -> None:
    runs = trained.folder / "runs"
    name = shown(runs, "list", "limit=1").splitlines()[-1].split()[0]
    assert result("review", "compare", f"runs={name},{name}", f"paths.runs={runs}")["runs"][0]["judged"]


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with two trained runs, one without a kind, and three decisions."""
    folder = tmp_path_factory.mktemp("decided")
    client = mlflow_client(folder)
    experiment = client.create_experiment("maps", str(folder / "mlartifacts"))
    for name, kind, outcome in (
        ("first", "train", None),
        ("older", None, None),
        ("job-0001-promoted", "retrain", "promoted"),
        ("job-0002-refused", "retrain", "refused"),
        ("job-0003-rolled_back", "retrain", "rolled_back"),
    ):
        tags = {"skyreel.kind": kind, "skyreel.outcome": outcome}
        run = client.create_run(
            experiment, run_name=name, tags={key: value for key, value in tags.items() if value}
        )
        client.log_metric(run.info.run_id, "gate/gain" if outcome else "validation/loss", 0.25)
        client.set_terminated(run.info.run_id)
    return folder


def test_decisions_of_retraining_are_left_out_and_told(decided: Path) -> None:
    found = review(decided, "list")
    assert {one["name"] for one in found["runs"]} == {"first", "older"}
    assert (found["total"], found["decisions_left_out"]) == (2, 3)
    lines = shown(decided, "list").splitlines()
    assert lines[-1] == "3 decisions of retraining are left out; filter=tags.skyreel.kind=retrain shows them"
    assert not any("outcome" in line for line in lines)


def test_decisions_that_are_asked_for_are_shown_with_their_outcome(decided: Path) -> None:
    found = review(decided, "list", "filter=tags.skyreel.kind=retrain")
    assert (found["total"], found["decisions_left_out"]) == (3, 0)
    out = shown(decided, "list", "filter=tags.skyreel.kind=retrain")
    assert "left out" not in out
    header, *lines = [line for line in out.splitlines() if line.strip()]
    assert "took" not in header
    assert "gate/gain" in header
    refused_line = next(line for line in lines if "0002" in line)
    assert refused_line.split()[:2] == ["maps/job-0002-refused", "refused"]
    assert review(decided, "list", "filter=name LIKE 'job-%'")["total"] == 3
    assert review(decided, "list", "sort=-gate/gain")["total"] == 5
    assert review(decided, "list", "columns=name,tags.skyreel.outcome")["total"] == 5


@pytest.mark.parametrize("width", [40, 200])
def test_what_is_asked_for_is_never_left_out(runs: Path, width: int) -> None:
    words = ("columns=name,run_id,test/rmse/air/72h,params.model.key_59,tags.mlflow.user", "limit=2")
    process = start("review", "list", f"paths.runs={runs}", "experiment=weather", *words, COLUMNS=str(width))
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        close_logs()
    assert process.returncode == 0, err
    assert "somebody" in out
    assert "2 of 1" in out
    assert any(len(word) == 32 for word in out.split())
