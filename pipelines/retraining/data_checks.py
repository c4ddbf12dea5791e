"""A look at the data before anything is trained: what is new, and what is wrong with it.

What has arrived since the last good look is compared with the figures of that look, which the ledger keeps
as a plain dict (`Look.as_plain`); the first look compares the newest tenth with the rest. Bounds are wide: a
season or a record day passes; degrees Celsius for kelvin, a factor of ten, missing days, a stuck sensor or
emptied captions do not.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import Field

from datamodules.errors import InputError
from datamodules.options import Options
from pipelines.settings import Settings


class ChecksOptions(Options):
    """What makes data bad, so that nothing is trained on them. A share is 0 to 1.

    missing_steps: share of the new steps that may be absent.
    missing_values: by how much the share of missing values of a variable may grow.
    beyond_range: share of the values in the worst tenth of the new steps that may lie further from the known
        range than `range_slack` ranges.
    range_slack: ranges of the known values by which new ones may pass them.
    change: factor by which the usual change from step to step may grow or shrink (not of what falls to 0).
    repeated_steps: share of the new maps that may equal the one before.
    duplicated_steps: how many moments more may lie in two files.
    vanished: share of the steps or clips of the last good look that may be gone.
    bad_clips: share of the new clips that may be unreadable.
    captions: factor by which captions a clip, words a caption, and the share of distinct captions may shrink.
    fewest: new clips below which their captions are not compared.
    """

    missing_steps: float = Field(default=0.05, ge=0, le=1)
    missing_values: float = Field(default=0.05, ge=0, le=1)
    beyond_range: float = Field(default=0.01, ge=0, le=1)
    range_slack: float = Field(default=1.0, ge=0)
    change: float = Field(default=4.0, gt=1)
    repeated_steps: float = Field(default=0.1, ge=0, le=1)
    duplicated_steps: int = Field(default=0, ge=0)
    vanished: float = Field(default=0.0, ge=0, le=1)
    bad_clips: float = Field(default=0.05, ge=0, le=1)
    captions: float = Field(default=2.0, gt=1)
    fewest: int = Field(default=10, ge=1)


@dataclass(frozen=True)
class Look:
    """What the data hold. `problems`: why they are bad, a sentence each; none where they are good.

    kind: maps or clips.     count: steps or clips in all.     new: those since the last good look.
    first, last: of the maps (ISO); None for clips.     digest: equal for equal data, else not.
    summary: figures that the next look compares with, and that a page may show.
    """

    kind: str
    count: int
    new: int
    first: str | None
    last: str | None
    digest: str
    summary: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**asdict(self), "summary": dict(self.summary), "problems": list(self.problems)}


def check_data(settings: Settings, options: ChecksOptions, before: Mapping[str, Any] | None = None) -> Look:
    """What the data hold now, and what is wrong with what is new since `before`, the last good look.

    Maps are packed here once, for training too; only new steps are read again. Clips that were opened before
    are not opened again. Files that cannot be read are a problem, no error.
    """
    kind = "maps" if settings.task.kind == "forecast" else "clips"
    known = before if before is not None and before.get("kind") == kind else None
    try:
        if kind == "maps":
            from pipelines.retraining.look_at_maps import look_at_maps

            return look_at_maps(settings, options, known)
        from pipelines.retraining.look_at_clips import look_at_clips

        return look_at_clips(settings, options, known)
    except InputError as error:
        return Look(kind, 0, 0, None, None, "", problems=(str(error),))
