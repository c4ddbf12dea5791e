"""The table of skill that ends a run: RMSE by lead time beside every reference, and the gain on the best."""

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.forecasts.skill import MODEL, ScoreTable


def show_skill(table: ScoreTable, console: Console, leads: int = 12) -> None:
    """Print one table a variable: a row a lead time, a column a model, the best figure bold.

    Without a terminal the lines are plain text, the best figure marked by *. At most about `leads` rows.
    """
    plain = console.is_dumb_terminal or not console.is_terminal
    for v in range(len(table.variables)):
        console.print(skill_table(table, v, plain=plain, leads=leads), crop=False)


def skill_table(table: ScoreTable, variable: int, *, plain: bool = False, leads: int = 12) -> Table:
    """The rich table of one variable (by its position): RMSE in its unit and the skill in per cent."""
    models = (MODEL, *table.references)
    rmse = np.stack([np.asarray(table.scores[model]["rmse"], dtype=float)[:, variable] for model in models])
    unit = f" ({table.units[variable]})" if table.units[variable] else ""
    title = f"{table.variables[variable]}: {table.split} RMSE{unit}"
    view = Table(
        title=title,
        title_justify="left",
        title_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        pad_edge=False,
    )
    view.add_column("lead", justify="right", no_wrap=True)
    for model in models:
        view.add_column(model.replace("_", " "), justify="right", min_width=min(len(model), 11))
    if table.references:
        view.add_column("skill against the best", justify="right", min_width=13)
    digits = _digits(rmse)
    for lead in shown_leads(len(table.lead_names), leads):
        ranked = zip(*_ranked(rmse[:, lead]), strict=True)
        cells = [_cell(value, best, digits, plain) for value, best in ranked]
        gain = [_gain(rmse[:, lead])] if table.references else []
        view.add_row(table.lead_names[lead], *cells, *gain)
    return view


def shown_leads(count: int, most: int) -> list[int]:
    """Positions of at most `most` lead times out of `count`: every k-th to the last, and the first."""
    stride = max(1, -(-count // (most - 1))) if count > most else 1
    return sorted({0, *range(stride - 1, count, stride), count - 1})


def _ranked(values: np.ndarray) -> tuple[list[float], list[bool]]:
    """The values, and which of them is the smallest."""
    best = int(np.nanargmin(values)) if np.isfinite(values).any() else -1
    return [float(value) for value in values], [i == best for i in range(len(values))]


def _digits(values: np.ndarray) -> int:
    """Decimals that leave the smallest figure with three digits."""
    positive = values[np.isfinite(values) & (values > 0)]
    return int(np.clip(2 - np.floor(np.log10(positive.min())), 0, 8)) if positive.size else 2


def _cell(value: float, best: bool, digits: int, plain: bool) -> Text:
    """One RMSE: bold where it is the best of its row, starred in plain text."""
    text = f"{value:.{digits}f}" if np.isfinite(value) else "-"
    if plain:
        return Text(text + ("*" if best else " "))
    return Text(text, style="bold" if best else "")


def _gain(values: np.ndarray) -> str:
    """Skill of the first value against the smallest of the others, in per cent: "+12.3 %"."""
    others = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or not others.size or others.min() <= 0:
        return "-"
    return f"{100 * (1 - values[0] / others.min()):+.1f} %"
