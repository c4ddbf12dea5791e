"""The ledger keeps every shot, move and due time, with many writers at once and whatever kills them."""

import json
import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from datamodules.errors import InputError
from pipelines.retraining.decision import Decision
from pipelines.retraining.ledger import Ledger
from tests.pipelines.retraining.decisions import day, decision, look, shoot
from tests.pipelines.small_files import ROOT

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pipelines.retraining.ledger import Ledger
from tests.pipelines.retraining.decisions import decision
ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    shot = ledger.begin("weather", datetime(2026, 1, 1, tzinfo=UTC))
    ledger.note(shot, step="train", known={"number": number})
    ledger.intent(shot, {"model": "wind", "after": {"champion": shot}})
    ledger.clear(shot)
    ledger.record_firing("weather", datetime(2026, 1, 1, 0, shot % 60, tzinfo=UTC), "promoted")
    ledger.finish(decision(shot))
    print(shot, flush=True)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "retrain" / "ledger.db")


def writer(ledger: Ledger, shots: int) -> subprocess.Popen[str]:
    """A process that plays so many shots and prints the number of each that is finished."""
    command = [sys.executable, "-c", WRITER, str(ledger.path), str(shots)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})


def test_a_shot_has_a_row_from_its_beginning_and_a_decision_when_it_is_finished(ledger: Ledger) -> None:
    first = ledger.begin("weather", day(0))
    ledger.note(first, step="look")
    ledger.note(first, known={"champion": 3})
    ledger.note(first, step="train", retries=1)
    (row,) = ledger.unfinished("weather")
    assert (row.number, row.job, row.step, row.outcome) == (first, "weather", "train", None)
    assert row.notes == {"known": {"champion": 3}, "retries": 1}
    assert row.now == "2026-01-01T00:00:00+00:00"
    assert ledger.history() == []
    ledger.finish(decision(first, challenger=4, look=look(10)))
    assert ledger.unfinished() == []
    (row,) = ledger.history("weather")
    assert row.decision == decision(first, challenger=4, look=look(10))
    assert ledger.row(first) == row
    assert ledger.row(99) is None


def test_the_history_is_newest_first_by_job_and_outcome(ledger: Ledger) -> None:
    numbers = [
        shoot(ledger, day(number), outcome) for number, outcome in enumerate(["promoted", "refused"] * 3)
    ]
    other = ledger.begin("clips", day(0))
    ledger.finish(decision(other, "nothing", job="clips"))
    assert [row.number for row in ledger.history("weather")] == numbers[::-1]
    assert [row.number for row in ledger.history(limit=2)] == [other, numbers[-1]]
    last = ledger.last("weather", "promoted")
    assert last is not None
    assert last.number == numbers[-2]
    assert ledger.last("weather", "busy", "failed") is None
    assert ledger.jobs() == ["clips", "weather"]


def test_the_last_good_look_is_the_newest_one_without_problems(ledger: Ledger) -> None:
    assert ledger.good_look("weather") is None
    shoot(ledger, day(0), look=look(10))
    shoot(ledger, day(1), "nothing", look=look(12))
    shoot(ledger, day(2), "refused", look=look(14, "units have changed"))
    shoot(ledger, day(3), "busy")
    assert ledger.good_look("weather") == look(12)


def test_a_move_stands_in_the_ledger_until_it_is_cleared(ledger: Ledger) -> None:
    shot = ledger.begin("weather", day(0))
    move = {"model": "wind", "before": {"champion": None}, "after": {"champion": 2}}
    ledger.intent(shot, move)
    assert ledger.move(shot) == move
    assert ledger.moves("wind") == {shot: move}
    assert ledger.moves("rain") == {}
    ledger.finish(decision(shot))
    assert ledger.moves() == {shot: move}
    ledger.clear(shot)
    assert ledger.move(shot) is None


def test_firings_are_noted_in_place_of_one_another_in_utc(ledger: Ledger) -> None:
    berlin = timezone(timedelta(hours=1))
    assert ledger.last_firing("weather") is None
    ledger.record_firing("weather", datetime(2026, 1, 2, 0, 30, tzinfo=berlin), "started")
    ledger.record_firing("weather", datetime(2026, 1, 1, 23, 30, tzinfo=UTC), "promoted")
    ledger.record_firing("weather", datetime(2026, 1, 1, 6, tzinfo=UTC), "skipped")
    assert ledger.last_firing("weather") == datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
    assert [one.status for one in ledger.firings("weather")] == ["promoted", "skipped"]
    assert ledger.firings("clips") == []


def test_anybody_reads_it_with_sqlite(ledger: Ledger) -> None:
    shot = shoot(ledger, day(0), champion=2, verdict={"gain": {"value": math.nan, "low": 0.1}})
    with sqlite3.connect(ledger.path) as reader:
        found = reader.execute(
            "SELECT shot, job, model, outcome, champion, challenger FROM decisions"
        ).fetchall()
        gain = reader.execute("SELECT json_extract(decision, '$.verdict.gain.low') FROM shots").fetchone()
    reader.close()
    assert found == [(shot, "weather", "wind", "promoted", 2, shot)]
    assert gain == (0.1,)
    if (program := shutil.which("sqlite3")) is not None:
        query = [program, str(ledger.path), "SELECT outcome FROM decisions"]
        assert subprocess.run(query, capture_output=True, text=True, check=True).stdout == "promoted\n"


def test_reading_makes_no_ledger(ledger: Ledger) -> None:
    assert (ledger.history(), ledger.unfinished(), ledger.moves(), ledger.jobs()) == ([], [], {}, [])
    assert not ledger.path.parent.exists()


def test_a_number_is_never_given_twice_even_where_the_ledger_was_lost(ledger: Ledger) -> None:
    first = shoot(ledger, day(0))
    (ledger.path.parent / "weather" / f"{first + 6:04d}").mkdir(parents=True)
    assert ledger.begin("clips", day(1)) == first + 7
    ledger.path.unlink()
    assert ledger.begin("weather", day(1)) == first + 7
    assert ledger.begin("weather", day(1)) == first + 8


def test_a_file_of_a_newer_program_or_of_another_kind_is_refused(ledger: Ledger) -> None:
    shoot(ledger, day(0))
    with sqlite3.connect(ledger.path) as writer:
        writer.execute("PRAGMA user_version = 99")
    writer.close()
    for call in (ledger.history, lambda: ledger.begin("weather", day(1))):
        with pytest.raises(InputError, match="newer skyreel"):
            call()
    ledger.path.write_bytes(b"not a database, but long enough to look like one" * 40)
    with pytest.raises(InputError, match="is not the ledger"):
        ledger.history()
    with pytest.raises(InputError, match="is not the ledger"):
        ledger.begin("weather", day(1))


def test_unknown_shots_and_unknown_outcomes_are_refused(ledger: Ledger) -> None:
    shoot(ledger, day(0))
    with pytest.raises(InputError, match="no shot 7"):
        ledger.note(7, step="train")
    with pytest.raises(InputError, match="no shot 7"):
        ledger.finish(decision(7))
    with pytest.raises(InputError, match="promoted, refused"):
        Decision.from_plain({**decision(1).as_plain(), "outcome": "lost"})
    with pytest.raises(InputError, match="reason"):
        Decision.from_plain({"job": "weather"})
    assert Decision.from_plain({**decision(1).as_plain(), "of_a_later_release": 1}) == decision(1)
    assert json.loads(json.dumps(decision(1).as_plain())) == decision(1).as_plain()


def test_several_processes_write_at_once_and_none_waits_in_vain(ledger: Ledger) -> None:
    writers = [writer(ledger, 6) for _ in range(3)]
    try:
        numbers = [int(line) for one in writers for line in one.communicate(timeout=240)[0].split()]
        assert [one.returncode for one in writers] == [0, 0, 0]
    finally:
        for one in writers:
            one.kill()
            one.wait()
    assert sorted(numbers) == list(range(1, 19))
    assert len(ledger.history()) == 18
    assert ledger.unfinished() == []


@pytest.mark.slow
def test_a_writer_that_is_killed_anywhere_leaves_every_finished_shot_and_a_ledger_that_goes_on(
    ledger: Ledger,
) -> None:
    choice, finished, killed = random.Random(1), [], 0
    for _ in range(20):
        process = writer(ledger, 10_000)
        try:
            assert process.stdout is not None
            finished.append(int(process.stdout.readline()))
            time.sleep(choice.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            finished += [int(line) for line in process.stdout.read().splitlines()]
            killed += process.wait(60) == -signal.SIGKILL
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        with sqlite3.connect(ledger.path) as reader:
            assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        reader.close()
        assert set(finished) <= {row.number for row in ledger.history()}
        assert len(ledger.moves()) <= killed
    assert killed == 20
    assert len(set(finished)) == len(finished)
