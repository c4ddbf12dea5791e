"""The gate: whether a challenger is better than the champion on the same cases, beyond what chance makes.

The gain of a cell (a variable at a lead time in a region; a caption score over a slice) is the champion's
error saved: 1 - rmse / rmse of the champion, or score / score of the champion - 1. The figure that decides is
the mean gain over the cells of the whole. Champion and challenger are resampled together, case by case, so
that what makes a case hard for both does not count.

With the default options at most 5 % of equally good challengers pass, and at least 80 % of those better by
5 % over 240 forecast times, by 8 % over 120 (where errors of neighbouring times correlate by 0.6 or less), by
12 % over 1,000 clips or by 25 % over 300: `python -m benchmarks.gate` simulates it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pipelines.retraining.bootstrap import FEWEST_BLOCKS, Interval, intervals
from pipelines.retraining.gains import WHOLE, block_of, gains_of, in_time, mean_gain
from pipelines.retraining.gate_options import GateOptions, GuardOptions
from pipelines.retraining.paired import Paired
from pipelines.retraining.verdict import Group, Verdict, percent

NOTHING = "no case has a score of both models, so nothing can be compared"

__all__ = ["GateOptions", "Group", "GuardOptions", "Verdict", "decide"]


def decide(paired: Paired, options: GateOptions, seed: int) -> Verdict:
    """Whether the challenger passes; the same for the same scores, options and seed.

    It passes when the low end of the interval of the mean gain is above 0, the gain is at least
    `options.minimum_gain`, and no guarded group loses more than its guard. Scores that cannot tell (fewer
    than eight blocks of cases, values that only the challenger lacks) are refused with the reason.
    """
    if not paired.cases or not any(cell.part == WHOLE for cell in paired.cells):
        unknown = Interval(math.nan, math.nan, math.nan)
        return Verdict(False, unknown, (), len(paired.cases), paired.least_block, (NOTHING,))
    valid = np.isfinite(paired.champion) & np.isfinite(paired.challenger)
    block = block_of(paired, valid, options)
    blocks = len(paired.cases) / block
    figures, resampled = gains_of(paired, valid, block, options, seed)
    whole = np.array([cell.part == WHOLE for cell in paired.cells])
    gain = intervals(*mean_gain(figures, resampled, whole), blocks, options.confidence)[0]
    groups = tuple(_groups(paired, valid, figures, resampled, blocks, options))
    reasons = [*_lacking(paired, valid, block), *_short(gain, options, whole, paired), *_worse(groups)]
    return Verdict(
        passed=not reasons,
        gain=gain,
        groups=groups,
        cases=len(paired.cases),
        block=block,
        reasons=tuple(reasons),
        confidence=options.confidence,
        cells=tuple(_cells(paired, valid, figures)),
    )


def _groups(
    paired: Paired,
    valid: np.ndarray,
    figures: np.ndarray,
    resampled: np.ndarray,
    blocks: float,
    options: GateOptions,
) -> Iterator[Group]:
    """Lead times, variables, regions of forecasts; metrics and slices of captions. In order of the cells."""
    forecasts = in_time(paired)
    whole = [cell.part == WHOLE for cell in paired.cells]
    labels: dict[str, list[str]] = {
        "lead": [cell.lead if all_ else "" for cell, all_ in zip(paired.cells, whole, strict=True)],
        "variable" if forecasts else "metric": [
            cell.quantity if all_ else "" for cell, all_ in zip(paired.cells, whole, strict=True)
        ],
        "region" if forecasts else "slice": [
            "" if all_ else cell.part for cell, all_ in zip(paired.cells, whole, strict=True)
        ],
    }
    for kind, names in labels.items():
        for name in dict.fromkeys(filter(None, names)):
            chosen = np.array([one == name for one in names])
            gain = intervals(*mean_gain(figures, resampled, chosen), blocks, options.confidence)[0]
            cases = int(valid[:, chosen].any(axis=1).sum())
            enough = cases * blocks / len(paired.cases) >= FEWEST_BLOCKS
            guard = getattr(options.guards, kind) if enough else None
            yield Group(kind, name, gain, guard, guard is None or gain.value >= -guard, cases)


def _lacking(paired: Paired, valid: np.ndarray, block: int) -> Iterator[str]:
    """Why the scores cannot tell, a sentence each."""
    gone = np.isfinite(paired.champion) & ~np.isfinite(paired.challenger)
    if gone.any():
        cases = np.flatnonzero(gone.any(axis=1))
        yield (
            f"the challenger has no finite score in {len(cases)} of {len(paired.cases)} cases in which the "
            f"champion has one, the first {paired.cases[cases[0]]}"
        )
    if len(paired.cases) < FEWEST_BLOCKS * block:
        what = "forecast times" if in_time(paired) else "clips"
        yield (
            f"{len(paired.cases)} {what} are too few to tell: errors hang together over {block}, and at "
            f"least {FEWEST_BLOCKS} such blocks are needed, so {FEWEST_BLOCKS * block}"
        )


def _short(gain: Interval, options: GateOptions, whole: np.ndarray, paired: Paired) -> Iterator[str]:
    """Why the gain is not enough, a sentence each."""
    if not math.isfinite(gain.value):
        yield NOTHING
        return
    if np.array_equal(paired.champion[:, whole], paired.challenger[:, whole], equal_nan=True):
        yield "the two have the same score in every case"
        return
    span = f"({percent(gain.low)} to {percent(gain.high)} at {options.confidence:.0%} confidence)"
    if not gain.low > 0:
        worse = "worse" if gain.high < 0 else "no better beyond chance"
        yield f"the challenger is {worse}: its gain is {percent(gain.value)} {span}"
    elif gain.value < options.minimum_gain:
        least = percent(options.minimum_gain)
        yield f"its gain is {percent(gain.value)} {span}, less than gate.minimum_gain, {least}"


def _worse(groups: Sequence[Group]) -> Iterator[str]:
    """Groups beyond their guards, a sentence each."""
    for group in groups:
        if not group.ok and group.guard is not None:
            yield (
                f"{group.kind} {group.name} loses {percent(-group.gain.value)}, more than the "
                f"{percent(group.guard)} that gate.guards.{group.kind} allows"
            )


def _cells(paired: Paired, valid: np.ndarray, gains: np.ndarray) -> Iterator[dict[str, Any]]:
    """Each cell's figures in its units, and the gain."""
    count = valid.sum(axis=0)
    for number, cell in enumerate(paired.cells):
        found = {}
        for name, values in (("champion", paired.champion), ("challenger", paired.challenger)):
            mean = values[valid[:, number], number].mean() if count[number] else math.nan
            figure = mean if paired.form == "mean" else math.sqrt(mean)
            found[name] = float(figure) if math.isfinite(figure) else None
        gain = float(gains[number])
        yield {
            **asdict(cell),
            "units": paired.units.get(cell.quantity, ""),
            **found,
            "gain": gain if math.isfinite(gain) else None,
        }
