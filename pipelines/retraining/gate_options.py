"""What the gate asks of a challenger. Imports nothing slow."""

from pydantic import Field

from datamodules.options import Options


class GuardOptions(Options):
    """How much worse than the champion a part may be: 0.02 is 2 %. null leaves parts of the kind unguarded.

    lead: mean over variables at one lead time.
    variable: mean over the lead times of one variable.
    region: mean over variables and lead times in one region.
    metric: one caption score over all clips.
    slice: mean over caption scores in one slice of the clips.
    """

    lead: float | None = Field(default=0.02, ge=0)
    variable: float | None = Field(default=0.02, ge=0)
    region: float | None = Field(default=0.03, ge=0)
    metric: float | None = Field(default=0.02, ge=0)
    slice: float | None = Field(default=0.10, ge=0)


class GateOptions(Options):
    """What a challenger must show to be promoted.

    minimum_gain: the least mean gain over the champion: 0.01 is 1 %.
    confidence: of the interval whose low end must lie above 0.
    guards: how much worse single lead times, variables, regions, scores and slices may be.
    resamples: how often the cases are drawn anew.
    block: cases that are drawn together; null finds how long errors hang together (clips: one by one).
    """

    minimum_gain: float = Field(default=0.01, ge=0)
    confidence: float = Field(default=0.98, gt=0.5, lt=1)
    guards: GuardOptions = GuardOptions()
    resamples: int = Field(default=4000, ge=200, le=100_000)
    block: int | None = Field(default=None, ge=1)
