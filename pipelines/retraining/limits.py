"""What a job allows a shot to cost, and when a champion is judged again. Imports nothing slow."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from datamodules.options import Options, sentence

Positive = Annotated[float, Field(gt=0)]


class LimitsOptions(Options):
    """What a shot may cost.

    minutes: of training in one shot; a challenger that needs longer is stopped and goes on with the next, if
        no data came meanwhile: give it more time than a training takes where data come with every shot.
    grace_seconds: between SIGTERM, which has training write a checkpoint, and SIGKILL.
    retries: how often training goes on after a passing fault (a crash, no memory) within a shot.
    backoff_seconds: before the first of them; each further wait is twice as long.
    disk_gb: free space that a shot needs on the disk of paths.runs; with less it fails before it begins.
    """

    minutes: Positive | None = None
    grace_seconds: Positive = 60.0
    retries: int = Field(default=2, ge=0, le=20)
    backoff_seconds: float = Field(default=30.0, ge=0)
    disk_gb: float = Field(default=1.0, ge=0)

    def backoff(self, retry: int) -> float:
        """Seconds before retry number `retry`, counted from 1; an hour at most."""
        return float(min(3600.0, self.backoff_seconds * 2 ** (retry - 1)))


class WatchOptions(Options):
    """When the champion is judged again, beside the one before it, and when it is rolled back.

    after_steps: of new maps since the promotion; data that are fewer are waited for.
    after_clips: the same for clips.
    worse_by: the share by which it has to be worse than the former champion, such as 0.02.
    confidence: how sure it has to be that it is worse at all.
    """

    after_steps: int | None = Field(default=None, ge=1)
    after_clips: int | None = Field(default=None, ge=1)
    worse_by: float = Field(default=0.0, ge=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.after_steps is None) == (self.after_clips is None):
            raise sentence("set one of after_steps (maps) and after_clips (clips)")
        return self
