"""By how much a champion's score on the newest data has sunk since it was promoted."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.compose import compose
from pipelines.retraining.paired import Paired
from pipelines.retraining.under_way import Shot
from pipelines.rundir import RunDir

if TYPE_CHECKING:
    from pipelines.retraining.decision import Decision

WHOLE = "all"


def promoting(shot: Shot, version: int) -> "Decision | None":
    """The decision that made `version` champion; None where no shot of the job did."""
    for row in shot.ledger.history(shot.job.name):
        decision = row.decision
        if decision is not None and decision.outcome == "promoted" and decision.challenger == version:
            return decision
    return None


def sunk(shot: Shot, version: int, champion: RunDir) -> float | None:
    """The share by which the champion is worse on the newest windows than where it was promoted.

    0.1 is 10 %: of its error (maps), or of its score (clips), as a mean over all quantities and lead times.
    None where the job does not ask, or nothing is known of the promotion. Errors: InputError.
    """
    if shot.job.start.score_sank is None:
        return None
    decision = promoting(shot, version)
    if decision is None or not decision.verdict:
        return None
    from pipelines.retraining.paired import paired_for
    from pipelines.retraining.splits import plan_splits

    with TemporaryDirectory(prefix="skyreel-newest-") as folder:
        plan = plan_splits(shot.settings, shot.job.judge, champion, Path(folder))
        settings = compose([*shot.words, *plan.words]).settings
        now = paired_for(champion, champion, settings, Path(folder), shot.job.judge)
    return worse_by(decision.verdict.get("cells") or (), now)


def worse_by(then: Sequence[Mapping[str, Any]], now: Paired) -> float | None:
    """The mean share by which the figures `now` are worse than the challenger's of an earlier verdict."""
    errors = now.form == "root_mean_square"
    before = {(one["quantity"], one["lead"]): one["challenger"] for one in then if one["part"] == WHOLE}
    shares = []
    for number, cell in enumerate(now.cells):
        was = before.get((cell.quantity, cell.lead))
        values = now.challenger[:, number]
        if cell.part != WHOLE or not was or not np.isfinite(values).any():
            continue
        mean = float(np.nanmean(values))
        shares.append(math.sqrt(mean) / was - 1 if errors else 1 - mean / was)
    return sum(shares) / len(shares) if shares else None
