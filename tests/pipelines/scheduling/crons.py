"""Cron expressions for property tests, with what each field allows known without parsing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@dataclass(frozen=True)
class Field:
    """One field: its text, and the values that it allows."""

    text: str
    values: frozenset[int]

    @property
    def star(self) -> bool:
        return self.text.startswith("*")


@dataclass(frozen=True)
class Cron:
    """minute, hour, day of the month, month, day of the week (0 is Sunday)."""

    fields: tuple[Field, Field, Field, Field, Field]

    def __repr__(self) -> str:
        return f"Cron({self.text})"

    @property
    def text(self) -> str:
        return " ".join(field.text for field in self.fields)

    @property
    def repeats(self) -> bool:
        return self.fields[0].star or self.fields[1].star

    def matches(self, wall: datetime) -> bool:
        """Whether the clock time `wall` is one of those that the expression means."""
        minute, hour, day, month, weekday = self.fields
        on_day, on_weekday = wall.day in day.values, wall.isoweekday() % 7 in weekday.values
        right_day = (on_day and on_weekday) if day.star or weekday.star else (on_day or on_weekday)
        return (
            right_day
            and wall.minute in minute.values
            and wall.hour in hour.values
            and wall.month in month.values
        )


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> Field:
    form = draw(st.sampled_from(["*", "*/n", "a", "a-b", "a-b/n", "a,b,c"]))
    if form == "*":
        return Field("*", frozenset(range(low, high + 1)))
    step = draw(st.integers(1, max(1, (high - low) // 2)))
    if form == "*/n":
        return Field(f"*/{step}", frozenset(range(low, high + 1, step)))
    if form == "a,b,c":
        some = draw(st.lists(st.integers(low, high), min_size=2, max_size=4))
        return Field(",".join(map(str, some)), frozenset(some))
    first = draw(st.integers(low, high))
    if form == "a":
        return Field(str(first), frozenset([first]))
    last = draw(st.integers(first, high))
    if form == "a-b" or first == last:
        return Field(f"{first}-{last}", frozenset(range(first, last + 1)))
    return Field(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step)))


@st.composite
def crons(draw: st.DrawFn) -> Cron:
    """Expressions that come in the small hours of most days: that is where clocks are changed."""
    minute = draw(fields(0, 59))
    hour = draw(st.one_of(fields(0, 3), fields(0, 23)))
    if hour.text.startswith("*"):
        hour = draw(fields(0, 23).filter(lambda field: field.star))
    often = draw(st.booleans())
    day = Field("*", frozenset(range(1, 32))) if often else draw(fields(1, 31))
    month = Field("*", frozenset(range(1, 13)))
    weekday = draw(st.one_of(st.just(Field("*", frozenset(range(7)))), fields(1, 6)))
    if weekday.star:
        weekday = Field("*", frozenset(range(7)))
    return Cron((minute, hour, day, month, weekday))


def scanned(cron: Cron, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    """The documented rules: every minute of the span is asked what the clock shows in it."""
    instant = since.astimezone(UTC)
    before = (instant - MINUTE).astimezone(zone)
    while instant < until:
        clock = instant.astimezone(zone)
        wall, earlier = clock.replace(tzinfo=None, fold=0), before.replace(tzinfo=None, fold=0)
        if cron.repeats:
            due = cron.matches(wall)
        else:
            due = cron.matches(wall) and clock.fold == 0
            while (earlier := earlier + MINUTE) < wall:
                due = due or cron.matches(earlier)
        if due:
            yield instant
        before, instant = clock, instant + MINUTE
