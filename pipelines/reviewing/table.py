"""Runs as a table in the terminal; plain text where there is none."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.reviewing.archive import Row
from pipelines.reviewing.columns import RUN, STATUS, cell, heading
from pipelines.reviewing.names import Name

STYLES = {"failed": "red", "killed": "yellow", "running": "cyan"}
GAP = 2
"""Characters between two columns."""


def show_runs(
    rows: Sequence[Row], columns: Sequence[Name], console: Console, now: float, droppable: Sequence[Name] = ()
) -> None:
    """Print the table, the names of runs whole.

    droppable: columns that make room, in this order, where the terminal is too narrow.
    """
    texts = {name: [cell(row, name, now) for row in rows] for name in columns}
    widths = {name: _width(name, texts[name]) for name in columns}
    plain = console.is_dumb_terminal or not console.is_terminal
    shown, waiting = list(columns), list(droppable)
    while waiting and _across(widths, shown) > console.width:
        shown.remove(waiting.pop(0))
    table = Table(
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2 if plain else 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for name in shown:
        right = name.kind == "metrics" or name.key in ("age", "duration")
        table.add_column(
            Text(heading(name)),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=name == RUN,
            width=widths[name],
        )
    for row in zip(*(texts[name] for name in shown), strict=True):
        table.add_row(*(_styled(text, name) for text, name in zip(row, shown, strict=True)))
    print_across(table, _across(widths, shown), console)


def print_across(table: Table, width: int, console: Console) -> None:
    """Print a table that is `width` characters wide, also where the terminal is narrower."""
    usual = console.width
    console.width = max(usual, width)
    console.print(table, crop=False)
    console.width = usual


def _across(widths: Mapping[Name, int], shown: Sequence[Name]) -> int:
    return sum(widths[name] + GAP for name in shown) - GAP


def _styled(text: str, name: Name) -> Text:
    return Text(text, style=STYLES.get(text, "") if name == STATUS else "")


def _width(name: Name, texts: Sequence[str]) -> int:
    """Characters that a column takes: all of its texts."""
    wide = max((cell_len(text) for text in texts), default=0)
    return max(wide, *(cell_len(line) for line in heading(name).split("\n")))
