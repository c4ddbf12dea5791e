"""The page of one retraining decision: the verdict, what it rests on, and what changed most."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.reports.forest import Row, forest
from pipelines.reports.markup import Child, Html, code, element, facts, joined, scrolled, section, table
from pipelines.reports.numbers import NOTHING, figure, percent
from pipelines.reports.page import page, picture_file
from pipelines.rundir import write_text

Plain = Mapping[str, Any]
VERDICTS = {
    "promoted": "The challenger is champion now.",
    "refused": "The champion stays.",
    "failed": "The shot did not come to its end; the champion stays.",
    "rolled_back": "The former champion is champion again.",
    "nothing": "There was nothing to do.",
    "busy": "Another shot was at work.",
}
KINDS = {
    "lead": "By lead time",
    "variable": "By variable",
    "region": "By region",
    "metric": "By score",
    "slice": "By slice of the clips",
}
MOST_CELLS = 120


def decision_page(decision: Plain, folder: Path, output: Path) -> Path:
    """Publish the page of a decision (`Decision.as_plain()`); pictures are taken from `folder`.

    What a decision has not come to (no challenger, no drift report) is left out.
    """
    sections = [
        section("Gain", _gain(_mapping(decision.get("verdict")))),
        section("What changed most", _changed(decision.get("changed"), folder)),
        section("Scores", _cells(_mapping(decision.get("verdict")), _beside(decision))),
        section("Data", _look(_mapping(decision.get("look")))),
        section("Drift", _drift(_mapping(decision.get("drift")))),
        section("Why the shot trained", _trigger(_mapping(decision.get("trigger")))),
        section("Where it comes from", _origin(decision)),
        section("How to repeat it", _repeat(decision, folder)),
    ]
    title = f"{decision.get('job')}, shot {_number(decision.get('shot'))}: {_outcome(decision)}"
    write_text(output, page(title, _verdict(decision), sections))
    return output


def _mapping(value: Any) -> Plain:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> str:
    return f"{value:04d}" if isinstance(value, int) else str(value)


def _outcome(decision: Plain) -> str:
    return str(decision.get("outcome", "")).replace("_", " ")


def _verdict(decision: Plain) -> Html:
    """The outcome, what it means, the reason, and who is champion."""
    outcome = str(decision.get("outcome"))
    good = "good" if outcome == "promoted" else "bad" if outcome in ("failed", "refused") else ""
    reason = str(decision.get("reason") or "")
    reason = reason[:1].upper() + reason[1:]
    return joined(
        element(
            "p", element("b", _outcome(decision), class_=good), ". ", VERDICTS.get(outcome), class_="verdict"
        ),
        element("p", f"{reason}{'' if reason.endswith('.') else '.'}") if reason else None,
        facts(
            [
                ("model", decision.get("model")),
                ("champion before", _version(decision.get("champion"))),
                ("challenger", _version(decision.get("challenger"))),
                ("champion again", _version(decision.get("restored"))),
                ("previous is now", _version(decision.get("former")) if outcome == "promoted" else None),
                ("taken to be now", decision.get("now")),
            ]
        ),
    )


def _version(number: Any) -> str | None:
    return None if number is None else f"version {number}"


def _gain(verdict: Plain) -> Html:
    """The forest plot of the mean gain and of every group, and the same as a table."""
    if not verdict:
        return Html("")
    rows = list(_rows(verdict))
    confidence = verdict.get("confidence")
    about = (
        f"Share of the champion's error saved (of its score gained), over {verdict.get('cases')} cases in "
        f"blocks of {verdict.get('block')}; intervals at {percent(confidence, 0, sign=False)} confidence. "
        "A red mark is a guard: a group that lies below it is refused."
    )
    reasons = [element("li", text) for text in verdict.get("reasons") or ()]
    figures = [
        [
            row.name,
            percent(row.value),
            percent(row.low),
            percent(row.high),
            percent(row.least),
            "yes" if row.ok else "NO",
        ]
        for row in rows
    ]
    return joined(
        element("p", about, class_="about"),
        scrolled(forest(rows, "Gains with their intervals"), "Gains with their intervals"),
        element("ul", reasons) if reasons else None,
        element(
            "details",
            element("summary", "The same as a table"),
            table(["group", "gain", "low", "high", "guard", "within"], figures),
        ),
    )


def _rows(verdict: Plain) -> Iterator[Row]:
    gain = _mapping(verdict.get("gain"))
    ok = bool(verdict.get("passed")) or (gain.get("low") or -1) > 0
    yield Row("mean gain", gain.get("value"), gain.get("low"), gain.get("high"), None, ok, strong=True)
    before = ""
    for group in verdict.get("groups") or ():
        kind, guard = str(group.get("kind")), group.get("guard")
        span = _mapping(group.get("gain"))
        yield Row(
            name=str(group.get("name")),
            value=span.get("value"),
            low=span.get("low"),
            high=span.get("high"),
            least=None if guard is None else -guard,
            ok=bool(group.get("ok", True)),
            heading=KINDS.get(kind, kind) if kind != before else "",
        )
        before = kind


def _beside(decision: Plain) -> str:
    """What the champion was judged beside: a challenger, or the champion before it."""
    return "former" if "former" in _mapping(decision.get("runs")) else "challenger"


def _cells(verdict: Plain, beside: str) -> Html:
    """Each quantity with the figure of both, in its unit."""
    cells = list(verdict.get("cells") or ())
    rows = [
        [
            _quantity(cell),
            cell.get("lead") or NOTHING,
            cell.get("part"),
            figure(cell.get("champion")),
            figure(cell.get("challenger")),
            percent(cell.get("gain")),
        ]
        for cell in cells[:MOST_CELLS]
    ]
    if not rows:
        return Html("")
    left = len(cells) - MOST_CELLS
    more = element("p", f"{left} more are in decision.json.", class_="quiet") if left > 0 else None
    return joined(table(["quantity", "lead", "part", "champion", beside, "gain"], rows), more)


def _quantity(cell: Plain) -> str:
    return f"{cell.get('quantity')} ({cell['units']})" if cell.get("units") else str(cell.get("quantity"))


def _changed(changed: Any, folder: Path) -> Html:
    """Maps or clips that became better and worse most."""
    found = [one for one in changed if isinstance(one, Mapping)] if isinstance(changed, Sequence) else []
    return element("div", [_case(one, folder) for one in found], class_="clips") if found else Html("")


def _case(one: Plain, folder: Path) -> Html:
    better, colour = ("Better", "good") if one.get("better") else ("Worse", "bad")
    where = " ".join(str(part) for part in (one.get("quantity"), one.get("lead")) if part)
    units = f" {one['units']}" if one.get("units") else ""
    title = f"{better}: {one.get('case')}, {where}"
    told = f"champion {figure(one.get('champion'))}{units}, challenger {figure(one.get('challenger'))}{units}"
    name = one.get("picture")
    picture = picture_file(folder / Path(str(name)).name, f"{title}; {told}") if name else None
    said = _mapping(one.get("said"))
    sentences = [
        element("div", element("dt", who), element("dd", said.get(who) or "(nothing)"))
        for who in ("champion", "challenger")
        if who in said
    ]
    people = [element("li", text) for text in (one.get("references") or ())[:5]]
    return element(
        "article",
        element("h3", element("b", better, class_=colour), title[len(better) :]),
        element("p", told),
        element("div", scrolled(picture, title), class_="picture") if picture else None,
        element("dl", sentences) if sentences else None,
        element("ul", people) if people else None,
        class_="clip",
    )


def _look(look: Plain) -> Html:
    """What the data checks saw; problems first."""
    if not look:
        return Html("")
    problems = [element("li", text) for text in look.get("problems") or ()]
    pairs: list[tuple[Child, Child]] = [
        (key.replace("_", " "), _value(value))
        for key, value in look.items()
        if key not in ("problems", "summary") and value is not None
    ]
    summary = _mapping(look.get("summary"))
    flat = [(key.replace("_", " "), _value(value)) for key, value in summary.items() if key != "ids"]
    return joined(
        element("ul", problems, class_="bad") if problems else None,
        facts(pairs),
        element("details", element("summary", "All that was seen"), facts(flat)) if flat else None,
    )


def _value(value: Any) -> str:
    """A plain value in a line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_value(one)}" for key, one in list(value.items())[:40])
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 12} more" if len(value) > 12 else ""
        return ", ".join(_value(one) for one in value[:12]) + more
    if isinstance(value, float):
        return figure(value, 4)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _drift(drift: Plain) -> Html:
    """PSI and Kolmogorov-Smirnov of each variable."""
    rows = [
        [
            row.get("variable"),
            figure(row.get("psi")),
            figure(row.get("ks")),
            figure(row.get("ks_p")),
            figure(row.get("old")),
            figure(row.get("new")),
            element("b", "drifted", class_="bad") if row.get("drifted") else "no",
        ]
        for row in drift.get("rows") or ()
    ]
    note = drift.get("note")
    head = ["variable", "PSI", "KS distance", "p", "mean before", "mean now", "drift"]
    return joined(
        element("p", f"{note}.", class_="about") if note else None, table(head, rows) if rows else None
    )


def _trigger(trigger: Plain) -> Html:
    """Why a challenger was trained, and every cause that was looked at."""
    if not trigger:
        return Html("")
    rows = [
        [check.get("name"), "yes" if check.get("started") else "no", check.get("told")]
        for check in trigger.get("checks") or ()
        if isinstance(check, Mapping)
    ]
    return joined(
        element("p", str(trigger.get("why") or "")),
        table(["cause", "starts", "what was found"], rows, numbers=False) if rows else None,
    )


def _origin(decision: Plain) -> Html:
    runs = _mapping(decision.get("runs"))
    return facts(
        [
            ("job", decision.get("job")),
            ("shot", _number(decision.get("shot"))),
            ("started", decision.get("started")),
            ("ended", decision.get("ended")),
            ("retries", str(decision.get("retries") or 0)),
            *((f"run of the {name}", str(path)) for name, path in runs.items()),
            ("MLflow run", decision.get("mlflow_run_id")),
        ]
    )


def _repeat(decision: Plain, folder: Path) -> Html:
    """The call of the shot, and how to see more of it."""
    try:
        known = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        command = [str(word) for word in known["command"]]
    except (OSError, ValueError, KeyError, TypeError):
        command = ["skyreel", "retrain", f"job={decision.get('job')}"]
    lines = [shlex.join(command)]
    runs = _mapping(decision.get("runs"))
    if len(runs) > 1:
        words = f"runs={','.join(str(path) for path in runs.values())}"
        lines.append(f"skyreel review report {shlex.quote(words)} output=both.html")
    lines.append(shlex.join(["skyreel", "retrain", "history", f"job={decision.get('job')}"]))
    return code("\n".join(lines))
