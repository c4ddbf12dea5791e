"""Lengths of time as people write them: 45s, 30m, 6h, 2d, 1w, or several together as in 1d12h."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from datamodules.options import sentence

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds of each unit, the longest first."""
PARTS = re.compile(r"(\d+)\s*([wdhms])\s*")
LONGEST = timedelta(days=3660)


def parse_duration(text: object) -> timedelta:
    """The length of time that `text` says; 0 needs no unit. A pydantic error where it says none."""
    if isinstance(text, timedelta):
        found = text
    else:
        plain = str(text).strip().lower()
        parts = PARTS.findall(plain)
        if plain != "0" and (not parts or PARTS.sub("", plain) or isinstance(text, bool)):
            raise sentence(
                f"'{text}' is no length of time; write numbers and units (w, d, h, m, s): 2d, 6h, 1d12h"
            )
        found = timedelta(seconds=min(sum(int(number) * UNITS[unit] for number, unit in parts), 1e11))
    if not timedelta(0) <= found <= LONGEST:
        raise sentence(f"'{text}' is out of bounds; it can be 0 up to {shown(LONGEST)}")
    return found


def shown(length: timedelta) -> str:
    """`length` as `parse_duration` reads it: 1d12h. Fractions of a second are dropped; nothing is 0s."""
    left, found = int(length.total_seconds()), ""
    for unit, seconds in UNITS.items():
        if unit != "w" and left >= seconds:
            found += f"{left // seconds}{unit}"
            left %= seconds
    return found or "0s"


def _plain(length: Any) -> Any:
    """As it is written into plain values; None stays None."""
    return shown(length) if isinstance(length, timedelta) else length


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(_plain, return_type=str)]
"""A length of time in settings: written as 6h, read as a timedelta."""
