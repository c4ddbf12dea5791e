"""`review compare`: two or more runs side by side, as plain values and in the terminal."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from datamodules.errors import InputError
from pipelines.forecasts.case_errors import CaseErrors
from pipelines.reviewing.columns import lead_order
from pipelines.reviewing.differences import CONFIDENCE, Differences, apart, forecast_differences
from pipelines.reviewing.evidence import Evidence, gather
from pipelines.verbs import Call

log = logging.getLogger(__name__)

UNTOLD = ("paths.", "tracking.", "run.")
"""Settings that say where things lie: no difference between runs."""
CAPTION_SCORES = ("cider", "bleu_4", "rouge_l", "meteor", "distinct_words", "unseen_sentences", "mean_words")
"""`cider_d` is the same as `cider` here."""
MOST_CHANGED = 20
"""Sentences that got better, and as many that got worse, in the plain result."""


def compare_runs(call: Call) -> dict[str, Any]:
    """The runs of `runs=` side by side: settings that differ, figures, and what each gains on the first.

    forecasts: a row a variable and lead time, with RMSE, references, and the skill against the first run.
    captions: a row a score, and the sentences that changed. Intervals are of CONFIDENCE.
    """
    named = [word.strip() for word in (call.runs or "").split(",") if word.strip()]
    if len(named) < 2:
        raise InputError(f"runs={call.runs}: two or more runs are compared; write runs=FIRST,SECOND")
    found = [gather(one, call.settings) for one in named]
    _require_one_kind(found)
    plain: dict[str, Any] = {
        "runs": [{"name": one.name, "run": one.place, "judged": bool(one.metrics)} for one in found],
        "settings": different_settings(found),
        "confidence": CONFIDENCE,
        "notes": [],
    }
    if any(_rmse_keys(one) for one in found):
        plain["forecasts"] = _forecasts(found, plain["notes"])
    if any("test/cider" in one.metrics for one in found):
        plain["captions"] = _captions(found, plain["notes"])
    plain["notes"] += [
        f"{one.name} has not been judged, so it has no figures" for one in found if not one.metrics
    ]
    if not call.json:
        from rich.console import Console

        from pipelines.reviewing.comparison_view import show_comparison

        show_comparison(plain, Console())
    return plain


def _require_one_kind(found: Sequence[Evidence]) -> None:
    """Return when all runs are of one system. InputError with the first that is not as the first."""
    kinds = [str(one.settings.get("task.kind")) for one in found]
    for one, kind in zip(found, kinds, strict=True):
        if kind != kinds[0]:
            raise InputError(
                f"runs: {found[0].name} is a run of task.kind={kinds[0]} and {one.name} of {kind}: they have "
                "no figure in common; compare runs of one kind"
            )


def different_settings(found: Sequence[Evidence]) -> list[dict[str, Any]]:
    """The settings that are not the same in all runs, as {key, values}; "(not set)" where a run has none."""
    keys = sorted({key for one in found for key in one.settings if not key.startswith(UNTOLD)})
    rows = [{"key": key, "values": [one.settings.get(key, "(not set)") for one in found]} for key in keys]
    return [row for row in rows if len({str(value)[:500] for value in row["values"]}) > 1]


def _rmse_keys(one: Evidence) -> list[tuple[str, str]]:
    """The variables and lead times that a run was judged by."""
    parts = [key.split("/") for key in one.metrics if key.startswith("test/rmse/") and key.count("/") == 3]
    return [(part[2], part[3]) for part in parts]


def _forecasts(found: Sequence[Evidence], notes: list[str]) -> dict[str, Any]:
    """RMSE by variable and lead beside the references, and what each run gains on the first."""
    keys = list(dict.fromkeys(key for one in found for key in _rmse_keys(one)))
    variables = list(dict.fromkeys(variable for variable, _ in keys))
    keys.sort(key=lambda key: (variables.index(key[0]), lead_order(key[1])))
    references = _references(found, "rmse")
    gains = [_gain(found[0], one, notes) for one in found[1:]]
    units = {name: unit for one in reversed(found) for name, unit in _units(one).items()}
    _note_other_windows(found, gains, notes)
    rows = []
    for variable, lead in keys:
        values = {who: _metric(found, f"reference/{who}/rmse/{variable}/{lead}") for who in references}
        rows.append(
            {
                "variable": variable,
                "units": units.get(variable, ""),
                "lead": lead,
                "rmse": [one.metrics.get(f"test/rmse/{variable}/{lead}") for one in found],
                "references": {who: value for who, value in values.items() if value is not None},
                "skill_against_first": [None, *(_interval(one, (variable, lead)) for one in gains)],
            }
        )
    means = [
        {"variable": name, "skill_against_first": [None, *(_interval(one, (name, "")) for one in gains)]}
        for name in variables
    ]
    return {"by_lead": rows, "means": means, "cases": [None, *(_told(one) for one in gains)]}


def _units(one: Evidence) -> Mapping[str, str]:
    """The units that a run's errors or its store tell."""
    if one.errors is None:
        return one.units
    errors = CaseErrors.read(one.errors)
    return {**one.units, **dict(zip(errors.quantities, errors.units, strict=True))}


def _references(found: Sequence[Evidence], metric: str) -> list[str]:
    """The references that any of the runs was judged beside."""
    parts = [key.split("/") for one in found for key in one.metrics if key.startswith("reference/")]
    return list(dict.fromkeys(part[1] for part in parts if part[2] == metric))


def _metric(found: Sequence[Evidence], key: str) -> float | None:
    """The figure of the first run that has it."""
    return next((one.metrics[key] for one in found if key in one.metrics), None)


def _gain(first: Evidence, other: Evidence, notes: list[str]) -> Differences | None:
    """What a run gains on the first, where both kept the errors of their forecasts."""
    without = [one.name for one in (first, other) if one.errors is None]
    if without:
        notes.append(
            f"{' and '.join(without)} kept no errors by forecast, so there are no intervals; "
            "skyreel evaluate run=... writes them"
        )
        return None
    assert first.errors is not None
    assert other.errors is not None
    try:
        ours, theirs = CaseErrors.read(first.errors), CaseErrors.read(other.errors)
    except InputError as error:
        notes.append(f"{first.name} and {other.name}: {error}")
        return None
    if told := apart(ours, theirs):
        notes.append(
            f"{first.name} was judged {told[0]} and {other.name} {told[1]}, with none in common: figures "
            "stand side by side, without intervals of their difference"
        )
        return None
    found = forecast_differences(ours, theirs)
    if not found.enough:
        some = "1 forecast is" if found.cases == 1 else f"{found.cases} forecasts are"
        hang = f", for {found.block} in a row hang together" if found.block > 1 else ""
        notes.append(f"{first.name} and {other.name}: {some} few{hang}: take the intervals for a rough guess")
    return found


def _note_other_windows(
    found: Sequence[Evidence], gains: Sequence[Differences | None], notes: list[str]
) -> None:
    """Say so where the references' figures differ: the runs were judged on other windows."""
    first = found[0].metrics
    keys = [key for key in first if key.startswith("reference/persistence/rmse/")]
    for one, gain in zip(found[1:], gains, strict=True):
        other = (key for key in keys if not _same(one.metrics.get(key, first[key]), first[key]))
        if key := next(other, None):
            shared = "; the intervals are, of those that both made" if gain is not None else ""
            notes.append(
                f"{found[0].name} and {one.name} were judged on other data ({key} differs), so their "
                f"figures are not of the same forecasts{shared}"
            )


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-5)


def _interval(found: Differences | None, key: tuple[str, str]) -> dict[str, float | None] | None:
    return found.gains[key].as_plain() if found is not None and key in found.gains else None


def _told(found: Differences | None) -> dict[str, Any] | None:
    return None if found is None else {"cases": found.cases, "block": found.block, "enough": found.enough}


def _captions(found: Sequence[Evidence], notes: list[str]) -> dict[str, Any]:
    """Scores beside the references, what each run gains on the first, and the sentences that changed."""
    from pipelines.reviewing.changed_captions import CaptionComparison, compare_captions

    compared: list[CaptionComparison | None] = []
    for one in found[1:]:
        try:
            tokenizer = str(found[0].settings.get("task.tokenizer", "words"))
            compared.append(compare_captions(found[0].sentences, one.sentences, tokenizer))
        except InputError as error:
            notes.append(f"{found[0].name} and {one.name}: {error}")
            compared.append(None)
    references = _references(found, "cider")
    scores = []
    for name in CAPTION_SCORES:
        if all(f"test/{name}" not in one.metrics for one in found):
            continue
        values = {who: _metric(found, f"reference/{who}/{name}") for who in references}
        gains = [None if one is None else _interval(one.differences, (name, "")) for one in compared]
        scores.append(
            {
                "score": name,
                "values": [one.metrics.get(f"test/{name}") for one in found],
                "references": {who: value for who, value in values.items() if value is not None},
                "more_than_first": [None, *gains],
            }
        )
    changed = [
        None
        if one is None
        else {
            "clips": one.differences.cases,
            "changed": len(one.changed),
            "better": [vars(item) for item in one.changed[:MOST_CHANGED] if item.gain > 0],
            "worse": [vars(item) for item in one.changed[::-1][:MOST_CHANGED] if item.gain < 0],
        }
        for one in compared
    ]
    return {"scores": scores, "changed": [None, *changed]}
