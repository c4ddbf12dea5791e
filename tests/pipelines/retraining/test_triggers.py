"""A job has cause to train where data are new or drifted, or the champion old or worse; not twice for one."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.retraining.job import Job
from pipelines.retraining.ledger import Ledger
from pipelines.retraining.triggers import StartOptions, Trigger, due, trained
from tests.pipelines.retraining.decisions import day, look, shoot


@dataclass(frozen=True)
class Told:
    """Something that was found, as plain values."""

    plain: Any

    def as_plain(self) -> Any:
        return self.plain


@dataclass(frozen=True)
class Version:
    number: int = 1
    created: Any = 0


@dataclass(frozen=True)
class Champion:
    version: Version = field(default_factory=Version)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger in which shot 1 was promoted on day 0, with 100 steps."""
    ledger = Ledger(tmp_path / "ledger.db")
    shoot(ledger, day(0), look=look(100))
    return ledger


def asked(ledger: Ledger, total: int, at: float = 1, champion: Any = Champion(), **start: Any) -> Trigger:
    drift, sank = start.pop("found", None), start.pop("sank", None)
    job = Job.model_validate({"name": "weather", "model": "wind", "start": start})
    rows = ledger.history("weather")
    return due(job, Told(look(total)), rows, champion, Told(drift) if drift else None, sank, day(at))


def test_the_first_shot_trains_whatever_the_job_waits_for(tmp_path: Path) -> None:
    found = asked(Ledger(tmp_path / "none.db"), 100, champion=None, new_steps=1000)
    assert found.start
    assert "no champion" in found.why
    assert asked(Ledger(tmp_path / "none.db"), 100, new_steps=1000).start


def test_new_steps_are_counted_from_the_last_challenger_that_was_trained(ledger: Ledger) -> None:
    assert not asked(ledger, 119, new_steps=20).start
    assert asked(ledger, 120, new_steps=20).start
    shoot(ledger, day(1), "refused", look=look(150, "a gap"))
    assert asked(ledger, 120, new_steps=20).start
    shoot(ledger, day(2), "refused", look=look(150), runs={"challenger": "/runs/b"})
    assert not asked(ledger, 160, new_steps=20).start
    assert "10 new steps" in asked(ledger, 160, new_steps=20).why
    assert [row.number for row in trained(ledger.history())] == [3, 1]
    assert "0 new steps" in asked(ledger, 90, new_steps=20).why


def test_new_clips_are_counted_the_same_way(ledger: Ledger) -> None:
    assert asked(ledger, 110, new_clips=10).start
    assert not asked(ledger, 109, new_clips=10).start


def test_age_is_that_of_the_champion_and_of_the_last_challenger_by_the_time_taken_to_be_now(
    ledger: Ledger,
) -> None:
    assert not asked(ledger, 100, at=29.9, age_days=30).start
    assert asked(ledger, 100, at=30, age_days=30).start
    shoot(ledger, day(20), "refused", look=look(100), runs={"challenger": "/runs/b"})
    assert not asked(ledger, 100, at=30, age_days=30).start
    assert asked(ledger, 100, at=50, age_days=30).start
    registered = Champion(Version(7, int(day(45).timestamp() * 1000)))
    assert not asked(ledger, 100, at=50, champion=registered, age_days=30).start
    assert asked(ledger, 100, at=75, champion=registered, age_days=30).start


def test_drift_and_a_score_that_sank_start_training_once_for_the_same_data(ledger: Ledger) -> None:
    drifted = {"rows": [{"variable": "air", "drifted": True}, {"variable": "z", "drifted": False}]}
    assert "drifted: air" in asked(ledger, 101, drift=True, found=drifted).why
    assert asked(ledger, 101, drift=True, found=drifted).start
    assert not asked(ledger, 100, drift=True, found=drifted).start
    assert not asked(ledger, 101, drift=True, found={"rows": []}).start
    assert asked(ledger, 101, score_sank=0.1, sank=0.1).start
    assert not asked(ledger, 101, score_sank=0.1, sank=0.09).start
    assert not asked(ledger, 100, score_sank=0.1, sank=0.5).start
    assert "not known" in asked(ledger, 101, score_sank=0.1).why


def test_one_cause_is_enough_and_all_are_told(ledger: Ledger) -> None:
    found = asked(ledger, 101, new_steps=20, drift=True, always=True)
    assert found.start
    assert found.why == "every shot trains"
    assert [(check.name, check.started) for check in found.checks] == [
        ("always", True),
        ("new_steps", False),
        ("drift", False),
    ]
    assert found.as_plain()["checks"][1]["told"] == "1 new steps since the last challenger, 20 start one"


def test_a_champion_that_was_taken_away_is_replaced(ledger: Ledger) -> None:
    assert asked(ledger, 100, champion=None, new_steps=20).start


def test_after_a_first_challenger_that_was_refused_new_data_are_waited_for(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    shoot(ledger, day(0), "refused", look=look(100), runs={"challenger": "/runs/a"})
    assert not asked(ledger, 100, champion=None, new_steps=20).start


def test_a_job_that_nothing_would_start_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would ever start"):
        StartOptions()
    told = StartOptions(new_steps=28, age_days=30, drift=True).told
    assert told == "28 new steps or an age of 30 days or drift"
