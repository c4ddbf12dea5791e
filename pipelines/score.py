"""score: anybody's captions against references, or anybody's forecasts against what happened."""

from typing import Any

from pipelines.mistakes import CallError, Mistake
from pipelines.verbs import ARGUMENTS, Call

PAIRS = {"captions": ("hypotheses", "references"), "forecasts": ("forecast", "truth")}
BELONGS = {"tokenizer": "captions", "climatology": "forecasts", "output": "forecasts"}
EXAMPLES = {
    "captions": "skyreel score hypotheses=results.json references=captions_val2014.json",
    "forecasts": "skyreel score forecast=forecast.nc truth='observed/*.nc'",
}


def score(call: Call) -> dict[str, Any]:
    """The verb: captions where `hypotheses=` and `references=` are given, forecasts where `forecast=` and
    `truth=` are. CallError (exit 2) for half of a pair, for both pairs and for none."""
    if _what(call) == "captions":
        from pipelines.captions.scoring import score_captions

        return score_captions(call)
    from pipelines.verification.score import score_forecasts

    return score_forecasts(call)


def _what(call: Call) -> str:
    """What is to be scored. CallError with every mistake in it."""
    begun = [what for what, pair in PAIRS.items() if any(getattr(call, key) for key in pair)]
    if not begun:
        raise CallError(
            [
                Mistake(
                    " and ".join(f"{key}=" for key in pair),
                    f"score needs these, of {what}. For example: {EXAMPLES[what]}",
                )
                for what, pair in PAIRS.items()
            ]
        )
    if len(begun) > 1:
        given = ", ".join(f"{key}=" for pair in PAIRS.values() for key in pair if getattr(call, key))
        raise CallError(
            [Mistake(given, "score judges captions or forecasts, one in a call; leave out the other.")]
        )
    what = begun[0]
    mistakes = [
        Mistake(f"{key}=", f"score needs this: {ARGUMENTS[key]}. For example: {EXAMPLES[what]}")
        for key in PAIRS[what]
        if not getattr(call, key)
    ]
    mistakes += [
        Mistake(key, f"This is of {other} only; {what} take no {key}=.", str(getattr(call, key)))
        for key, other in BELONGS.items()
        if getattr(call, key) and other != what
    ]
    if mistakes:
        raise CallError(mistakes)
    return what
