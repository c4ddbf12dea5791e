"""The verb: mistakes are told before anything starts; a replay starts each shot with its due time as now."""

import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.retraining.ledger import Ledger
from pipelines.scheduling.notes import Notes
from pipelines.scheduling.replay import Replay, replayed
from pipelines.scheduling.scheduled_jobs import JobFolder
from tests.pipelines.scheduling.small_jobs import House, calls, plan, write_job
from tests.pipelines.small_files import answer, start

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC)


def span(house: House, since: datetime, until: datetime, **stop: Any) -> Any:
    """What a replay with the stand-in program comes to."""
    folder = JobFolder(house.jobs)
    folder.refresh()
    stop.setdefault("stopped", lambda: False)
    return Replay(Notes(house.ledger), house.launch("seed=1"), **stop).run(replayed(folder, since, until))


def test_a_replay_starts_every_due_time_in_order_and_says_that_it_is_now(tmp_path: Path) -> None:
    house = House(tmp_path)
    write_job(house.jobs, "weather", "0 6 1 * *", timezone="Europe/Berlin", missed="skip", jitter="2h")
    write_job(house.jobs, "clips", "0 0 1 */2 *", watch=True)
    plan(house.jobs, "clips", status=1)
    ended, left = span(house, JANUARY, MAY)
    assert left == []
    found = [(one.job.name, one.due.strftime("%m-%d %H:%M"), one.outcome, one.watched) for one in ended]
    assert found == [
        ("clips", "01-01 00:00", "failed", 0),
        ("weather", "01-01 05:00", "nothing", None),
        ("weather", "02-01 05:00", "nothing", None),
        ("clips", "03-01 00:00", "failed", 0),
        ("weather", "03-01 05:00", "nothing", None),
        ("weather", "04-01 04:00", "nothing", None),
    ]
    told = calls(house.jobs)
    assert told[-1]["argv"][2:] == ["now=2026-04-01T04:00:00+00:00", "seed=1"]
    assert house.ledger.last_firing("weather") == datetime(2026, 4, 1, 4, tzinfo=UTC)
    assert {one.status for one in house.ledger.firings("clips")} == {"failed"}
    assert [one.due for one in span(house, MAY, MAY.replace(day=2))[0]] == [
        MAY,
        datetime(2026, 5, 1, 4, tzinfo=UTC),
    ], "neighbouring replays share no due time and lose none"


def test_a_replay_that_is_stopped_waits_for_its_shot_and_starts_no_other(tmp_path: Path) -> None:
    house = House(tmp_path)
    write_job(house.jobs, "weather", "0 6 1 * *")
    looks = iter([False, False, True])
    ended, left = span(house, JANUARY, MAY, stopped=lambda: next(looks, True))
    assert len(ended) == 1
    assert left == []
    assert len(calls(house.jobs)) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["until=2026-02-01"], "which begins with since="),
        (["since=soon"], "since=soon: this is no time"),
        (["since=2026-02-01", "until=2026-01-01"], "ends before it begins"),
        (["parallel=none"], "parallel=none: this is how many jobs"),
        (["wait=a while"], "wait=a while: 'a while' is no length of time"),
        (["jobs=nowhere"], "jobs=nowhere: there is no such folder"),
    ],
)
def test_a_mistake_in_the_call_is_told_and_nothing_starts(
    tmp_path: Path, words: list[str], told: str
) -> None:
    write_job(tmp_path / "jobs", "weather", "0 6 * * *")
    jobs = [] if words[0].startswith("jobs=") else [f"jobs={tmp_path / 'jobs'}"]
    status, _, said = answer("schedule", *jobs, f"paths.runs={tmp_path / 'runs'}", *words)
    assert status == 2
    assert told in said


def test_a_folder_without_a_job_that_can_be_used_is_a_mistake_that_names_each(tmp_path: Path) -> None:
    write_job(tmp_path, "broken", "0 6 * *")
    path = write_job(tmp_path, "plain", "0 6 * * *")
    plain = yaml.safe_load(path.read_text())
    del plain["schedule"]
    path.write_text(yaml.safe_dump(plain))
    status, _, said = answer("schedule", f"jobs={tmp_path}", f"paths.runs={tmp_path / 'runs'}")
    assert status == 2
    assert "plain: has no schedule" in said
    assert "five fields" in said


def test_the_verb_waits_for_due_times_is_alone_and_ends_in_order(tmp_path: Path) -> None:
    write_job(tmp_path / "jobs", "weather", "0 0 29 2 *")
    words = ("schedule", f"jobs={tmp_path / 'jobs'}", f"paths.runs={tmp_path / 'runs'}", "--json")
    with start(*words) as process:
        try:
            ledger = Ledger(tmp_path / "runs" / "retrain" / "ledger.db")
            until = time.monotonic() + 120
            while ledger.last_firing("weather") is None:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < until
                time.sleep(0.05)
            status, _, said = answer(*words[:-1])
            assert status == 2
            assert f"process {process.pid} on" in said
            process.send_signal(signal.SIGTERM)
            out, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert out.strip() == '{"firings": [], "left": []}'
    assert "weather: due next" in said


@pytest.mark.slow
def test_a_replay_of_the_verb_runs_real_shots_and_tells_a_mistake(tmp_path: Path) -> None:
    path = write_job(tmp_path / "jobs", "weather", "0 6 1 * *")
    plain = yaml.safe_load(path.read_text())
    path.write_text(
        yaml.safe_dump(
            {
                **plain,
                "experiment": None,
                "settings": ["data=netcdf"],
                "data": str(tmp_path / "none" / "*.nc"),
            }
        )
    )
    words = [f"jobs={path.parent}", f"paths.runs={tmp_path / 'runs'}", f"paths.stores={tmp_path / 'stores'}"]
    status, found, said = answer("schedule", *words, "since=2026-01-01", "until=2026-02-01")
    assert found is not None, said
    (firing,) = found["firings"]
    assert (firing["job"], firing["due"]) == ("weather", "2026-01-01T06:00:00+00:00")
    assert firing["outcome"] in ("refused", "mistake"), "there are no data"
    assert status == int(firing["outcome"] == "mistake")
    assert (tmp_path / "runs" / "retrain" / "weather" / "scheduled.log").stat().st_size


def test_two_jobs_that_keep_one_model_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = House(tmp_path)
    write_job(house.jobs, "clips", "0 0 1 * *")
    write_job(house.jobs, "weather", "0 6 1 * *")
    same = yaml.safe_load((house.jobs / "weather.yaml").read_text())["model"]
    other = yaml.safe_load((house.jobs / "clips.yaml").read_text())
    for model, told in ((same, 1), ("another", 0)):
        (house.jobs / "clips.yaml").write_text(yaml.safe_dump({**other, "model": model}))
        caplog.clear()
        JobFolder(house.jobs).refresh()
        assert sum("keep the same model" in one for one in caplog.messages) == told
