"""MLflow's own pages of a run, of two side by side and of a model, in a real browser on a real server."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from pipelines.registry.registry import Registry
from pipelines.reports.describe import describe_end, describe_start
from pipelines.rundir import RunDir
from pipelines.tracking.sender import Destination
from pipelines.tracking.session import tracked
from tests.pipelines.conftest import Trained
from tests.pipelines.mlflow_servers import free_port, mlflow_server
from tests.pipelines.reports.browser import chromium, opened

pytestmark = pytest.mark.slow

NOISE = (
    "/ajax-api/2.0/mlflow/users/current]",  # asked of every server, known only to those with a login
    "AG Grid: since v27.1, `",  # the table of runs warns of its own settings
    "GPU stall due to ReadPixels",  # the chart of the compare page, drawn without a GPU
    "ResizeObserver loop completed with undelivered notifications",
)
"""What MLflow's own pages say in the console, whatever they show."""


@dataclass(frozen=True)
class Served:
    """A server, an experiment, two runs in it and a registered model, and a browser."""

    address: str
    experiment: str
    runs: tuple[str, str]
    browser: Any


@pytest.fixture(scope="module")
def served(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(trained.folder / "runs" / "mlflow.db", folder / "mlflow.db")
    to = Destination(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "files"))
    other = RunDir(folder / "tiny" / "b")
    shutil.copytree(
        trained.run.path, other.path, ignore=shutil.ignore_patterns("tracking", "provenance.json")
    )
    with tracked(other, to, system_every=None, wait=60) as logger:
        describe_start(other, logger)
        logger.log_metrics(json.loads(other.metrics.read_text()), step=1)
        describe_end(other, logger)
    Registry(to.uri, to.artifacts).register("tiny-weather", trained.run, alias="champion")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=to.uri, registry_uri=to.uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    found = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
    port = free_port()
    with mlflow_server(folder, port), chromium() as browser:
        yield Served(f"http://127.0.0.1:{port}", experiment, (found["a"], found["b"]), browser)


def harmful(said: list[str]) -> list[str]:
    return [one for one in said if not any(noise in one for noise in NOISE)]


def test_the_run_page_shows_the_note_with_the_table_of_results(served: Served) -> None:
    address = f"{served.address}/#/experiments/{served.experiment}/runs/{served.runs[0]}"
    with opened(served.browser, address) as watched:
        page = watched.page
        page.get_by_text("Mean skill on the test split").first.wait_for()
        assert page.locator("table", has_text="skill on persistence").first.is_visible()
        assert harmful(watched.said) == []


def test_the_report_opens_in_the_artifact_view_and_its_slider_moves(served: Served) -> None:
    address = (
        f"{served.address}/#/experiments/{served.experiment}/runs/{served.runs[0]}/artifacts/report.html"
    )
    with opened(served.browser, address) as watched:
        page = watched.page
        report = page.frame_locator("iframe.mlflow-html-iframe, iframe#html")
        report.locator("h1", has_text="tiny/a").wait_for()
        slider = report.locator("input[type=range]").first
        slider.focus()
        before = report.locator(".frame:not([hidden]) img").first.get_attribute("src")
        page.keyboard.press("ArrowRight")
        report.locator("output", has_text="+12h").first.wait_for()
        picture = report.locator(".frame:not([hidden]) img").first
        assert picture.get_attribute("src") != before
        assert picture.evaluate("one => one.naturalWidth") > 0
        for number in range(report.locator("nav a").count()):
            link = report.locator("nav a").nth(number)
            link.press("Enter")
            section = report.locator(link.get_attribute("href") or "")
            assert section.evaluate("one => one.getBoundingClientRect().top < window.innerHeight")
        assert harmful(watched.said) == []


def test_the_compare_page_shows_both_runs(served: Served) -> None:
    runs, experiments = (quote(json.dumps(one)) for one in (list(served.runs), [served.experiment]))
    with opened(
        served.browser, f"{served.address}/#/compare-runs?runs={runs}&experiments={experiments}"
    ) as watched:
        page = watched.page
        for told in ("test/rmse/air/6h", *served.runs):
            page.wait_for_function("told => document.body.innerText.includes(told)", arg=told)
        assert harmful(watched.said) == []


def test_the_experiment_page_tells_what_the_experiment_is(served: Served) -> None:
    with opened(served.browser, f"{served.address}/#/experiments/{served.experiment}/runs") as watched:
        watched.page.get_by_text("Forecasts of maps").first.wait_for()
        assert harmful(watched.said) == []


def test_the_model_page_shows_its_card_and_alias(served: Served) -> None:
    for address in ("tiny-weather", "tiny-weather/versions/1"):
        with opened(served.browser, f"{served.address}/#/models/{address}") as watched:
            page = watched.page
            page.get_by_text("champion").first.wait_for()
            if "versions" in address:
                page.get_by_text("persistence").first.wait_for()
            assert harmful(watched.said) == []
