"""review: look after runs that were made: send what a tracking server has not got yet."""

import logging
from pathlib import Path
from typing import Any

from pipelines.tracking.destination import destination
from pipelines.tracking.sync import sync as send_all
from pipelines.verbs import Call

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a server may keep a run waiting before the rest is left for another time."""


def review(call: Call) -> dict[str, Any]:
    """Do what the action says, for `run=` or for every run under paths.runs. Returns a row for each run."""
    assert call.action in ACTIONS  # the command line has seen to it
    return ACTIONS[call.action](call)


def sync(call: Call) -> dict[str, Any]:
    """Send what is left of `run=`, or of every run under paths.runs. Returns a row for each run."""
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


ACTIONS = {"sync": sync}
