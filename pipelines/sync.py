"""sync: send what a tracking server has not got yet, of one run or of all."""

import logging
from pathlib import Path
from typing import Any

from pipelines.tracking.sender import Destination
from pipelines.tracking.server import artifact_location
from pipelines.tracking.sync import sync as send_all
from pipelines.verbs import Call

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a server may keep a run waiting before the rest is left for another time."""


def sync(call: Call) -> dict[str, Any]:
    """Send what is left of `run=`, or of every run under paths.runs. Returns a row for each run."""
    settings, runs = call.settings, Path(call.settings.paths.runs)
    uri = settings.tracking_uri
    if uri is None:
        log.info("tracking.kind=none: there is nowhere to send to")
        return {"runs": []}
    to = Destination(uri, artifact_location(uri, runs))
    found = []
    for one in send_all(call.run, runs, to, PATIENCE):
        log.info(
            "%s: %d records sent, %d left%s",
            one.run,
            one.sent,
            one.left,
            f" ({one.reason})" if one.reason else "",
        )
        found.append({"run": str(one.run), "run_id": one.run_id, "sent": one.sent, "left": one.left})
    return {"runs": found}
