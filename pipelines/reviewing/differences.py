"""How much better one run is than another over the cases that both were judged on, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.errors import InputError
from pipelines.forecasts.case_errors import CaseErrors
from pipelines.retraining.bootstrap import (
    FEWEST_BLOCKS,
    Interval,
    block_length,
    intervals,
    resampled_sums,
)

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0
DATE_LENGTHS = (7, 10, 16)
"""Characters of an ISO time that tell its month, its day, its minute."""


@dataclass(frozen=True)
class Differences:
    """What a run gains on the first.

    gains: of forecasts by (quantity, lead name), 1 - rmse / rmse of the first, the lead "" for the mean of
        all leads; of captions by (score, ""), score - score of the first. Above 0 is better.
    cases: so many were compared.     block: cases drawn together.
    """

    gains: dict[tuple[str, str], Interval]
    cases: int
    block: int

    @property
    def enough(self) -> bool:
        """Whether the cases make blocks enough for the intervals to be believed."""
        return self.cases >= FEWEST_BLOCKS * self.block


def forecast_differences(first: CaseErrors, other: CaseErrors) -> Differences:
    """Skill of `other` against `first`, with intervals of a paired moving-block bootstrap (see `bootstrap`).

    Over the forecasts that both made; where one lacks a value it counts in neither. The mean over the leads
    of a quantity stands under the lead "". InputError when they are `apart`.
    """
    cases = sorted(set(first.cases) & set(other.cases))
    leads = [name for name in first.lead_names if name in other.lead_names]
    quantities = [name for name in first.quantities if name in other.quantities]
    if told := apart(first, other):
        raise InputError(f"the one was judged {told[0]} and the other {told[1]}: they have none in common")
    (one, weight), (two, theirs) = (_chosen(errors, cases, leads, quantities) for errors in (first, other))
    valid = np.isfinite(one) & np.isfinite(two) & (weight > 0) & (theirs > 0)
    weight = np.where(valid, weight, 0.0)
    one, two = (np.where(valid, errors, 0.0) * weight for errors in (one, two))
    block = block_length(_influence(one, two), max(first.overlap, other.overlap))
    block = min(block, len(cases))
    cells = one.shape[1]
    columns = np.concatenate([one, two], axis=1)
    drawn = resampled_sums(columns, block, RESAMPLES, np.random.default_rng(SEED))
    figure, each = (_gain(sums[..., :cells], sums[..., cells:]) for sums in (columns.sum(axis=0), drawn))
    keys = [(quantity, lead) for lead in leads for quantity in quantities]
    for quantity in quantities:
        of = [place for place, key in enumerate(keys) if key[0] == quantity and key[1]]
        figure = np.append(figure, figure[of].mean())
        each = np.concatenate([each, each[:, of].mean(axis=1, keepdims=True)], axis=1)
    keys += [(quantity, "") for quantity in quantities]
    found = intervals(figure, each, len(cases) / block, CONFIDENCE)
    return Differences(dict(zip(keys, found, strict=True)), len(cases), block)


def apart(first: CaseErrors, other: CaseErrors) -> tuple[str, str] | None:
    """What each of two was judged on that the other was not at all; None where they can be compared."""
    told: list[tuple[str, str]] = []
    if not set(first.cases) & set(other.cases):
        one, two = _periods(first.cases, other.cases)
        told.append((f"on forecasts {one}", f"on forecasts {two}"))
    if not set(first.lead_names) & set(other.lead_names):
        one, two = (", ".join(errors.lead_names) or "none" for errors in (first, other))
        told.append((f"at lead times {one}", f"at lead times {two}"))
    if not set(first.quantities) & set(other.quantities):
        one, two = (", ".join(errors.quantities) or "none" for errors in (first, other))
        told.append((f"by variables {one}", f"by variables {two}"))
    if not told:
        return None
    one, two = (" ".join(words) for words in zip(*told, strict=True))
    return one, two


def _periods(first: Sequence[str], other: Sequence[str]) -> tuple[str, str]:
    """When two series of ISO times were, as coarse as tells them apart: in months, days, or times."""
    for length in DATE_LENGTHS:
        one, two = (sorted(case[:length] for case in cases) for cases in (first, other))
        if not (one and two) or one[-1] < two[0] or two[-1] < one[0]:
            break
    return _span(one), _span(two)


def _span(times: Sequence[str]) -> str:
    """The first and the last of sorted times."""
    if not times:
        return "of no time at all"
    return f"of {times[0]}" if times[0] == times[-1] else f"of {times[0]} to {times[-1]}"


def score_differences(names: Sequence[str], first: np.ndarray, other: np.ndarray) -> Differences:
    """Means of `other` - `first`, both (clip, score), with intervals of a paired bootstrap over clips."""
    moved = other - first
    drawn = resampled_sums(moved, 1, RESAMPLES, np.random.default_rng(SEED)) / len(moved)
    found = intervals(moved.mean(axis=0), drawn, len(moved), CONFIDENCE)
    return Differences({(name, ""): one for name, one in zip(names, found, strict=True)}, len(moved), 1)


def _chosen(
    errors: CaseErrors, cases: Sequence[str], leads: Sequence[str], quantities: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors and weights of the cases, leads and quantities, (case, lead x quantity)."""
    place = np.ix_(
        *(
            [{name: i for i, name in enumerate(there)}[name] for name in wanted]
            for there, wanted in (
                (errors.cases, cases),
                (errors.lead_names, leads),
                (errors.quantities, quantities),
            )
        )
    )
    return errors.squared[place].reshape(len(cases), -1), errors.weight[place].reshape(len(cases), -1)


def _gain(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 - rmse / rmse of the first, from sums of weighted squared errors; NaN where the first makes none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(first > 0, 1 - np.sqrt(other / first), np.nan)


def _influence(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much each case moves the mean gain, (case,): what neighbours share of it sets the block."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (first - other) / first.sum(axis=0)
    return np.nan_to_num(np.where(np.isfinite(moved), moved, 0.0).mean(axis=1))
