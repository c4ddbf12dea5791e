"""review: look after runs that were made: list, compare and export them, report them, send what is left."""

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.mistakes import CallError, Mistake
from pipelines.verbs import ARGUMENTS, Call

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a server may keep a run waiting before the rest is left for another time."""


@dataclass(frozen=True)
class Action:
    """What follows the verb: `target` is "module:function"; the arguments it takes, and those it needs."""

    target: str
    takes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    example: str = ""


CHOICE = ("experiment", "filter", "sort", "columns", "limit")

ACTIONS = {
    "list": Action("pipelines.reviewing.listing:list_runs", CHOICE),
    "compare": Action(
        "pipelines.reviewing.comparing:compare_runs",
        ("runs",),
        ("runs",),
        "skyreel review compare runs=runs/sample_weather/first,runs/sample_weather/second",
    ),
    "best": Action(
        "pipelines.reviewing.listing:best_run",
        ("experiment", "filter", "metric"),
        ("metric",),
        "skyreel review best experiment=sample_weather metric=test/rmse/air/24h",
    ),
    "export": Action(
        "pipelines.reviewing.listing:export_runs",
        (*CHOICE, "output"),
        ("output",),
        "skyreel review export experiment=sample_weather output=runs.csv",
    ),
    "report": Action("pipelines.reports.report:report", ("run", "runs", "output")),
    "sync": Action("pipelines.review:sync", ("run",)),
}


def review(call: Call) -> dict[str, Any]:
    """Do what the action says. CallError where its arguments are not those that it takes and needs."""
    assert call.action in ACTIONS  # the command line has seen to it
    action = ACTIONS[call.action]
    _check(call, action)
    module, _, function = action.target.partition(":")
    work: Callable[[Call], dict[str, Any]] = getattr(importlib.import_module(module), function)
    return work(call)


def _check(call: Call, action: Action) -> None:
    every = dict.fromkeys(name for one in ACTIONS.values() for name in one.takes)
    taken = ", ".join(f"{name}=" for name in action.takes)
    mistakes = [
        Mistake(name, f"review {call.action} does not take this; it takes {taken}.", getattr(call, name))
        for name in every
        if name not in action.takes and getattr(call, name) is not None
    ]
    mistakes += [
        Mistake(
            f"{name}=", f"review {call.action} needs this: {ARGUMENTS[name]}. For example: {action.example}"
        )
        for name in action.needs
        if getattr(call, name) is None
    ]
    if mistakes:
        raise CallError(mistakes)


def sync(call: Call) -> dict[str, Any]:
    """Send what is left of `run=`, or of every run under paths.runs. Returns a row for each run."""
    from pipelines.tracking.destination import destination
    from pipelines.tracking.sync import sync as send_all

    to = destination(call.settings)
    if to is None:
        log.info("tracking.kind=none: there is nowhere to send to")
        return {"runs": []}
    found = []
    for one in send_all(call.run, Path(call.settings.paths.runs), to, PATIENCE):
        why = f" ({one.reason})" if one.reason else ""
        log.info("%s: %d records sent, %d left%s", one.run, one.sent, one.left, why)
        found.append({"run": str(one.run), "run_id": one.run_id, "sent": one.sent, "left": one.left})
    return {"runs": found}
