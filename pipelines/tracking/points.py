"""Which points of a run's curves are in its journal already: a run that goes on logs none of them twice."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FIGURES = ("test/", "reference/", "by_lead/")
"""How the names of final figures begin: they have no curve, and appear again only where they changed."""
CURVES = ("train/", "validation/")
"""How the names begin whose steps tell how far a run is."""
OWN_CLOCK = b'"system/'
"""Names that follow the clock: whoever samples them sees to it that their steps grow."""


class Points:
    """The points that a journal holds, by metric and step.

    A run that goes on repeats the steps since its checkpoint: a step that an earlier launch has passed is not
    new. Within one launch everything is, but the same value at the same step told twice in a row.
    """

    def __init__(self, journal: Path) -> None:
        """Read the journal, as far as it goes now: about 3 s for a million records."""
        self._passed: dict[str, int] = {}
        self._figures: dict[tuple[str, int], float] = {}
        self._told: dict[str, tuple[int, float]] = {}
        for metrics, step in _earlier(journal):
            for name, value in metrics.items():
                if name.startswith(FIGURES):
                    self._figures[name, step] = value
                elif step > self._passed.get(name, -1):
                    self._passed[name] = step
        self._before = max(
            (step for name, step in self._passed.items() if name.startswith(CURVES)), default=0
        )
        self._newest: int | None = None

    @property
    def newest_step(self) -> int:
        """The largest step of a curve: told in this launch, new or not; else in earlier ones; else 0."""
        return self._before if self._newest is None else self._newest

    def new(self, metrics: Mapping[str, float], step: int) -> dict[str, float]:
        """Those of `metrics` that the journal does not hold at `step`; they count as told from now on."""
        if any(name.startswith(CURVES) for name in metrics):
            self._newest = max(step, self._newest or 0)
        return {name: value for name, value in metrics.items() if self._is_new(name, value, step)}

    def _is_new(self, name: str, value: float, step: int) -> bool:
        if name.startswith(FIGURES):
            before = self._figures.get((name, step))
            self._figures[name, step] = value
            return before is None or not _same(before, value)
        if step <= self._passed.get(name, -1):
            return False
        told = self._told.get(name)
        self._told[name] = (step, value)
        return told is None or told[0] != step or not _same(told[1], value)


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _earlier(journal: Path) -> Iterator[tuple[dict[str, float], int]]:
    """The metrics and step of every whole record of metrics that does not follow the clock."""
    if not journal.exists():
        return
    with journal.open("rb") as file:
        for line in file:
            if b'"metrics"' not in line or OWN_CLOCK in line:
                continue
            try:
                record: Any = json.loads(line)
                yield dict(record["metrics"]), int(record["step"])
            except (ValueError, KeyError, TypeError):
                continue
