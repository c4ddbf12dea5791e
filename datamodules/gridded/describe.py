"""What one packed field is (`Channel`) and how far apart two frames are (`Step`)."""

from dataclasses import dataclass
from typing import Any

HOURS_PER_MONTH = 730.5
"""Hours of a mean month of the Gregorian calendar (8766 h / 12)."""


@dataclass(frozen=True)
class Channel:
    """One map per step: a variable, or one level of a variable that has a level axis.

    `name` is what settings, metrics and plots use ("air", "u_500"); `variable` is the name in the file,
    `level` the value of the level axis in the file's own unit, `units` as the file writes them ("" if
    absent).
    """

    name: str
    variable: str
    level: float | None
    units: str
    standard_name: str
    long_name: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values; `Channel(**d)` makes the channel again."""
        return {
            "name": self.name,
            "variable": self.variable,
            "level": self.level,
            "units": self.units,
            "standard_name": self.standard_name,
            "long_name": self.long_name,
        }


@dataclass(frozen=True)
class Step:
    """The distance of two frames: so many seconds, or so many calendar months. Exactly one is set."""

    seconds: int | None = None
    months: int | None = None

    def __post_init__(self) -> None:
        """Hold the promise that exactly one of the two is set, and positive."""
        if (self.seconds is None) == (self.months is None):
            raise ValueError(f"a step is either seconds or months, not {self.seconds=} and {self.months=}")
        if (self.seconds or self.months or 0) <= 0:
            raise ValueError(f"a step is positive, not {self.seconds=}, {self.months=}")

    @property
    def hours(self) -> float:
        """Hours of one step; a month counts 730.5 h."""
        if self.seconds is not None:
            return self.seconds / 3600
        return float(self.months or 0) * HOURS_PER_MONTH

    def lead_name(self, steps: int) -> str:
        """The name of the lead `steps` frames ahead: "6h", "24h", "0.5h", or "1mo" for calendar months."""
        if self.months is not None:
            return f"{steps * self.months}mo"
        return f"{steps * self.hours:.10g}h"

    def to_dict(self) -> dict[str, int | None]:
        """The fields as plain JSON values; `Step(**d)` makes the step again."""
        return {"seconds": self.seconds, "months": self.months}
