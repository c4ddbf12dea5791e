"""Lines over a number, as inline SVG that follows the page's colours and needs no script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.reports.markup import Html, element
from pipelines.reports.numbers import figure, tick_name, ticks

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
MOST_POINTS = 240
COLOURS = 8


@dataclass(frozen=True)
class Line:
    """A named line: points (x, y) with x growing; colour: which of the page's eight; dashed to tell apart."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int = 0
    dashed: bool = False


def chart(title: str, lines: Sequence[Line], across: str, up: str = "") -> Html:
    """A figure: the title, the lines with axes and a legend. Empty where there is no point to draw.

    across, up: what the axes are, with units. Points that are not finite are left out.
    """
    drawn = [Line(one.name, thinned(_finite(one.points)), one.colour, one.dashed) for one in lines]
    drawn = [one for one in drawn if one.points]
    if not drawn:
        return Html("")
    frame = _Frame.around(drawn)
    told = "; ".join(
        f"{one.name}: {figure(one.points[-1][1])} at {tick_name(one.points[-1][0])}" for one in drawn
    )
    return element(
        "figure",
        element("figcaption", title, f" ({up})" if up else ""),
        element(
            "svg",
            element("title", f"{title} over {across}. Last values: {told}"),
            frame.axes(across),
            [frame.line(one) for one in drawn],
            viewbox=f"0 0 {WIDTH} {HEIGHT}",
            width=WIDTH,
            height=HEIGHT,
            role="img",
        ),
        legend([(one.name, one.colour, one.dashed) for one in drawn]) if len(drawn) > 1 else None,
    )


def legend(entries: Sequence[tuple[str, int, bool]]) -> Html:
    """Names beside a stroke of their line: (name, colour, dashed)."""
    return element(
        "ul",
        [element("li", stroke(colour, dashed), name) for name, colour, dashed in entries],
        class_="legend",
    )


def stroke(colour: int, dashed: bool) -> Html:
    """A short piece of a line."""
    piece = element("path", d="M1 5H21", class_=_classes(colour, dashed))
    return element("svg", piece, width=22, height=10, viewbox="0 0 22 10", aria_hidden="true")


def _classes(colour: int, dashed: bool) -> str:
    return f"s c{colour % COLOURS}{' dashed' if dashed else ''}"


def _finite(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))


def thinned(
    points: tuple[tuple[float, float], ...], most: int = MOST_POINTS
) -> tuple[tuple[float, float], ...]:
    """At most `most` points that show the same line: of each stretch its lowest and its highest, in order."""
    if len(points) <= most:
        return points
    stretches = most // 2 - 1
    kept = [points[0]]
    for number in range(stretches):
        piece = points[number * len(points) // stretches : (number + 1) * len(points) // stretches]
        pair = {min(piece, key=lambda one: one[1]), max(piece, key=lambda one: one[1])}
        kept += sorted(pair)
    return (*dict.fromkeys(kept), points[-1]) if kept[-1] != points[-1] else tuple(dict.fromkeys(kept))


@dataclass(frozen=True)
class _Frame:
    """Where a point of the data lies in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    @staticmethod
    def around(lines: Sequence[Line]) -> "_Frame":
        xs = [x for one in lines for x, _ in one.points]
        ys = sorted(y for one in lines for _, y in one.points)
        low, high = ys[0], ys[-1]
        cut = ys[min(len(ys) - 1, int(0.995 * len(ys)))]  # one wild step must not flatten the rest
        if high - low > 8 * (cut - low) > 0:
            high = cut
        room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        low = low - room if low < 0 or low > 3 * room else 0.0
        first, last = min(xs), max(xs)
        return _Frame((first, last if last > first else first + 1), (low, high + room))

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = min(1.02, (y - self.y[0]) / (self.y[1] - self.y[0]))
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    def line(self, line: Line) -> Html:
        if len(line.points) == 1:
            x, y = self.place(*line.points[0])
            return element("circle", cx=x, cy=y, r=3, class_=f"f{line.colour % COLOURS}")
        places = (self.place(*point) for point in line.points)
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
        return element("path", d=path, class_=_classes(line.colour, line.dashed))

    def axes(self, across: str) -> list[Html]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        found = []
        for value in ticks(*self.y):
            _, y = self.place(self.x[0], value)
            found.append(element("path", d=f"M{LEFT} {y}H{right}", class_="axis"))
            found.append(element("text", tick_name(value), x=LEFT - 6, y=y + 4, text_anchor="end"))
        for value in ticks(*self.x, hours=across.startswith("hours")):
            x, _ = self.place(value, self.y[0])
            found.append(element("path", d=f"M{x} {bottom}v4", class_="axis"))
            found.append(element("text", tick_name(value), x=x, y=bottom + 16, text_anchor="middle"))
        found.append(element("path", d=f"M{LEFT} {bottom}H{right}", class_="axis"))
        found.append(element("text", across, x=right, y=HEIGHT - 4, text_anchor="end"))
        return found
