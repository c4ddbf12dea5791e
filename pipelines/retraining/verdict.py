"""What the gate found: the verdict, and the gain of every group of cells."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.retraining.bootstrap import Interval


@dataclass(frozen=True)
class Group:
    """The mean gain of the cells that share a lead time, a variable, a region, a metric or a slice.

    guard: the loss that is allowed; None where none is, or where `cases` are too few to tell.
    """

    kind: str
    name: str
    gain: Interval
    guard: float | None
    ok: bool
    cases: int = 0


@dataclass(frozen=True)
class Verdict:
    """What the gate found: `passed`, or `reasons` why not, a sentence each.

    gain: mean over the cells of the whole.     block: cases drawn together.     units: of each quantity.
    cells: (quantity, lead, part) with the champion's and the challenger's figure and the gain.
    """

    passed: bool
    gain: Interval
    groups: tuple[Group, ...]
    cases: int
    block: int
    reasons: tuple[str, ...]
    confidence: float = 0.98
    cells: tuple[Mapping[str, Any], ...] = ()

    @property
    def told(self) -> str:
        """The verdict in a sentence."""
        if not self.passed:
            return "; ".join(self.reasons)
        low, high = percent(self.gain.low), percent(self.gain.high)
        return f"better by {percent(self.gain.value)} ({low} to {high}) over {self.cases} cases"

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as decision.json holds them; None for what is not defined."""
        groups = [{**asdict(group), "gain": group.gain.as_plain()} for group in self.groups]
        return {
            "passed": self.passed,
            "gain": self.gain.as_plain(),
            "confidence": self.confidence,
            "groups": groups,
            "cases": self.cases,
            "block": self.block,
            "reasons": list(self.reasons),
            "told": self.told,
            "cells": [dict(cell) for cell in self.cells],
        }


def percent(share: float) -> str:
    """A share as people read it: "1.25 %"."""
    return f"{100 * share:.2f} %".replace("-0.00", "0.00")
