"""How honest the gate of retraining is: how often it promotes a challenger that is no better, or is.

    python -m benchmarks.gate [--json] [--pairs 200]

Simulated scores, of which the truth is known. Forecasts: errors of two models at twenty places over time,
part of them shared (hard weather is hard for both), each an autoregressive process whose neighbouring steps
have the given correlation; a forecast at lead k is judged on the step that the forecast before it reached at
k + 1, so that windows overlap as real ones do; two variables, four leads, two regions. Clips: skewed scores,
part of each clip's shared by both models, in two slices. In a pair without gain the two models are equally
good, in a pair with gain the challenger's errors are smaller (its scores higher) by that share.
Every pair goes through `decide` with the default settings. Exits with 1 where more than 5 % of the equal
pairs pass, or in the rows that the documentation promises (marked *) fewer than 80 % of the better ones.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipelines.retraining.bootstrap import FEWEST_BLOCKS
from pipelines.retraining.gate import GateOptions, decide
from pipelines.retraining.paired import Cell, Paired

MOST_EQUAL, LEAST_BETTER = 0.05, 0.80
PLACES, LEADS, VARIABLES = 20, 4, 2
OWN = 0.3
"""Share of the variance of errors that champion and challenger do not share."""


class Row(NamedTuple):
    """One line: cases of what kind, the correlation of neighbours (nan: clips), the gain, and what passed."""

    kind: str
    cases: int
    correlation: float
    gain: float
    promised: bool
    equal: float
    better: float
    too_few: float
    block: float


def forecasts(cases: int, correlation: float, gain: float, rng: np.random.Generator) -> Paired:
    """Scores of two models over overlapping forecasts, the challenger's errors smaller by `gain`."""
    steps = cases + LEADS
    cells: list[Cell] = []
    scores: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for variable in range(VARIABLES):
        shared, *own = (_errors(steps, correlation, rng) for _ in range(3))
        for lead in range(1, LEADS + 1):
            ahead = slice(lead, lead + cases)
            for model, mine in enumerate(own):
                error = math.sqrt(1 - OWN) * shared[ahead] + math.sqrt(OWN) * mine[ahead]
                squared = lead * ((1 - gain * model) * error) ** 2
                for part in (slice(None), slice(0, PLACES // 2), slice(PLACES // 2, None)):
                    scores[model].append(squared[:, part].mean(axis=1))
            cells += [Cell(f"variable {variable}", f"{6 * lead}h", part) for part in ("all", "west", "east")]
    champion, challenger = (np.stack(one, axis=1) for one in scores)
    times = np.datetime64("2001-01-01T00") + 6 * np.arange(cases)
    return Paired(tuple(map(str, times)), tuple(cells), champion, challenger, "root_mean_square", LEADS, {})


def _errors(steps: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """An autoregressive process at every place, (step, place), of variance 1."""
    fresh = rng.standard_normal((steps, PLACES)) * math.sqrt(1 - correlation**2)
    found = np.empty_like(fresh)
    found[0] = rng.standard_normal(PLACES)
    for step in range(1, steps):
        found[step] = correlation * found[step - 1] + fresh[step]
    return found


def clips(cases: int, gain: float, rng: np.random.Generator) -> Paired:
    """Scores of two models over clips, the challenger's higher by `gain`: mean 0.6, correlation 2/3."""
    easy = 0.6 * rng.gamma(1.0, 1.0, cases)
    champion, challenger = (easy * factor * rng.gamma(4.0, 0.25, cases) for factor in (1.0, 1.0 + gain))
    short = rng.random(cases) < 0.5
    parts = {"all": np.full(cases, True), "short captions": short, "long captions": ~short}
    cells = tuple(Cell("cider_d", "", part) for part in parts)
    first, second = (
        np.stack([np.where(part, scores, np.nan) for part in parts.values()], axis=1)
        for scores in (champion, challenger)
    )
    return Paired(tuple(f"clip {number}" for number in range(cases)), cells, first, second, "mean", 1, {})


def promoted(make: Callable[[np.random.Generator], Paired], pairs: int) -> tuple[float, float, float]:
    """Shares of the pairs that pass and that are too few to tell, and the median block."""
    found = [decide(make(np.random.default_rng([29, pair])), GateOptions(), pair) for pair in range(pairs)]
    few = sum(one.cases < FEWEST_BLOCKS * one.block for one in found)
    return (
        sum(one.passed for one in found) / pairs,
        few / pairs,
        float(np.median([one.block for one in found])),
    )


def row(kind: str, cases: int, correlation: float, gain: float, promised: bool, pairs: int) -> Row:
    """What passes without a gain and with one."""

    def make(share: float) -> Callable[[np.random.Generator], Paired]:
        if kind == "clips":
            return lambda rng: clips(cases, share, rng)
        return lambda rng: forecasts(cases, correlation, share, rng)

    equal = promoted(make(0.0), pairs)[0]
    return Row(kind, cases, correlation, gain, promised, equal, *promoted(make(gain), pairs))


def rows(pairs: int) -> list[Row]:
    """All lines: forecasts with errors that hang together little and long, many and few; clips."""
    plan = [
        *((240, correlation, 0.05, correlation <= 0.6) for correlation in (0.0, 0.3, 0.6, 0.8, 0.9)),
        *((120, correlation, 0.08, correlation <= 0.6) for correlation in (0.3, 0.6, 0.8)),
        (60, 0.6, 0.10, False),
    ]
    return [
        *(row("forecasts", *one, pairs) for one in plan),
        *(row("clips", cases, math.nan, gain, True, pairs) for cases, gain in ((1000, 0.12), (300, 0.25))),
    ]


def holds(row: Row) -> bool:
    """Whether a line is as promised."""
    return row.equal <= MOST_EQUAL and (not row.promised or row.better >= LEAST_BETTER)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def main() -> int:
    """Print the lines; 1 where one is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=200)
    asked = parser.parse_args()
    found = rows(asked.pairs)
    if asked.json:
        plain = [{**one._asdict(), "correlation": _known(one.correlation)} for one in found]
        sys.stdout.write(
            json.dumps({"pairs": asked.pairs, "rows": plain, "holds": all(map(holds, found))}) + "\n"
        )
        return int(not all(map(holds, found)))
    say = sys.stdout.write
    say(f"{asked.pairs} pairs a line; promoted of equally good ones, and of those better by the gain\n")
    say("            cases  correlation  block   equal    gain  better  too few to tell\n")
    for one in found:
        together = f"{one.correlation:11.1f}" if one.kind == "forecasts" else " " * 10 + "-"
        better = f"{one.better:6.1%}{'*' if one.promised else ' '}"
        verdict = "" if holds(one) else "  NOT AS PROMISED"
        say(f"{one.kind:<10} {one.cases:6d}  {together}  {one.block:5.0f}  {one.equal:6.1%}  ")
        say(f"{one.gain:6.0%}  {better} {one.too_few:6.1%}{verdict}\n")
    return int(not all(map(holds, found)))


if __name__ == "__main__":
    sys.exit(main())
