"""A forest plot: figures with their intervals, a row each, on one scale with zero and guards marked."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipelines.reports.markup import Html, element
from pipelines.reports.numbers import NOTHING, percent, ticks

LABEL, PLOT, FIGURES = 150, 260, 230
ROW, BOTTOM = 24, 30
WIDEST = 0.5
"""Shares beyond which an interval is cut, unless a figure is as large: one must not flatten the rest."""


@dataclass(frozen=True)
class Row:
    """A share with its interval; `least`: below it the row is not well; `heading` opens a group of rows."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    least: float | None = None
    ok: bool = True
    strong: bool = False
    heading: str = ""


def forest(rows: Sequence[Row], title: str) -> Html:
    """The plot, as wide as it is: it scrolls on a narrow screen. Empty without any figure."""
    known = [row for row in rows if _finite(row.value)]
    if not known:
        return Html("")
    scale = _Scale.around(known)
    drawn: list[Html] = []
    y = 6
    for row in known:
        if row.heading:
            y += 8
            drawn.append(element("text", row.heading, x=0, y=y + 15))
            y += ROW - 2
        drawn += list(_row(row, scale, y))
        y += ROW
    width, height = LABEL + PLOT + FIGURES, y + BOTTOM
    told = "; ".join(f"{row.name} {_told(row)}" for row in known)
    return element(
        "svg",
        element("title", f"{title}. {told}"),
        list(_axis(scale, y)),
        drawn,
        viewbox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        class_="wide",
    )


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    @staticmethod
    def around(rows: Sequence[Row]) -> "_Scale":
        figures = [row.value for row in rows if row.value is not None]
        ends = [one for row in rows for one in (row.low, row.high, row.least) if _finite(one)]
        most = max(WIDEST, *(abs(one) for one in figures))
        values = [*figures, *(min(most, max(-most, one)) for one in ends if one is not None)]
        low, high = min(0.0, *values), max(0.0, *values)
        room = 0.06 * (high - low) or 0.01
        return _Scale(low - room, high + room)

    def place(self, value: float) -> float:
        share = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return round(LABEL + share * PLOT, 1)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _row(row: Row, scale: _Scale, y: float) -> Iterable[Html]:
    assert row.value is not None
    middle = y + ROW / 2
    colour = "bad" if not row.ok else "good" if row.low is not None and row.low > 0 else "neutral"
    yield element("text", row.name, x=0, y=middle + 4, class_="name strong" if row.strong else "name")
    if row.least is not None:
        at = scale.place(row.least)
        yield element("path", d=f"M{at} {middle - 8}v16", class_="guard")
    if _finite(row.low) and _finite(row.high):
        assert row.low is not None
        assert row.high is not None
        ends = f"M{scale.place(row.low)} {middle}H{scale.place(row.high)}"
        yield element("path", d=ends, class_=f"span {colour}")
    size = 5 if row.strong else 3.5
    yield element("circle", cx=scale.place(row.value), cy=middle, r=size, class_=colour)
    yield element("text", _told(row), x=LABEL + PLOT + 12, y=middle + 4, class_="name")


def _told(row: Row) -> str:
    span = f" ({percent(row.low)} to {percent(row.high)})" if _finite(row.low) and _finite(row.high) else ""
    return f"{percent(row.value)}{span}" if row.value is not None else NOTHING


def _axis(scale: _Scale, bottom: float) -> Iterable[Html]:
    zero = scale.place(0.0)
    for value in ticks(scale.low, scale.high, 4):
        at = scale.place(value)
        yield element("path", d=f"M{at} {bottom}v4", class_="axis")
        yield element(
            "text",
            percent(value, 0 if abs(scale.high - scale.low) > 0.05 else 1),
            x=at,
            y=bottom + 18,
            text_anchor="middle",
        )
    yield element("path", d=f"M{LABEL} {bottom}H{LABEL + PLOT}", class_="axis")
    yield element("path", d=f"M{zero} 4V{bottom}", class_="zero")
