"""Figures are short, and do not change what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.reports.numbers import MINUS, NOTHING, column, figure, percent, tick_name, ticks


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.23456, "1.23"), (0.00123, "0.00123"), (12345.6, "12,346"), (1e-9, f"1.00e{MINUS}09"), (0, "0"),
     (-2.5, f"{MINUS}2.50"), (None, NOTHING), (float("nan"), NOTHING)],
)  # fmt: skip
def test_a_figure_has_the_digits_that_count(value: float | None, shown: str) -> None:
    assert figure(value) == shown


def test_a_column_has_the_same_decimals_throughout() -> None:
    assert column([0.123, 12.0, None]) == ["0.123", "12.000", NOTHING]


@pytest.mark.parametrize(
    ("share", "shown"), [(0.1234, "+12.3 %"), (-0.05, f"{MINUS}5.0 %"), (-0.00001, "0.0 %"), (None, NOTHING)]
)
def test_a_share_has_its_sign_and_zero_has_none(share: float | None, shown: str) -> None:
    assert percent(share) == shown


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_ticks_lie_within_and_are_few(low: float, span: float, hours: bool) -> None:
    found = ticks(low, low + span, hours=hours)
    room = 1e-6 * (abs(low) + span)
    assert all(low - room <= one <= low + span + room for one in found)
    assert len(found) <= 7
    assert all(tick_name(one) for one in found)


def test_lead_times_are_marked_at_days_and_quarters_of_days() -> None:
    assert ticks(6, 48, hours=True) == [12, 24, 36, 48]
