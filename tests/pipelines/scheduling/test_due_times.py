"""Due times: equal to cronsim, equal to a scan of every minute by the rules, right where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.scheduling.due_times import due_after, due_between, instants
from tests.pipelines.scheduling.crons import Cron, crons, scanned

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CHANGES = {
    "Europe/Berlin": [(2026, 3, 29), (2026, 10, 25), (2027, 3, 28), (2027, 10, 31)],
    "America/New_York": [(2026, 3, 8), (2026, 11, 1), (2027, 3, 14), (2027, 11, 7)],
    "Australia/Sydney": [(2026, 4, 5), (2026, 10, 4), (2027, 4, 4), (2027, 10, 3)],
}
"""Days on which clocks are changed by an hour, forward or back."""
ODD = {
    "Australia/Lord_Howe": [(2026, 4, 5), (2026, 10, 4)],
    "America/Havana": [(2026, 3, 8), (2026, 11, 1)],
    "Antarctica/Troll": [(2026, 3, 29), (2026, 10, 25)],
    "Pacific/Apia": [(2011, 12, 30), (2011, 12, 31)],
    "Asia/Kolkata": [(2026, 3, 29)],
}
"""By half an hour, at midnight, by two hours, by a whole day that is left out, and never."""


def days(changes: dict[str, list[tuple[int, int, int]]]) -> list[tuple[str, tuple[int, int, int]]]:
    return [(zone, day) for zone, found in changes.items() for day in found]


def local(times: list[datetime], zone: ZoneInfo) -> list[str]:
    return [time.astimezone(zone).isoformat(timespec="minutes")[5:] for time in times]


def on(cron: str, zone: str, *day: int) -> list[str]:
    """What is due on a day of a zone, on its clock."""
    where = ZoneInfo(zone)
    since = datetime(*day, tzinfo=where)  # type: ignore[arg-type, misc]
    return local(due_between(cron, where, since, since + DAY), where)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cron=crons(), where=st.sampled_from(days(CHANGES)), hours=st.integers(-40, 20))
def test_cronsim_finds_the_same(cron: Cron, where: tuple[str, tuple[int, int, int]], hours: int) -> None:
    zone = ZoneInfo(where[0])
    since = datetime(*where[1], tzinfo=UTC) + timedelta(hours=hours)
    until = since + 2 * DAY
    start = (since - 2 * DAY).astimezone(zone)
    theirs = [
        time.astimezone(UTC)
        for time in takewhile(lambda t: t.astimezone(UTC) < until, CronSim(cron.text, start))
    ]
    assert due_between(cron.text, zone, since, until) == [time for time in theirs if time >= since]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    cron=crons(),
    where=st.sampled_from(days(CHANGES) + days(ODD)),
    minutes=st.integers(-1500, 1500),
    length=st.integers(1, 2000),
)
def test_a_scan_of_every_minute_finds_the_same(
    cron: Cron, where: tuple[str, tuple[int, int, int]], minutes: int, length: int
) -> None:
    zone = ZoneInfo(where[0])
    since = datetime(*where[1], tzinfo=UTC) + timedelta(minutes=minutes)
    until = since + timedelta(minutes=length)
    assert due_between(cron.text, zone, since, until) == list(scanned(cron, zone, since, until))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cron=crons(), where=st.sampled_from(days(CHANGES) + days(ODD)), cuts=st.lists(st.integers(0, 4000)))
def test_neighbouring_spans_share_no_due_time_and_lose_none(
    cron: Cron, where: tuple[str, tuple[int, int, int]], cuts: list[int]
) -> None:
    zone = ZoneInfo(where[0])
    since = datetime(*where[1], tzinfo=UTC) - DAY
    edges = [since + timedelta(minutes=cut) for cut in sorted({0, *cuts, 4000})]
    parts = [due for one, other in pairwise(edges) for due in due_between(cron.text, zone, one, other)]
    assert parts == due_between(cron.text, zone, edges[0], edges[-1])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cron=crons(), where=st.sampled_from(days(CHANGES) + days(ODD)), seconds=st.integers(-90000, 90000))
def test_due_times_are_later_and_in_order_and_aware(
    cron: Cron, where: tuple[str, tuple[int, int, int]], seconds: int
) -> None:
    after = datetime(*where[1], tzinfo=UTC) + timedelta(seconds=seconds)
    found = list(islice(due_after(cron.text, ZoneInfo(where[0]), after), 50))
    assert all(one < other for one, other in pairwise([after, *found]))
    assert all(one.utcoffset() == timedelta(0) and one.second == 0 for one in found)


@pytest.mark.parametrize(
    ("zone", "day", "skipped", "after"),
    [
        ("Europe/Berlin", (2026, 3, 29), 2, "03-29T03:00+02:00"),
        ("America/New_York", (2026, 3, 8), 2, "03-08T03:00-04:00"),
        ("Australia/Sydney", (2026, 10, 4), 2, "10-04T03:00+11:00"),
    ],
)
def test_a_skipped_time_of_day_comes_once_and_a_skipped_repetition_never(
    zone: str, day: tuple[int, int, int], skipped: int, after: str
) -> None:
    assert on(f"30 {skipped} * * *", zone, *day) == [after]
    assert on(f"0,15,30 {skipped} * * *", zone, *day) == [after]
    assert on(f"30 {skipped},{skipped + 1} * * *", zone, *day) == [
        after,
        after.replace(":00+", ":30+", 1).replace(":00-", ":30-", 1),
    ]
    assert on(f"*/30 {skipped} * * *", zone, *day) == []
    assert len(on("0 * * * *", zone, *day)) == 23


@pytest.mark.parametrize(
    ("zone", "day", "twice", "offsets"),
    [
        ("Europe/Berlin", (2026, 10, 25), 2, ("+02:00", "+01:00")),
        ("America/New_York", (2026, 11, 1), 1, ("-04:00", "-05:00")),
        ("Australia/Sydney", (2026, 4, 5), 2, ("+11:00", "+10:00")),
    ],
)
def test_a_repeated_time_of_day_comes_once_and_a_repetition_twice(
    zone: str, day: tuple[int, int, int], twice: int, offsets: tuple[str, str]
) -> None:
    date = f"{day[1]:02d}-{day[2]:02d}T{twice:02d}"
    assert on(f"30 {twice} * * *", zone, *day) == [f"{date}:30{offsets[0]}"]
    assert on(f"*/30 {twice} * * *", zone, *day) == [f"{date}:{m}{o}" for o in offsets for m in ("00", "30")]


@pytest.mark.parametrize("zone", CHANGES)
def test_a_daily_job_comes_once_on_every_day_of_a_year(zone: str) -> None:
    where = ZoneInfo(zone)
    for hour in (0, 1, 2, 3, 23):
        found = due_between(
            f"30 {hour} * * *", where, datetime(2026, 1, 1, tzinfo=where), datetime(2027, 1, 1, tzinfo=where)
        )
        assert [time.astimezone(where).timetuple().tm_yday for time in found] == list(range(1, 366))


def test_a_scheduler_that_begins_within_a_repeated_hour_gets_nothing_that_is_over() -> None:
    zone = ZoneInfo("Europe/Berlin")
    second_time = datetime(2026, 10, 25, 2, 45, fold=1, tzinfo=zone)
    assert local(list(islice(due_after("50 2 * * *", zone, second_time), 1)), zone) == ["10-26T02:50+01:00"]
    assert next(CronSim("50 2 * * *", second_time)).astimezone(UTC) < second_time, "why cronsim is not asked"
    assert local(list(islice(due_after("*/10 2 * * *", zone, second_time), 1)), zone) == ["10-25T02:50+01:00"]


def test_a_zone_that_changes_by_half_an_hour_loses_nothing() -> None:
    found = on("*/10 3 * * *", "Australia/Lord_Howe", 2026, 10, 4)
    assert found == [f"10-04T03:{minute:02d}+11:00" for minute in range(0, 60, 10)]


def test_a_day_that_a_zone_leaves_out_is_one_due_time() -> None:
    assert on("0 6,18 * * *", "Pacific/Apia", 2011, 12, 29) == ["12-29T06:00-10:00", "12-29T18:00-10:00"]
    assert on("0 6,18 * * *", "Pacific/Apia", 2011, 12, 31)[0] == "12-31T00:00+14:00"
    assert len(on("0 6,18 * * *", "Pacific/Apia", 2011, 12, 31)) == 3


def test_month_ends() -> None:
    utc = ZoneInfo("UTC")
    year = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    last = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert [due.day for due in due_between("0 0 L * *", utc, *year)] == last
    assert [due.month for due in due_between("0 0 31 * *", utc, *year)] == [1, 3, 5, 7, 8, 10, 12]
    assert [due.day for due in due_between("0 0 LW * *", utc, *year)][:3] == [29, 26, 31]
    assert [due.day for due in due_between("0 0 * * 5L", utc, *year)][:3] == [29, 26, 26]
    berlin = ZoneInfo("Europe/Berlin")
    assert on("59 23 L * *", "Europe/Berlin", 2026, 10, 31) == ["10-31T23:59+01:00"]
    assert local(due_between("0 0 1 * *", berlin, *year), berlin)[3] == "05-01T00:00+02:00"


def test_the_leap_day() -> None:
    found = islice(
        due_after("0 12 29 2 *", ZoneInfo("America/New_York"), datetime(2026, 1, 1, tzinfo=UTC)), 3
    )
    assert [due.year for due in found] == [2028, 2032, 2036]
    assert on("0 12 L 2 *", "America/New_York", 2028, 2, 29) == ["02-29T12:00-05:00"]
    assert next(due_after("0 0 29 2 *", ZoneInfo("UTC"), datetime(2096, 3, 1, tzinfo=UTC))).year == 2104


def test_sunday_is_0_and_7_and_days_are_or_unless_one_is_a_star() -> None:
    assert (
        on("0 6 * * 0", "UTC", 2026, 11, 22) == on("0 6 * * 7", "UTC", 2026, 11, 22) == ["11-22T06:00+00:00"]
    )
    assert on("0 6 * * 0", "UTC", 2026, 11, 23) == []
    month = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    either = due_between("0 0 13 * 5", ZoneInfo("UTC"), *month)
    assert [due.day for due in either] == [6, 13, 20, 27]
    assert [due.day for due in due_between("0 0 */10 * 0", ZoneInfo("UTC"), *month)] == [1]


def test_the_clock_shows_a_time_never_once_or_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert instants(datetime(2026, 3, 29, 2, 30), berlin) == []
    assert instants(datetime(2026, 6, 1, 2, 30), berlin) == [datetime(2026, 6, 1, 0, 30, tzinfo=UTC)]
    assert [due.hour for due in instants(datetime(2026, 10, 25, 2, 30), berlin)] == [0, 1]
