"""What retraining remembers: an sqlite file with every shot, every move of an alias and every due time.

`<paths.runs>/retrain/ledger.db`, read with any sqlite3: sqlite3 ledger.db 'SELECT * FROM decisions'.

shots    a row each, written when it begins and filled in until it is finished
    shot           number, over all jobs; never given twice        job      whose
    model          the registered model                            now      the time that was taken to be now
    began, ended   by the clock; `ended` and `outcome` are NULL while the shot is unfinished
    step           where it is, or was when it was interrupted
    outcome        promoted, refused, nothing, failed, busy, rolled_back          reason   in a sentence
    champion       version when the shot began                     challenger  version that it registered
    former         version that was champion before                mlflow_run_id  the run with the page
    notes          JSON: what an interrupted shot has found so far
    decision       JSON: the whole decision (decision.json of the shot's folder)
moves    a row while aliases are being moved: shot, model, move (JSON), noted. Whoever finds one finishes it
firings  a row for every due time of the scheduler: job, due, status, noted
decisions  a view: the finished shots, the newest first, without the JSON

All times are ISO 8601 in UTC. What a call has written is on disk when the call returns, or it has not
happened, whatever kills the process (see ledger_file.py).
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datamodules.errors import InputError
from pipelines.retraining.decision import Decision
from pipelines.retraining.ledger_file import LedgerFile, as_text


@dataclass(frozen=True)
class Row:
    """A shot as the ledger knows it; `decision` and `outcome` are None while it is unfinished.

    notes: what was noted with `Ledger.note`, by name.
    """

    number: int
    job: str
    now: str
    began: str
    step: str | None
    outcome: str | None
    reason: str | None
    notes: Mapping[str, Any]
    decision: Decision | None

    @property
    def trained(self) -> bool:
        """Whether the shot trained a challenger to its end."""
        return self.decision is not None and self.decision.trained


@dataclass(frozen=True)
class Firing:
    """What became of a due time of the scheduler."""

    job: str
    due: datetime
    status: str
    noted: str


class Ledger:
    """The ledger at `path`, which the first writer makes. Safe with several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LedgerFile(path)

    def begin(self, job: str, now: datetime, above: int = 0) -> int:
        """The number of a new shot, which has its row from here on.

        A number whose folder is there already (of a ledger that was lost) is not given again, nor one up to
        `above`.
        """
        with self._file.writing() as to:
            last = to.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'shots'")
            number = max(int(last.fetchone()[0]), self._highest_folder(), above) + 1
            to.execute(
                "INSERT INTO shots (shot, job, now, began) VALUES (?, ?, ?, ?)",
                (number, job, iso(now), _clock()),
            )
        return number

    def note(self, shot: int, **fields: Any) -> None:
        """Add to what is known of an unfinished shot: `step` where it is, anything else as JSON values."""
        with self._file.writing() as to:
            found = to.execute("SELECT notes FROM shots WHERE shot = ?", (shot,)).fetchone()
            if found is None:
                raise InputError(f"{self.path}: there is no shot {shot} in this ledger")
            notes = {**json.loads(found[0]), **fields}
            step = notes.pop("step", None)
            query = "UPDATE shots SET notes = ?, step = coalesce(?, step) WHERE shot = ?"
            to.execute(query, (as_text(notes), step, shot))

    def finish(self, decision: Decision) -> None:
        """Write down a decision: its shot is finished. Finishing it again writes it over."""
        one = decision
        with self._file.writing() as to:
            changed = to.execute(
                "UPDATE shots SET model = ?, outcome = ?, reason = ?, ended = ?, champion = ?, "
                "challenger = ?, former = ?, mlflow_run_id = ?, decision = ? WHERE shot = ?",
                (
                    *(one.model, one.outcome, one.reason, one.ended, one.champion, one.challenger),
                    *(one.former, one.mlflow_run_id, as_text(one.as_plain()), one.shot),
                ),
            )
            if not changed.rowcount:
                raise InputError(f"{self.path}: there is no shot {one.shot} in this ledger")

    def intent(self, shot: int, move: Mapping[str, Any]) -> None:
        """Write down a move of aliases before it is begun; `move` names its `model`."""
        with self._file.writing() as to:
            query = "INSERT OR REPLACE INTO moves (shot, model, move, noted) VALUES (?, ?, ?, ?)"
            to.execute(query, (shot, str(move["model"]), as_text(dict(move)), _clock()))

    def clear(self, shot: int) -> None:
        """Take a move off the ledger: it is done, or undone."""
        with self._file.writing() as to:
            to.execute("DELETE FROM moves WHERE shot = ?", (shot,))

    def move(self, shot: int) -> dict[str, Any] | None:
        """The move of aliases that a shot had begun; None where there is none."""
        found = self._file.read("SELECT move FROM moves WHERE shot = ?", shot)
        return json.loads(found[0]["move"]) if found else None

    def moves(self, model: str | None = None) -> dict[int, dict[str, Any]]:
        """Every move that was begun and not ended, of a model or of all: shot -> move, the oldest first."""
        query = "SELECT shot, move FROM moves WHERE ?1 IS NULL OR model = ?1 ORDER BY shot"
        return {int(row["shot"]): json.loads(row["move"]) for row in self._file.read(query, model)}

    def row(self, shot: int) -> Row | None:
        """The row of a shot; None where there is none."""
        found = self._file.read("SELECT * FROM shots WHERE shot = ?", shot)
        return _row(found[0]) if found else None

    def unfinished(self, job: str | None = None) -> list[Row]:
        """The shots that have begun and are not finished, the oldest first: at work, or interrupted."""
        query = "SELECT * FROM shots WHERE outcome IS NULL AND (?1 IS NULL OR job = ?1) ORDER BY shot"
        return [_row(one) for one in self._file.read(query, job)]

    def history(self, job: str | None = None, limit: int | None = None) -> list[Row]:
        """The finished shots of a job or of all, the newest first; at most `limit`."""
        query = (
            "SELECT * FROM shots WHERE outcome IS NOT NULL AND (?1 IS NULL OR job = ?1) "
            "ORDER BY shot DESC LIMIT ?2"
        )
        return [_row(one) for one in self._file.read(query, job, -1 if limit is None else limit)]

    def last(self, job: str, *outcomes: str) -> Row | None:
        """The newest finished shot of a job, with one of the outcomes where some are named."""
        marks = ", ".join("?" * len(outcomes))
        among = f"outcome IN ({marks})" if outcomes else "outcome IS NOT NULL"
        query = f"SELECT * FROM shots WHERE job = ? AND {among} ORDER BY shot DESC LIMIT 1"
        found = self._file.read(query, job, *outcomes)
        return _row(found[0]) if found else None

    def good_look(self, job: str) -> dict[str, Any] | None:
        """What the data of a job were when they were last found good, as plain values; None at the start."""
        query = (
            "SELECT json_extract(decision, '$.look') AS look FROM shots WHERE job = ? AND outcome IS NOT "
            "NULL AND json_type(decision, '$.look') = 'object' ORDER BY shot DESC"
        )
        for one in self._file.read(query, job):
            look = json.loads(one["look"])
            if not look.get("problems"):
                return dict(look)
        return None

    def jobs(self) -> list[str]:
        """The names of all jobs that the ledger knows, sorted."""
        query = "SELECT job FROM shots UNION SELECT job FROM firings ORDER BY job"
        return [str(one["job"]) for one in self._file.read(query)]

    def record_firing(self, job: str, due: datetime, status: str) -> None:
        """Note what became of a due time, in place of an earlier note on it."""
        with self._file.writing() as to:
            query = "INSERT OR REPLACE INTO firings (job, due, status, noted) VALUES (?, ?, ?, ?)"
            to.execute(query, (job, iso(due), status, _clock()))

    def last_firing(self, job: str) -> datetime | None:
        """The newest due time of a job that has been noted, in UTC, whatever became of it."""
        found = self._file.read("SELECT max(due) AS due FROM firings WHERE job = ?", job)
        return datetime.fromisoformat(found[0]["due"]) if found and found[0]["due"] else None

    def firings(self, job: str | None = None, limit: int | None = None) -> list[Firing]:
        """What became of the due times of a job or of all, the newest first; at most `limit`."""
        query = "SELECT * FROM firings WHERE ?1 IS NULL OR job = ?1 ORDER BY due DESC, job LIMIT ?2"
        found = self._file.read(query, job, -1 if limit is None else limit)
        return [
            Firing(one["job"], datetime.fromisoformat(one["due"]), one["status"], one["noted"])
            for one in found
        ]

    def _highest_folder(self) -> int:
        """The highest number that a shot's folder beside the ledger has; 0 without one."""
        folders = self.path.parent.glob("*/[0-9][0-9][0-9][0-9]*")
        return max((int(one.name) for one in folders if one.name.isdecimal()), default=0)


def iso(when: datetime) -> str:
    """A time as the ledger holds it: ISO 8601, UTC, whole seconds. A time without an offset is in UTC."""
    known = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return known.isoformat(timespec="seconds")


def _clock() -> str:
    return iso(datetime.now(UTC))


def _row(one: sqlite3.Row) -> Row:
    decision = json.loads(one["decision"]) if one["decision"] else None
    return Row(
        number=int(one["shot"]),
        **{name: one[name] for name in ("job", "now", "began", "step", "outcome", "reason")},
        notes=json.loads(one["notes"]),
        decision=None if decision is None else Decision.from_plain(decision),
    )
