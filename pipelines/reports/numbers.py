"""Figures as people read them: as many digits as count, and ticks at round values."""

import math
from collections.abc import Iterable

NOTHING = "\N{EN DASH}"
"""What stands for a figure that is not there."""
MINUS = "\N{MINUS SIGN}"


def figure(value: float | None, digits: int = 3) -> str:
    """`value` with so many digits that count, without an exponent where that is short; – for none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < 6:
        return f"{value:,.{max(0, digits - 1 - size)}f}".replace("-", MINUS)
    return f"{value:.{digits - 1}e}".replace("-", MINUS)


def column(values: Iterable[float | None], digits: int = 3) -> list[str]:
    """All `values` with the same decimals: the smallest of them keeps `digits` that count."""
    known = list(values)
    sizes = [abs(one) for one in known if one is not None and math.isfinite(one) and one]
    decimals = min(8, max(0, digits - 1 - math.floor(math.log10(min(sizes))))) if sizes else 0
    return [
        NOTHING if one is None or not math.isfinite(one) else f"{one:,.{decimals}f}".replace("-", MINUS)
        for one in known
    ]


def percent(share: float | None, digits: int = 1, *, sign: bool = True) -> str:
    """A share as per cent with its sign: +12.3 %."""
    if share is None or not math.isfinite(share):
        return NOTHING
    text = f"{100 * share:+.{digits}f}"
    zero = not text.strip("+-0.")
    text = text.lstrip("+-") if zero or (not sign and share > 0) else text
    return f"{text} %".replace("-", MINUS)


HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 120, 240, 480, 720)
"""Steps between ticks of lead times."""


def ticks(low: float, high: float, about: int = 4, *, hours: bool = False) -> list[float]:
    """Round values from `low` to `high`, about so many: steps of 1, 2 or 5 times a power of ten, or HOURS."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    steps: list[float] = [factor * power for factor in (1, 2, 5, 10)]
    if hours and rough <= HOURS[-1]:
        steps = list(HOURS)
    step = next(one for one in steps if one >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_name(value: float) -> str:
    """A tick's value, short: 20k, 0.05, 1e-5."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", f"e{MINUS}").replace("e+0", "e").replace("-", MINUS)
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k".replace("-", MINUS)
    return f"{value:g}".replace("-", MINUS)
