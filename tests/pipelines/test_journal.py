"""The journal keeps every record, costs next to nothing, and never stops a run."""

import logging
import math
import pickle
import time
from pathlib import Path

import pytest

from pipelines.tracking.journal import Journal, Sent, count, first_start, read


def records(path: Path) -> list[dict]:
    return [entry.record for entry in read(path, 0) if entry.record is not None]


def test_records_come_back_in_order_with_their_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path, clock=lambda: 12.5)
    journal.append("metrics", metrics={"train/loss": 0.5}, step=3)
    journal.append("status", status="KILLED", time=99)
    assert records(journal.path) == [
        {"kind": "metrics", "time": 12500, "metrics": {"train/loss": 0.5}, "step": 3},
        {"kind": "status", "time": 99, "status": "KILLED"},
    ]
    journal.close()


def test_nothing_is_written_before_the_first_record(tmp_path: Path) -> None:
    Journal(tmp_path)
    assert not list(tmp_path.iterdir())


def test_not_a_number_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("metrics", metrics={"loss": math.nan, "worst": math.inf}, step=0)
    found = records(journal.path)[0]["metrics"]
    assert math.isnan(found["loss"])
    assert math.isinf(found["worst"])
    journal.close()


def test_a_line_torn_by_a_kill_costs_only_itself(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.append("tag", name="a", value="1")
    first.close()
    with first.path.open("ab") as file:
        file.write(b'{"kind":"tag","na')
    assert len(read(first.path, 0)) == 1
    again = Journal(tmp_path)
    again.append("tag", name="b", value="2")
    again.close()
    assert [record["name"] for record in records(again.path)] == ["a", "b"]


def test_a_reader_goes_on_from_any_offset(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in range(10):
        journal.append("metrics", metrics={"x": step}, step=step)
    middle = read(journal.path, 0, limit=4)[-1].end
    rest = [entry.record["step"] for entry in read(journal.path, middle) if entry.record]
    assert rest == [4, 5, 6, 7, 8, 9]
    assert count(journal.path, middle) == 6
    journal.close()


def test_the_key_of_a_run_is_made_once(tmp_path: Path) -> None:
    for _ in range(2):
        journal = Journal(tmp_path)
        journal.start("weather", "a", {})
        journal.close()
    first, second = records(tmp_path / "tracking" / "journal.jsonl")
    assert first["key"] == second["key"] == first_start(journal.path)["key"]


def test_a_folder_that_cannot_be_written_is_told_once_and_does_not_raise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tracking").write_text("in the way")
    journal = Journal(tmp_path)
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            journal.append("metrics", metrics={"x": 1.0}, step=step)
    assert [record.getMessage().count("the run goes on") for record in caplog.records] == [1]


def test_a_record_costs_less_than_a_tenth_of_a_millisecond(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("tag", name="opens", value="the file")
    costs = []
    for step in range(1000):
        begin = time.perf_counter()
        journal.append("metrics", metrics={"train/loss": 0.1, "lr": 1e-3, "epoch": 1.0}, step=step)
        costs.append(time.perf_counter() - begin)
    journal.close()
    assert sorted(costs)[500] < 1e-4


def test_a_pickled_journal_writes_to_the_same_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("tag", name="a", value="1")
    copy = pickle.loads(pickle.dumps(journal))
    copy.append("tag", name="b", value="2")
    copy.close()
    journal.close()
    assert [record["name"] for record in records(journal.path)] == ["a", "b"]


def test_what_was_sent_counts_for_its_own_server_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("tag", name="a", value="1")
    journal.close()
    end = journal.path.stat().st_size
    Sent("http://one", end, "abc").save(tmp_path)
    assert Sent.load(tmp_path, "http://one") == Sent("http://one", end, "abc")
    assert Sent.load(tmp_path, "http://two") == Sent("http://two")
    (tmp_path / "tracking" / "sent.json").write_text('{"uri": "http://o')
    assert Sent.load(tmp_path, "http://one") == Sent("http://one")
