"""The scheduler starts what is due, one shot of a job at a time, and knows what it missed when it was off."""

import logging
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.scheduling.firing import Firing
from pipelines.scheduling.notes import SKIPPED, STARTED, Notes
from tests.pipelines.scheduling.small_jobs import House, JumpingClock, calls, plan, write_job

BEGIN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "jobs").mkdir()
    return House(tmp_path)


def dues(firings: list[Firing], name: str = "weather") -> list[str]:
    return [one.due.strftime("%d %H:%M") for one in firings if one.job.name == name]


def test_shots_start_at_their_due_times_and_are_noted(house: House) -> None:
    write_job(house.jobs, "weather", "0 6 * * *", timezone="Europe/Berlin")
    clock = JumpingClock(BEGIN, BEGIN + 3 * DAY)
    scheduler = house.scheduler(clock, "paths.runs=elsewhere", "trainer.max_steps=5")
    assert scheduler.run() == []
    assert dues(scheduler.ended) == ["21 05:00", "22 05:00", "23 05:00"]
    assert clock.waits[0] == BEGIN + 17 * HOUR
    path = str(house.jobs / "weather.yaml")
    assert calls(house.jobs)[0]["argv"] == [
        *("retrain", f"job={path}", "paths.runs=elsewhere", "trainer.max_steps=5")
    ]
    assert {one.outcome for one in scheduler.ended} == {"nothing"}
    assert house.ledger.last_firing("weather") == BEGIN + 2 * DAY + 17 * HOUR


def test_the_champion_is_watched_before_the_shot_where_the_job_says_so(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_job(house.jobs, "weather", "0 6 * * *", watch=True)
    plan(house.jobs, "weather", watch=13, status=0)
    scheduler = house.scheduler(JumpingClock(BEGIN, BEGIN + DAY))
    scheduler.run()
    assert [one["argv"][:2] for one in calls(house.jobs)] == [
        ["retrain", "watch-champion"],
        ["retrain", f"job={house.jobs / 'weather.yaml'}"],
    ]
    assert "weather: watch-champion ended with exit status 13; a shot is at work" in caplog.text
    (firing,) = scheduler.ended
    assert (firing.watched, firing.status, firing.outcome) == (13, 0, "promoted")


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", ["22 18:00"]),
        ("latest", ["22 12:00", "22 18:00"]),
        ("all", ["21 18:00", "22 00:00", "22 06:00", "22 12:00", "22 18:00"]),
    ],
)
def test_a_scheduler_that_was_off_for_a_day_knows_what_it_missed(
    house: House, missed: str, expected: list[str]
) -> None:
    write_job(house.jobs, "weather", "0 */6 * * *", missed=missed)
    before = house.scheduler(JumpingClock(BEGIN, BEGIN + 25 * HOUR))
    before.run()
    assert dues(before.ended)[-1] == "21 12:00"
    later = BEGIN + 2 * DAY + 2 * HOUR
    after = house.scheduler(JumpingClock(later, later + 5 * HOUR))
    after.run()
    assert dues(after.ended) == expected


def test_a_job_that_nothing_is_known_of_has_missed_nothing_before_but_all_since(house: House) -> None:
    write_job(house.jobs, "weather", "0 6 * * *", missed="all")
    clock = JumpingClock(BEGIN, BEGIN + HOUR)
    first = house.scheduler(clock)
    first.run()
    assert not first.ended
    later = BEGIN + 3 * DAY
    second = house.scheduler(JumpingClock(later, later + HOUR))
    second.run()
    assert dues(second.ended) == ["21 06:00", "22 06:00", "23 06:00"]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", ["20 13:00", "20 18:00"]),
        ("latest", ["20 13:00", "20 17:00", "20 18:00"]),
        ("all", ["20 13:00", "20 14:00", "20 15:00", "20 16:00", "20 17:00", "20 18:00"]),
    ],
)
def test_what_comes_due_while_a_shot_is_at_work_is_missed(
    house: House, missed: str, expected: list[str]
) -> None:
    write_job(house.jobs, "weather", "0 * * * *", missed=missed)
    flag = house.root / "go"
    plan(house.jobs, "weather", until=str(flag))

    def four_hours_pass(clock: JumpingClock) -> None:
        if not flag.exists():
            clock.time += 4 * HOUR + HOUR / 2
            flag.touch()

    scheduler = house.scheduler(JumpingClock(BEGIN, BEGIN + 6.5 * HOUR, busy=four_hours_pass))
    scheduler.run()
    assert dues(scheduler.ended) == expected
    found = calls(house.jobs)
    assert all(one["ended"] <= other["began"] for one, other in pairwise(found))


@pytest.mark.parametrize("parallel", [1, 3])
def test_so_many_jobs_as_are_allowed_are_at_work_at_once(house: House, parallel: int) -> None:
    flag = house.root / "go"
    for name in ("air", "clips", "sea"):
        write_job(house.jobs, name, "0 13 * * *")
        plan(house.jobs, name, until=str(flag))
    most = 0

    def look(clock: JumpingClock) -> None:
        nonlocal most
        most = max(most, sum(state.at_work is not None for state in scheduler._states.values()))
        flag.touch()

    clock = JumpingClock(BEGIN, BEGIN + 2 * HOUR, busy=look)
    scheduler = house.scheduler(clock, parallel=parallel)
    scheduler.run()
    assert most == parallel
    assert sorted(one.job.name for one in scheduler.ended) == ["air", "clips", "sea"]


@pytest.mark.parametrize(
    ("status", "outcome", "level"),
    [
        (0, "promoted", logging.INFO),
        (11, "refused", logging.INFO),
        (12, "busy", logging.WARNING),
        (2, "mistake", logging.ERROR),
        (1, "failed", logging.ERROR),
        (77, "failed", logging.ERROR),
    ],
)
def test_how_a_shot_ended_is_told(
    house: House, caplog: pytest.LogCaptureFixture, status: int, outcome: str, level: int
) -> None:
    write_job(house.jobs, "weather", "0 6 * * *")
    plan(house.jobs, "weather", status=status)
    scheduler = house.scheduler(JumpingClock(BEGIN, BEGIN + DAY))
    with caplog.at_level(logging.INFO):
        scheduler.run()
    assert [one.outcome for one in scheduler.ended] == [outcome]
    told = [record for record in caplog.records if record.levelno == level and "weather: " in record.message]
    assert told
    assert level != logging.ERROR or "working for weather" in told[-1].message


def test_a_job_that_breaks_is_told_stands_aside_and_comes_back(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    write_job(house.jobs, "air", "0 * * * *")
    good = write_job(house.jobs, "weather", "0 * * * *").read_text()
    clock = JumpingClock(BEGIN, BEGIN + 2.5 * HOUR)
    scheduler = house.scheduler(clock)
    scheduler.run()
    (house.jobs / "weather.yaml").write_text(
        good.replace("'0 * * * *'", "'0 * * *'").replace("0 * * * *", "0 * *")
    )
    clock.end += 2 * HOUR
    scheduler.run()
    told = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "weather.yaml cannot be used, and is left out until it is put right" in told[0]
    assert "five fields" in told[0]
    assert dues(scheduler.ended) == ["20 13:00", "20 14:00"]
    assert len(dues(scheduler.ended, "air")) == 4
    (house.jobs / "weather.yaml").write_text(good)
    clock.end += 2 * HOUR
    scheduler.run()
    assert dues(scheduler.ended) == ["20 13:00", "20 14:00", "20 16:00", "20 17:00", "20 18:00"]
    assert len(dues(scheduler.ended, "air")) == 6


def test_a_job_that_is_edited_added_or_removed_is_followed_at_once(house: House) -> None:
    write_job(house.jobs, "weather", "0 6 * * *")
    clock = JumpingClock(BEGIN, BEGIN + HOUR / 2)
    scheduler = house.scheduler(clock)
    scheduler.run()
    write_job(house.jobs, "weather", "30 * * * *", missed="all")
    write_job(house.jobs, "clips", "0 14 * * *")
    clock.end += 2.2 * HOUR
    scheduler.run()
    assert dues(scheduler.ended) == ["20 13:30", "20 14:30"], "nothing is missed by an edit"
    assert dues(scheduler.ended, "clips") == ["20 14:00"]
    (house.jobs / "weather.yaml").unlink()
    clock.end += 5 * HOUR
    scheduler.run()
    assert len(dues(scheduler.ended)) == 2


def test_jitter_delays_the_start_alike_each_time(house: House) -> None:
    write_job(house.jobs, "weather", "0 13 * * *", jitter="30m")
    waits = []
    for number in (1, 2):
        other = House(house.root / str(number))
        write_job(other.jobs, "weather", "0 13 * * *", jitter="30m")
        clock = JumpingClock(BEGIN, BEGIN + 2 * HOUR)
        scheduler = other.scheduler(clock)
        scheduler.run()
        assert dues(scheduler.ended) == ["20 13:00"]
        waits.append(clock.waits[0])
    assert waits[0] == waits[1]
    assert waits[0] is not None
    assert BEGIN + HOUR < waits[0] <= BEGIN + 1.5 * HOUR


def test_a_stop_waits_for_a_shot_and_after_its_patience_leaves_it_running(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    write_job(house.jobs, "weather", "0 13 * * *")
    flag = house.root / "go"
    plan(house.jobs, "weather", until=str(flag), status=0)

    def the_end_comes(clock: JumpingClock) -> None:
        clock.time = clock.end

    clock = JumpingClock(BEGIN, BEGIN + 2 * HOUR, busy=the_end_comes)
    scheduler = house.scheduler(clock, patience=timedelta(seconds=0.5))
    (left,) = scheduler.run()
    try:
        assert left._process is not None
        assert left._process.poll() is None, "no signal has reached it"
        assert f"weather: left running as process {left.process}" in caplog.text
        again = JumpingClock(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR)
        second = house.scheduler(again)
        second.run()
        assert second.ended == [], "its due time is not missed"
    finally:
        flag.touch()
        assert left._process is not None
        assert left._process.wait(timeout=60) == 0
    assert len(calls(house.jobs)) == 1


def test_a_stop_before_the_shot_leaves_its_due_time_missed(house: House) -> None:
    write_job(house.jobs, "weather", "0 13 * * *", watch=True)
    clock = JumpingClock(BEGIN, BEGIN + 2 * HOUR)
    clock.busy = lambda clock: setattr(clock, "time", clock.end)
    first = house.scheduler(clock)
    assert first.run() == []
    assert [one["argv"][1] for one in calls(house.jobs)] == ["watch-champion"]
    second = house.scheduler(JumpingClock(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR))
    second.run()
    assert dues(second.ended) == ["20 13:00"]


def test_a_ledger_that_cannot_be_written_stops_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    write_job(house.jobs, "weather", "0 13 * * *")

    class Full:
        def record_firing(self, job: str, due: datetime, status: str) -> None:
            raise OSError(28, "No space left on device")

        def last_firing(self, job: str) -> datetime | None:
            raise sqlite3.OperationalError("database is locked")

    clock = JumpingClock(BEGIN, BEGIN + 2 * HOUR)
    scheduler = house.scheduler(clock)
    scheduler.notes = Notes(Full())
    scheduler.run()
    assert dues(scheduler.ended) == ["20 13:00"]
    assert "No space left on device" in caplog.text
    assert "database is locked" in caplog.text


def test_a_firing_is_noted_when_it_starts_so_that_a_killed_scheduler_does_not_repeat_it(house: House) -> None:
    write_job(house.jobs, "weather", "0 13 * * *")
    flag = house.root / "go"
    plan(house.jobs, "weather", until=str(flag))
    scheduler = house.scheduler(JumpingClock(BEGIN + HOUR, BEGIN + 2 * HOUR))
    house.ledger.record_firing("weather", BEGIN, SKIPPED)
    try:
        scheduler.step()
        assert house.ledger.last_firing("weather") == BEGIN + HOUR
        second = house.scheduler(JumpingClock(BEGIN + 2 * HOUR, BEGIN + 3 * HOUR))
        second.run()
        assert second.ended == []
    finally:
        flag.touch()
        until = time.monotonic() + 60
        while not scheduler.ended and time.monotonic() < until:
            scheduler.step()
            time.sleep(0.02)
    assert dues(scheduler.ended) == ["20 13:00"]
    assert STARTED
