"""evaluate: the checkpoint that validation chose, judged on the test split beside every reference."""

from pathlib import Path
from typing import Any

from pipelines.console import rank
from pipelines.rundir import RunDir
from pipelines.systems import open_system
from pipelines.verbs import Call


def evaluate(call: Call) -> dict[str, Any]:
    """Judge a run's best checkpoint (or `checkpoint=FILE`) on its test split again, on any number of ranks.

    With another checkpoint than the run's best only the result is returned; the run's files stay.
    """
    run = RunDir(Path(call.run or "").absolute())
    checkpoint = Path(call.checkpoint) if call.checkpoint else run.best
    judged = open_system(call.settings).judge(run, checkpoint, publish=call.checkpoint is None)
    if rank():
        return {}
    if not call.json:
        judged.show()
    return {"run": str(run.path), "checkpoint": str(checkpoint), "metrics": dict(judged.metrics)}
