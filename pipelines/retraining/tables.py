"""What retraining is at and what it has decided: tables for people, plain values for --json."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from pipelines.compose import JOBS
from pipelines.console import shown_path
from pipelines.registry.registry import registry_is_there
from pipelines.retraining.job import Job, jobs_folder, list_jobs, load_job
from pipelines.retraining.ledger import Ledger, Row
from pipelines.retraining.under_way import home_of, ledger_of, time_of
from pipelines.verbs import Call

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger(__name__)

FIELDS = (
    "shot",
    "job",
    "model",
    "outcome",
    "reason",
    "champion",
    "challenger",
    "former",
    "restored",
    "now",
    "ended",
)
"""What --json tells of each decision, beside the gain and where the rest lies."""
COLOURS = {
    "promoted": "green",
    "refused": "yellow",
    "failed": "red",
    "rolled_back": "magenta",
    "nothing": "dim",
    "busy": "dim",
}
SHOWN = 20
"""Decisions that a terminal shows without limit=."""


def history(call: Call) -> dict[str, Any]:
    """The decisions of `job=`, or of all jobs, newest first: `decisions`, each as plain values.

    Errors: InputError for a limit that is no number.
    """
    job = None if call.job is None else load_job(call.job).name
    limit = _limit(call.limit)
    rows = ledger_of(call.settings).history(job, limit if limit or call.json else SHOWN)
    found = [{**decided(row), "folder": _folder(call, row)} for row in rows]
    if not call.json:
        from rich.console import Console

        Console().print(history_table(found) if found else "no decision yet")
    return {"decisions": found}


def status(call: Call) -> dict[str, Any]:
    """Each job of conf/retrain (or `jobs=`) and of the ledger, or `job=` alone: `jobs`, each as plain values.

    Keys: job, model, champion, previous (versions), waits_for, next (when it is due), last (its last
    decision), at_work (an unfinished shot), problem (why its file cannot be used).
    """
    ledger, now = ledger_of(call.settings), time_of(call.now)
    if call.job is not None:
        jobs: dict[str, Job | str] = {(job := load_job(call.job)).name: job}
    else:
        folder = JOBS if call.jobs is None else jobs_folder(call.jobs)
        jobs = {name: _job(name, folder) for name in sorted({*list_jobs(folder), *ledger.jobs()})}
    pointed = _Aliases(call)
    found = [_status(name, job, ledger, now, pointed) for name, job in jobs.items()]
    if not call.json:
        from rich.console import Console

        Console().print(status_table(found) if found else f"no job yet: there is none in {shown_path(JOBS)}")
    return {"jobs": found}


def decided(row: Row) -> dict[str, Any]:
    """A finished shot as --json tells it. gain: {value, low, high} of the gate, where it judged."""
    plain = row.decision.as_plain() if row.decision else {}
    verdict = plain.get("verdict") or {}
    more = {"gain": verdict.get("gain"), "mlflow_run_id": plain.get("mlflow_run_id")}
    return {**{name: plain.get(name) for name in FIELDS}, "shot": row.number, "job": row.job, **more}


def history_table(decisions: Sequence[dict[str, Any]]) -> "Table":
    """The decisions as a table, newest first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Decisions, newest first", box=None, title_justify="left", padding=(0, 2, 0, 0))
    for name in ("shot", "time (UTC)", "outcome", "champion"):
        table.add_column(name, no_wrap=True, min_width=_widest(name, decisions))
    table.add_column("job", overflow="fold")
    table.add_column("why, with the gain (interval)", overflow="fold", ratio=1)
    for one in decisions:
        outcome = str(one["outcome"])
        table.add_row(
            f"{one['shot']:04d}",
            _time(one["now"]),
            Text(outcome.replace("_", " "), style=COLOURS.get(outcome, "")),
            _versions(one),
            one["job"],
            Text(_why(one)),
        )
    return table


def _widest(column: str, decisions: Sequence[dict[str, Any]]) -> int:
    """Characters that a column must have, so that a narrow terminal shortens the reason instead."""
    longest = {"outcome": max(len(str(one["outcome"])) for one in decisions), "time (UTC)": 16}
    return max(longest.get(column, 4), len(column))


def _why(one: dict[str, Any]) -> str:
    """The reason; with the gain, where the reason does not tell it."""
    reason, gain = str(one["reason"]), _gain(one["gain"])
    return reason if gain == "-" or "% to " in reason else f"{reason}; gain {gain}"


def status_table(jobs: Sequence[dict[str, Any]]) -> "Table":
    """The jobs as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Retraining jobs", box=None, title_justify="left", padding=(0, 2, 0, 0))
    for name in ("job", "champion", "last decision", "waits for", "next due (UTC)", "now"):
        longest = max((len(str(one["job"])) for one in jobs), default=0) if name == "job" else None
        table.add_column(name, overflow="fold", min_width=longest)
    for one in jobs:
        last = one["last"]
        told = Text("-")
        if last is not None:
            told = Text(f"{last['outcome']}", style=COLOURS.get(last["outcome"], ""))
            told.append(f" {_time(last['now'])}", style="default")
        champion = "-" if one["champion"] is None else f"{one['model']} {one['champion']}"
        work = one["at_work"]
        doing = (
            "-" if work is None else f"shot {work['shot']:04d}: {work['step'] or 'begins'} {work['state']}"
        )
        table.add_row(
            one["job"],
            champion,
            told,
            Text(one["problem"] or one["waits_for"] or "-", style="red" if one["problem"] else ""),
            _time(one["next"]) if one["next"] else "-",
            doing,
        )
    return table


def _status(name: str, job: Job | str, ledger: Ledger, now: datetime, pointed: "_Aliases") -> dict[str, Any]:
    last, model = ledger.last(name), None
    if isinstance(job, Job):
        model = job.model
    elif last is not None and last.decision is not None:
        model = last.decision.model
    return {
        "job": name,
        "model": model,
        **pointed.of(model),
        "waits_for": job.start.told if isinstance(job, Job) else None,
        "next": _next(job, now) if isinstance(job, Job) else None,
        "last": None if last is None else decided(last),
        "at_work": _at_work(name, ledger, pointed.call),
        "problem": job if isinstance(job, str) else None,
    }


def _job(name: str, folder: Path) -> Job | str:
    """The job of a folder, or why there is none."""
    if name not in list_jobs(folder):
        return f"its file is not in {shown_path(folder)}; jobs=FOLDER or job=FILE names it"
    try:
        return load_job(name, folder)
    except InputError as error:
        return str(error)


def _next(job: Job, now: datetime) -> str | None:
    """When the schedule has the job run next, in UTC."""
    if job.schedule is None:
        return None
    from pipelines.scheduling.due_times import due_after

    found = next(due_after(job.schedule.cron, job.schedule.zone, now), None)
    return None if found is None else found.astimezone(UTC).isoformat(timespec="minutes")


def _at_work(name: str, ledger: Ledger, call: Call) -> dict[str, Any] | None:
    """The unfinished shot of a job: at work where somebody holds the job's lock, else interrupted."""
    from pipelines.locking import Lock
    from pipelines.retraining.removal import is_free

    rows = ledger.unfinished(name)
    if not rows:
        return None
    row = rows[0]
    state = "(interrupted)" if is_free(Lock(home_of(call.settings, name) / ".lock")) else "(at work)"
    return {"shot": row.number, "step": row.step, "began": row.began, "state": state}


class _Aliases:
    """Where aliases point, asked once for each model; nothing where there is no registry yet."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._known: dict[str, dict[str, int | None]] = {}

    def of(self, model: str | None) -> dict[str, int | None]:
        """The versions that are champion and previous."""
        nothing: dict[str, int | None] = {"champion": None, "previous": None}
        if model is None or not registry_is_there(self.call.settings):
            return nothing
        if model not in self._known:
            from pipelines.registry.registry import open_registry

            models = open_registry(self.call.settings)
            found = {alias: models.version(model, alias) for alias in nothing}
            numbers = {alias: None if one is None else int(one.number) for alias, one in found.items()}
            self._known[model] = numbers
        return self._known[model]


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"limit={text}: give a whole number of decisions, 1 or more")
    return int(text)


def _folder(call: Call, row: Row) -> str | None:
    """The folder of a shot, where it has one."""
    path = home_of(call.settings, row.job) / f"{row.number:04d}"
    return str(path) if path.is_dir() else None


def _time(text: str | None) -> str:
    return "-" if not text else text.removesuffix("+00:00").replace("T", " ")[:16]


def _versions(one: dict[str, Any]) -> str:
    """How the champion changed: 3 -> 4."""
    before = "-" if one["champion"] is None else str(one["champion"])
    after = {"promoted": one["challenger"], "rolled_back": one["restored"]}.get(str(one["outcome"]))
    return before if after is None else f"{before} -> {after}"


def _gain(gain: dict[str, Any] | None) -> str:
    """The gain of the challenger in per cent, with its interval."""
    if not gain or gain.get("value") is None:
        return "-"
    parts = [gain.get(key) for key in ("value", "low", "high")]
    value, low, high = ("?" if part is None else f"{100 * part:+.1f}" for part in parts)
    return f"{value} % ({low} to {high})"
