"""A schedule is checked when a job is read; lengths of time and times are read as people write them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from datamodules.errors import InputError
from pipelines.scheduling.durations import parse_duration, shown
from pipelines.scheduling.options import ScheduleOptions
from pipelines.scheduling.times import parse_time


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("cron", "0 6 * *", "4 fields"),
        ("cron", "@daily", "five fields"),
        ("cron", "61 * * * *", "Bad minute"),
        ("cron", "0 0 31 2 *", "Bad day-of-month"),
        ("cron", "0 0 0 * * *", "6 fields"),
        ("timezone", "Europe/Berln", "did you mean Europe/Berlin"),
        ("timezone", "Europe", "no time zone"),
        ("timezone", "../../etc/passwd", "no time zone"),
        ("timezone", "", "no time zone"),
        ("missed", "none", "skip"),
        ("max_age", 90, "write numbers and units"),
        ("max_age", "2 days", "write numbers and units"),
        ("max_age", "99999999d", "out of bounds"),
        ("jitter", "-5m", "write numbers and units"),
        ("retry", 3, "Extra inputs"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(key: str, value: Any, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ScheduleOptions(**{"cron": "0 6 * * *", key: value})
    (mistake,) = caught.value.errors()
    assert mistake["loc"] == (key,)
    assert told in mistake["msg"]


def test_a_schedule_reads_back_as_it_was_written() -> None:
    written = {
        "cron": "0 6 * * mon-fri",
        "timezone": "Europe/Berlin",
        "missed": "all",
        "max_age": "1d12h",
        "jitter": "10m",
    }
    options = ScheduleOptions(**written)  # type: ignore[arg-type]
    assert options.model_dump(mode="json") == written
    assert options.max_age == timedelta(days=1, hours=12)
    assert ScheduleOptions(cron=" 0  6 * * * ").cron == "0 6 * * *"


@given(st.integers(0, 10**8))
def test_a_length_of_time_reads_back(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert parse_duration(shown(length)) == length


def test_lengths_of_time() -> None:
    assert parse_duration("1w 2d") == timedelta(days=9)
    assert parse_duration(0) == timedelta(0)
    assert parse_duration("90 m") == timedelta(minutes=90)
    for wrong in ("", "h", "1.5h", "1h30", "1y", True, None):
        with pytest.raises(PydanticCustomError):
            parse_duration(wrong)


def test_points_in_time() -> None:
    assert parse_time("2026-11-22", "now") == datetime(2026, 11, 22, tzinfo=UTC)
    assert parse_time("2026-11-22T06:00+01:00", "now") == datetime(2026, 11, 22, 5, tzinfo=UTC)
    assert parse_time("2026-11-22T06:00:00Z", "now").tzinfo is UTC
    with pytest.raises(InputError, match="since=tomorrow: this is no time; write it as 2026-11-22"):
        parse_time("tomorrow", "since")


def test_reading_a_schedule_imports_nothing_slow() -> None:
    code = (
        "import sys, pipelines.scheduling.options\n"
        "print([name for name in ('torch', 'mlflow', 'pandas', 'xarray') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
