"""evaluate: the checkpoint that validation chose, judged on the test split beside every reference."""

import fnmatch
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.changes import ABSENT, Change, differences
from pipelines.console import rank
from pipelines.placement import heard_from_first, placed, tell_others
from pipelines.redact import settings_without_secrets
from pipelines.rundir import RunDir
from pipelines.systems import open_system
from pipelines.verbs import Call

log = logging.getLogger(__name__)

DECIDE = ("data.*", "task.*", "model.*")
SAME = ("data.workers", "data.batch_size")
"""Settings that decide the figures of a checkpoint, and those among them that do not."""


def evaluate(call: Call) -> dict[str, Any]:
    """Judge a run's best checkpoint (or `checkpoint=FILE`) on its test split again, on any number of ranks.

    With another checkpoint than the best, or settings that give other figures than the run's own (another
    way to decode, say), only the result is returned; the run's files stay.
    """
    run = RunDir(Path(call.run or "").absolute())
    checkpoint = Path(call.checkpoint) if call.checkpoint else run.best
    changes = other_settings(run, call.config)
    trainer = placed(call.settings.trainer)
    # a judge begins from the checkpoint alone
    settings = call.settings.model_copy(update={"start": None, "trainer": trainer})
    # a registered model stays as it was packed
    publish = call.checkpoint is None and call.model is None and not changes
    system = open_system(settings)
    if rank():
        heard_from_first()
    else:
        tell_others("evaluate")
    judged = system.judge(run, checkpoint, publish=publish)
    if rank():
        return {}
    if changes:
        told = "; ".join(map(str, changes))
        log.info("the files of the run stay as they are, for these figures are of other settings: %s", told)
    if not call.json:
        judged.show()
    return {"run": str(run.path), "checkpoint": str(checkpoint), "metrics": dict(judged.metrics)}


def other_settings(run: RunDir, config: Mapping[str, Any]) -> list[Change]:
    """What decides figures and differs from the run's own settings; keys that the run's release had not yet
    are no change."""
    return [
        change
        for change in differences(run.read_config(), settings_without_secrets(dict(config)))
        if change.before is not ABSENT
        and any(fnmatch.fnmatch(change.key, key) for key in DECIDE)
        and change.key not in SAME
    ]
