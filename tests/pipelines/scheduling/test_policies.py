"""What becomes of missed due times, and when a shot starts within its jitter."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.scheduling.due_times import due_after, due_between
from pipelines.scheduling.options import ScheduleOptions
from pipelines.scheduling.policies import GRACE, choose, start_time, starts
from tests.pipelines.scheduling.crons import Cron, crons

BEGIN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def every_six_hours(**options: Any) -> ScheduleOptions:
    return ScheduleOptions(cron="0 */6 * * *", **options)


def told(times: tuple[datetime, ...]) -> list[str]:
    return [time.strftime("%d %H:%M") for time in times]


MISSED = ["20 12:00", "20 18:00", "21 00:00", "21 06:00"]


@pytest.mark.parametrize(
    ("options", "run"),
    [
        ({"missed": "skip"}, []),
        ({"missed": "latest"}, ["21 06:00"]),
        ({"missed": "all"}, MISSED),
        ({"missed": "all", "max_age": "12h"}, ["21 00:00", "21 06:00"]),
        ({"missed": "latest", "max_age": "2h"}, []),
    ],
)
def test_after_a_day_off_the_policy_decides(options: dict[str, Any], run: list[str]) -> None:
    now = BEGIN + 27 * HOUR
    chosen = choose("weather", every_six_hours(**options), BEGIN, now)
    assert told(chosen.run) == run
    assert sorted([*told(chosen.run), *told(chosen.skipped)]) == MISSED


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_what_is_on_time_runs_under_every_policy(missed: str) -> None:
    options = every_six_hours(missed=missed, max_age="0")
    for late in (timedelta(0), GRACE):
        chosen = choose("weather", options, BEGIN, BEGIN + 6 * HOUR + late)
        assert told(chosen.run) == ["20 12:00"]
    assert not choose("weather", options, BEGIN, BEGIN + 6 * HOUR + GRACE + SECOND).run


def test_what_is_on_time_takes_the_place_of_the_latest_missed() -> None:
    now = BEGIN + 24 * HOUR + SECOND
    assert told(choose("weather", every_six_hours(missed="latest"), BEGIN, now).run) == MISSED[-1:]
    assert told(choose("weather", every_six_hours(missed="all"), BEGIN, now).run) == MISSED


def test_nothing_is_due_before_its_time() -> None:
    for now in (BEGIN, BEGIN + 6 * HOUR - SECOND, BEGIN - 30 * HOUR):
        chosen = choose("weather", every_six_hours(missed="all"), BEGIN, now)
        assert chosen.run == chosen.skipped == ()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    cron=crons(),
    missed=st.sampled_from(["skip", "latest", "all"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    minutes=st.integers(0, 4000),
    max_age=st.none() | st.integers(0, 3000),
    jitter=st.sampled_from(["0", "5m", "3h"]),
)
def test_each_due_time_that_came_is_run_or_skipped_and_none_twice(
    cron: Cron, missed: str, zone: str, minutes: int, max_age: int | None, jitter: str
) -> None:
    age = None if max_age is None else f"{max_age}m"
    options = ScheduleOptions(cron=cron.text, timezone=zone, missed=missed, max_age=age, jitter=jitter)
    after = datetime(2026, 10, 24, 12, tzinfo=UTC)
    now = after + timedelta(minutes=minutes)
    chosen = choose("weather", options, after, now)
    assert list(chosen.run) == sorted(chosen.run)
    both = sorted([*chosen.run, *chosen.skipped])
    assert both == due_between(cron.text, options.zone, after + SECOND, now + SECOND)[: len(both)]
    begun = dict(islice(starts("weather", options, after), len(both)))
    on_time = [due for due in both[-1:] if now - begun[due] <= GRACE]
    late = [due for due in chosen.run if due not in on_time]
    assert set(on_time) <= set(chosen.run)
    assert options.max_age is None or all(now - due <= options.max_age for due in late)
    assert len(late) <= {"skip": 0, "latest": 1, "all": len(both)}[missed]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cron=crons(), job=st.text(min_size=1, max_size=8), seconds=st.integers(0, 200_000))
def test_a_shot_starts_within_its_jitter_and_before_the_next_is_due(
    cron: Cron, job: str, seconds: int
) -> None:
    options = ScheduleOptions(cron=cron.text, timezone="Europe/Berlin", jitter=f"{seconds}s")
    after = datetime(2026, 10, 24, 12, tzinfo=UTC)
    found = list(islice(starts(job, options, after), 10))
    assert found == list(islice(starts(job, options, after), 10)), "the same again, whoever asks"
    assert [due for due, _ in found] == list(islice(due_after(cron.text, options.zone, after), 10))
    for due, start in found:
        assert due <= start <= due + options.jitter
    for (_, start), (following, _) in pairwise(found):
        assert start < following


def test_jobs_spread_out_evenly_over_the_jitter() -> None:
    due, jitter = BEGIN, timedelta(minutes=10)
    delays = [(start_time(f"job-{number}", due, None, jitter) - due) / jitter for number in range(400)]
    assert min(delays) < 0.02
    assert max(delays) > 0.98
    assert sum(delays) / len(delays) == pytest.approx(0.5, abs=0.05)
    assert (
        len(
            {start_time("weather", due + number * HOUR, None, jitter) - number * HOUR for number in range(50)}
        )
        > 40
    )
    assert start_time("weather", due, due + HOUR, timedelta(0)) == due


def test_a_month_off_of_a_job_that_comes_every_minute_is_decided_in_seconds() -> None:
    options = ScheduleOptions(cron="* * * * *", missed="latest")
    chosen = choose("weather", options, BEGIN, BEGIN + timedelta(days=30))
    assert len(chosen.run) == 1
    assert len(chosen.skipped) == 30 * 24 * 60 - 1
