"""A move of aliases that was interrupted gives way to what a person has done since."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.retraining.ledger import Ledger
from pipelines.retraining.moving import finished
from pipelines.retraining.promotion import Move

MOVE = Move(
    "m",
    "promotion",
    "it was better",
    {"champion": 1, "previous": None, "challenger": 2},
    {"previous": 1, "champion": 2, "challenger": None},
)


@dataclass(frozen=True)
class Version:
    number: int
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Models:
    """A registry in memory with versions 1 to 3."""

    pointed: dict[str, int]

    def version(self, name: str, which: str | int) -> Version | None:
        number = self.pointed.get(str(which)) if not str(which).isdecimal() else int(which)
        return None if number is None or number > 3 else Version(number)

    def set_alias(self, name: str, alias: str, number: int) -> None:
        self.pointed[alias] = number

    def delete_alias(self, name: str, alias: str) -> None:
        self.pointed.pop(alias, None)


@pytest.mark.parametrize(
    ("pointed", "outcome", "after"),
    [
        ({"champion": 1, "challenger": 2}, "promoted", {"champion": 2, "previous": 1}),
        ({"champion": 2, "previous": 1, "challenger": 2}, "promoted", {"champion": 2, "previous": 1}),
        ({"champion": 3, "challenger": 2}, "refused", {"champion": 3, "challenger": 2}),
    ],
    ids=["as it was", "half done", "moved by hand"],
)
def test_the_champion_that_a_person_has_set_stays(
    tmp_path: Path, pointed: dict[str, int], outcome: str, after: dict[str, int]
) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    shot = ledger.begin("job", datetime(2026, 1, 1, tzinfo=UTC))
    ledger.intent(shot, MOVE.as_plain())
    models = Models(dict(pointed))
    ending = finished(ledger, models, shot, MOVE)
    assert (ending.outcome, models.pointed) == (outcome, after)
    assert ledger.moves("m") == {}
