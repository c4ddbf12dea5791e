"""The page for people who retrain, docs/retraining.md, says what the code does."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipelines.mistakes import options_of
from pipelines.retraining import exit_codes
from pipelines.retraining.job import Job, load_job
from pipelines.retraining.ledger import Ledger
from pipelines.scheduling.durations import shown
from tests.pipelines.small_files import ROOT

PAGE = (ROOT / "docs" / "retraining.md").read_text()
ROW = re.compile(r"^\| `([a-z_.\[\]]+)` \| (?:`(.*?)`)? ?\|", re.MULTILINE)
PLACES = ("judge.regions",)
"""Keys whose values people name themselves."""


def keys(options: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key below some options, and its default as it is written; "" where it has none."""
    for name, field in options.model_fields.items():
        key, below = prefix + name, options_of(field)
        if below and key not in PLACES:
            many = isinstance(field.get_default(call_default_factory=True), list)
            yield from keys(below[0], f"{key}[]." if many else f"{key}.")
        else:
            yield key, "" if field.is_required() else written(field.get_default(call_default_factory=True))


def written(value: Any) -> str:
    if isinstance(value, timedelta):
        return shown(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def test_every_key_of_a_job_is_on_the_page_with_its_default_and_no_other() -> None:
    told = dict(ROW.findall(PAGE))
    known = dict(keys(Job))
    assert {key: told.get(key) for key in known} == known
    sections = {key.partition(".")[0].removesuffix("[]") for key in known}
    others = {key for key in told if "." in key and key.partition(".")[0].removesuffix("[]") in sections}
    assert others <= set(known)


def test_every_exit_status_is_on_the_page() -> None:
    table = PAGE.partition("## Exit statuses")[2].partition("\n## ")[0]
    told = {int(found) for found in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert told == {*exit_codes.OF_OUTCOME.values(), exit_codes.MISTAKE}


def test_the_queries_on_the_page_run_on_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.begin("weather", datetime(2026, 1, 1, tzinfo=UTC))
    ledger.record_firing("weather", datetime(2026, 1, 1, tzinfo=UTC), "skipped")
    text = PAGE.partition("## The ledger")[2].partition("\n## ")[0]
    block = "\n".join(
        line for line in text.splitlines() if line.startswith("    ") and "sqlite3 " not in line
    )
    queries = [query.strip() for query in block.split(";") if query.strip()]
    assert len(queries) == 5
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as to:
        for query in queries:
            to.execute(query).fetchall()
        columns = {
            row[1]
            for table in ("shots", "firings", "moves")
            for row in to.execute(f"PRAGMA table_info({table})")
        }
    assert columns <= set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("link", re.findall(r"\]\((templates/[^)]+)\)", PAGE))
def test_what_the_page_links_to_is_there(link: str) -> None:
    assert (ROOT / "docs" / link).is_file()


def test_the_page_fits_a_terminal() -> None:
    assert all(len(line) <= 115 for line in PAGE.splitlines() if not line.startswith("|"))


def test_the_shortest_job_is_a_job(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(settings: .*?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "weather.yaml").write_text(found[1])
    job = load_job(str(tmp_path / "weather.yaml"))
    assert (job.model, job.data, job.start.new_steps) == ("weather", "archive/*.nc", 28)
