"""Runs side by side in the terminal: a letter a run, then settings, figures and sentences that differ."""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipelines.captions.score_table import METRICS
from pipelines.console import shown_path
from pipelines.forecasts.skill_table import shown_leads
from pipelines.reviewing.columns import figure
from pipelines.reviewing.table import print_across

LEADS = 12
SENTENCES = 3
LETTERS = string.ascii_uppercase


def show_comparison(found: Mapping[str, Any], console: Console) -> None:
    """Print what `compare_runs` found."""
    for letter, run in zip(LETTERS, found["runs"], strict=False):
        place = (
            run["run"] if len(run["run"]) == 32 and "/" not in run["run"] else shown_path(Path(run["run"]))
        )
        _say(console, f"{letter}  {run['name']}  {place}")
    _settings(found["settings"], len(found["runs"]), console)
    if "forecasts" in found:
        _forecasts(found["forecasts"], console)
    if "captions" in found:
        _captions(found["captions"], console)
    for note in found["notes"]:
        _say(console, f"note: {note}")


def _settings(settings: Sequence[Mapping[str, Any]], runs: int, console: Console) -> None:
    if not settings:
        _say(console, "\nthe settings are the same")
        return
    table = _table("settings that differ", console)
    table.add_column("", overflow="fold")
    for letter in LETTERS[:runs]:
        table.add_column(letter, overflow="fold")
    for row in settings:
        table.add_row(Text(row["key"]), *(Text(_short(value)) for value in row["values"]))
    console.print(table)


def _forecasts(found: Mapping[str, Any], console: Console) -> None:
    """A table a variable: RMSE of each run, the best reference, skill of the others against the first."""
    runs, enough = len(found["cases"]), [bool(one and one["enough"]) for one in found["cases"]]
    for mean in found["means"]:
        rows = [row for row in found["by_lead"] if row["variable"] == mean["variable"]]
        unit = f" ({rows[0]['units']})" if rows[0]["units"] else ""
        gained = [n for n in range(1, runs) if any(row["skill_against_first"][n] for row in rows)]
        skill = ", and skill against A in %" if gained else ""
        table = _table(f"{mean['variable']}: test RMSE{unit}{skill}", console)
        table.add_column("lead", justify="right", no_wrap=True)
        for letter in LETTERS[:runs]:
            table.add_column(letter, justify="right", no_wrap=True)
        table.add_column("best reference", justify="right", min_width=10)
        for place in gained:
            table.add_column(f"{LETTERS[place]} against A", justify="right", no_wrap=True)
        for number in shown_leads(len(rows), LEADS):
            gains = _gains(rows[number], gained, enough, console)
            table.add_row(*_lead_cells(rows[number], console), *gains)
        if gained and len(rows) > 1:
            gains = _gains(mean, gained, enough, console)
            table.add_row(Text("mean"), *(Text("") for _ in range(runs + 1)), *gains)
        _print_whole(table, console)
    cases = next((one for one in found["cases"] if one), None)
    if cases is not None:
        _say(
            console,
            f"in brackets: 95 % of a paired bootstrap of {_forecasts_told(cases['cases'])} in blocks of "
            f"{cases['block']}; * where 0 is outside",
        )


def _forecasts_told(count: int) -> str:
    return "1 forecast" if count == 1 else f"{count} forecasts"


def _gains(
    row: Mapping[str, Any], gained: Sequence[int], enough: Sequence[bool], console: Console
) -> list[Text]:
    """What the runs at the places `gained` gain on the first; empty where one was not judged so."""
    found = [(row["skill_against_first"][place], enough[place]) for place in gained]
    return [_gain(gain, sure, console) if gain else Text("") for gain, sure in found]


def _lead_cells(row: Mapping[str, Any], console: Console) -> list[Text]:
    """The lead time, the figure of each run, the best reference."""
    best = min(row["references"].items(), key=lambda one: one[1], default=None)
    values = [value for value in row["rmse"] if value is not None]
    least = min(values, default=None)
    return [
        Text(row["lead"]),
        *(
            Text(
                "-" if value is None else figure(value),
                style="bold" if value == least and console.is_terminal else "",
            )
            for value in row["rmse"]
        ),
        Text("-" if best is None else f"{figure(best[1])} {best[0].replace('_', ' ')}"),
    ]


def _captions(found: Mapping[str, Any], console: Console) -> None:
    """A row a score, then the sentences that changed most."""
    runs = len(found["changed"])
    gained = [place for place in range(1, runs) if found["changed"][place] is not None]
    more = ", and how much more than A" if gained else ""
    table = _table(f"scores of the test clips{more}", console)
    table.add_column("", no_wrap=True)
    for letter in LETTERS[:runs]:
        table.add_column(letter, justify="right", no_wrap=True)
    table.add_column("best reference", justify="right", no_wrap=True)
    for place in gained:
        table.add_column(f"{LETTERS[place]} - A", justify="right", no_wrap=True)
    for row in found["scores"]:
        automatic = {who: value for who, value in row["references"].items() if who != "human"}
        best = max(automatic.items(), key=lambda one: one[1], default=None)
        best = best if row["score"] in METRICS else None
        table.add_row(
            Text(row["score"]),
            *(Text(_score(row["score"], value)) for value in row["values"]),
            Text("" if best is None else f"{_score(row['score'], best[1])} {best[0]}"),
            *(_difference(row["more_than_first"][place], console) for place in gained),
        )
    _print_whole(table, console)
    if gained:
        _say(console, "in brackets: 95 % of a paired bootstrap over the clips; * where 0 is outside")
    for place, changed in enumerate(found["changed"]):
        if changed is not None:
            _sentences(LETTERS[place], changed, console)


def _score(name: str, value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if name in METRICS else figure(value)


def _sentences(letter: str, changed: Mapping[str, Any], console: Console) -> None:
    _say(
        console, f"\n{letter} says something else than A of {changed['changed']} of {changed['clips']} clips"
    )
    for title in ("better", "worse"):
        for one in changed[title][:SENTENCES]:
            _say(console, f"  {title}: {one['clip']} (CIDEr {one['gain']:+.2f})")
            _say(
                console, f"    A: {one['before']}\n    {letter}: {one['now']}\n    people: {one['reference']}"
            )


def _gain(gain: Mapping[str, float | None], enough: bool, console: Console) -> Text:
    """Like "+2.10 (+0.83 to +3.37)*", in per cent; starred where 0 is outside and there are cases enough."""
    return _bracketed(gain, 100.0, 2, enough, console)


def _difference(gain: Mapping[str, float | None] | None, console: Console) -> Text:
    return Text("") if gain is None else _bracketed(gain, 1.0, 3, True, console)


def _bracketed(
    gain: Mapping[str, float | None], factor: float, digits: int, enough: bool, console: Console
) -> Text:
    value, low, high = (gain[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return Text("-" if value is None else f"{factor * value:+.{digits}f}  ")
    told = f"{factor * value:+.{digits}f} ({factor * low:+.{digits}f} to {factor * high:+.{digits}f})"
    sure = enough and (low > 0 or high < 0)
    style = ("green" if low > 0 else "red") if sure and console.is_terminal else ""
    return Text(told + ("*" if sure else " "), style=style)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _table(title: str, console: Console) -> Table:
    plain = console.is_dumb_terminal or not console.is_terminal
    return Table(
        title=Text(f"\n{title}"),
        title_justify="left",
        title_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )


def _print_whole(table: Table, console: Console) -> None:
    """Print a table whose figures are never folded, however narrow the terminal is."""
    needed = Measurement.get(console, console.options.update_width(10_000), table).maximum
    print_across(table, needed, console)


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)
