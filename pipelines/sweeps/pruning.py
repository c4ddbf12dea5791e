"""When a trial is hopeless: the median rule (Golovin et al. 2017, Google Vizier, section 3.2.2)."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.sweeps.course import Course
from pipelines.sweeps.options import Ranking


@dataclass(frozen=True)
class MedianRule:
    """Stops a trial whose best figure so far is worse than the median of the others' at the same epoch.

    Others are all trials that have come as far, pruned ones too: else the rule would grow harder with each
    that it stops. Nothing is stopped in the first `warmup_epochs`, nor beside fewer than `warmup_trials`.
    """

    ranking: Ranking
    warmup_epochs: int
    warmup_trials: int

    def reason(self, number: int, epoch: int, courses: Mapping[int, Course]) -> str | None:
        """Why trial `number` is to be stopped after its validation of `epoch`; None when it goes on."""
        if epoch < self.warmup_epochs:
            return None
        figures = [
            point.figure
            for other, course in courses.items()
            if other != number and course.last is not None and course.last >= epoch
            if (point := course.best(epoch)) is not None
        ]
        if len(figures) < self.warmup_trials:
            return None
        median = statistics.median(figures)
        own = courses[number].best(epoch)
        if own is not None and self.ranking.sign * (own.figure - median) <= 0:
            return None
        found = "no finite figure" if own is None else f"{own.figure:.4g}"
        beside = f"{len(figures)} other trials" if len(figures) > 1 else "1 other trial"
        return f"{found} after {epoch + 1} epochs; the median of {beside} was {median:.4g}"
