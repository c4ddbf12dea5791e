"""How a trial gets on: the validation figures in its journal, read while it is written."""

import math
from dataclasses import dataclass
from pathlib import Path

from pipelines.sweeps.options import Ranking
from pipelines.tracking.journal import JOURNAL, read


@dataclass(frozen=True)
class Point:
    """One validation: its epoch from 0, the figure that ranks trials, the one that chooses checkpoints."""

    epoch: int
    figure: float
    monitor: float


class Course:
    """The validations of one run directory so far, by epoch. Nothing is sent, and nobody waits."""

    def __init__(self, run: Path, ranking: Ranking) -> None:
        self._journal = run / "tracking" / JOURNAL
        self._ranking = ranking
        self._offset = 0
        self.points: dict[int, Point] = {}

    def update(self) -> list[int]:
        """Read what is new; the epochs that were not known before, in order."""
        known = set(self.points)
        while entries := read(self._journal, self._offset):
            self._offset = entries[-1].end
            for entry in entries:
                if entry.record is not None and entry.record["kind"] == "metrics":
                    self._add(entry.record.get("metrics", {}))
        return sorted(set(self.points) - known)

    def _add(self, metrics: dict[str, float]) -> None:
        """Keep a validation; an epoch that is told again after a kill counts as it was told last."""
        names = (self._ranking.figure, self._ranking.monitor, "epoch")
        if all(name in metrics for name in names):
            figure, monitor, epoch = (float(metrics[name]) for name in names)
            self.points[int(epoch)] = Point(int(epoch), figure, monitor)

    def best(self, until: int | None = None) -> Point | None:
        """The validation whose checkpoint would be kept, up to an epoch; None without a finite figure."""
        sign = 1 if self._ranking.monitor_mode == "min" else -1
        found = [
            point
            for epoch, point in sorted(self.points.items())
            if (until is None or epoch <= until)
            and math.isfinite(point.monitor)
            and math.isfinite(point.figure)
        ]
        return min(found, key=lambda point: sign * point.monitor, default=None)

    @property
    def last(self) -> int | None:
        """The newest epoch that was validated."""
        return max(self.points, default=None)
