"""Intervals of the difference between two runs: what they say of equal runs and of better ones."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import InputError
from pipelines.forecasts.case_errors import CaseErrors
from pipelines.reviewing.changed_captions import compare_captions
from pipelines.reviewing.differences import apart, forecast_differences, score_differences
from pipelines.reviewing.evidence import Sentence


def errors(squared: np.ndarray, first: int = 0, overlap: int = 2) -> CaseErrors:
    """Errors (case, lead, quantity) of forecasts issued every six hours."""
    times = np.datetime64("2001-01-01T00:00:00") + (first + np.arange(len(squared))) * np.timedelta64(6, "h")
    return CaseErrors(
        cases=tuple(map(str, times)),
        quantities=("air", "hgt")[: squared.shape[2]],
        units=("K", "m")[: squared.shape[2]],
        lead_names=("6h", "12h"),
        lead_hours=(6.0, 12.0),
        squared=squared,
        weight=np.where(np.isfinite(squared), 1.0, 0.0),
        overlap=overlap,
    )


def made(seed: int, cases: int = 200, factor: float = 1.0) -> np.ndarray:
    """Squared errors that share what makes a case hard: two seeds, two equally good models."""
    hard = np.convolve(np.random.default_rng(99).gamma(4.0, size=cases + 4), np.ones(5) / 5, "valid")
    own = np.random.default_rng(seed).gamma(20.0, 1 / 20, size=(cases, 2, 2))
    return factor * hard[:, None, None] * own


def test_the_gain_is_one_minus_the_ratio_of_the_errors() -> None:
    one, two = made(1), made(2)
    found = forecast_differences(errors(one), errors(two))
    for q, quantity in enumerate(("air", "hgt")):
        gains = [1 - np.sqrt(two[:, lead, q].mean() / one[:, lead, q].mean()) for lead in (0, 1)]
        for lead, name in enumerate(("6h", "12h")):
            assert found.gains[quantity, name].value == pytest.approx(gains[lead], rel=1e-9)
        assert found.gains[quantity, ""].value == pytest.approx(np.mean(gains), rel=1e-9)
    assert found.cases == 200
    assert found.block >= 2


def test_equal_runs_differ_by_nothing_and_a_better_one_is_seen() -> None:
    same = forecast_differences(errors(made(1)), errors(made(1)))
    assert all((one.value, one.low, one.high) == (0, 0, 0) for one in same.gains.values())
    better = forecast_differences(errors(made(1)), errors(made(2, factor=0.9)))
    assert all(0 < one.low < one.value < one.high < 0.12 for one in better.gains.values())
    back = forecast_differences(errors(made(2, factor=0.9)), errors(made(1)))
    assert all(one.high < 0 for one in back.gains.values())


def test_intervals_of_equally_good_runs_hold_nothing_at_their_rate() -> None:
    found = [forecast_differences(errors(made(2 * n)), errors(made(2 * n + 1))) for n in range(40)]
    missed = [not one.gains["air", "6h"].low <= 0 <= one.gains["air", "6h"].high for one in found]
    assert np.mean(missed) <= 0.125  # 5 % is expected: 40 of them miss 6 or more times in 1.4 % of all cases


def test_only_what_both_have_counts() -> None:
    one, two = made(1), made(2)
    two[7, 0, 0] = np.nan
    longer = errors(made(1, 260))
    shifted = CaseErrors(**{**vars(longer), "squared": np.concatenate([one, made(3, 60)])})
    found = forecast_differences(shifted, errors(two))
    assert found.cases == 200
    counts = np.arange(200) != 7
    gain = 1 - np.sqrt(two[counts, 0, 0].mean() / one[counts, 0, 0].mean())
    assert found.gains["air", "6h"].value == pytest.approx(gain, rel=1e-9)
    with pytest.raises(InputError, match="in common"):
        forecast_differences(errors(one), errors(two, first=1000))


def dated(
    *cases: str, leads: tuple[str, ...] = ("6h",), quantities: tuple[str, ...] = ("air",)
) -> CaseErrors:
    shape = (len(cases), len(leads), len(quantities))
    units, hours = ("K",) * len(quantities), (1.0,) * len(leads)
    return CaseErrors(cases, quantities, units, leads, hours, np.ones(shape), np.ones(shape), 1)


def test_what_two_have_not_in_common_is_told() -> None:
    months = dated("2001-11-01T00:00:00", "2002-01-31T00:00:00")
    assert apart(months, months) is None
    later = dated("2002-02-01T00:00:00", "2002-03-01T00:00:00")
    assert apart(months, later) == (
        "on forecasts of 2001-11 to 2002-01",
        "on forecasts of 2002-02 to 2002-03",
    )
    days = dated("2002-01-30T00:00:00", "2002-01-31T06:00:00")
    assert apart(dated("2002-01-01T00:00:00"), days) == (
        "on forecasts of 2002-01-01",
        "on forecasts of 2002-01-30 to 2002-01-31",
    )
    between = dated("2001-12-01T00:00:00")
    assert apart(months, between) == (
        "on forecasts of 2001-11-01T00:00 to 2002-01-31T00:00",
        "on forecasts of 2001-12-01T00:00",
    )
    other = dated("2001-11-01T00:00:00", leads=("1d", "2d"), quantities=("z",))
    assert apart(months, other) == (
        "at lead times 6h by variables air",
        "at lead times 1d, 2d by variables z",
    )


def test_few_cases_are_told() -> None:
    assert forecast_differences(errors(made(1)), errors(made(2))).enough
    assert not forecast_differences(errors(made(1, 20)), errors(made(2, 20), overlap=12)).enough


def test_errors_are_read_as_they_were_written(tmp_path: Path) -> None:
    there = errors(made(1))
    found = CaseErrors.read(there.write(tmp_path / "predictions" / "errors.npz"))
    for name in ("cases", "quantities", "units", "lead_names", "lead_hours", "overlap"):
        assert getattr(found, name) == getattr(there, name)
    np.testing.assert_array_equal(found.squared, there.squared)
    np.testing.assert_array_equal(found.weight, there.weight)
    (tmp_path / "half.npz").write_bytes((tmp_path / "predictions" / "errors.npz").read_bytes()[:200])
    with pytest.raises(InputError, match=r"half\.npz: cannot be read"):
        CaseErrors.read(tmp_path / "half.npz")


def test_clips_are_drawn_one_by_one() -> None:
    one = np.random.default_rng(0).normal(size=(300, 2))
    found = score_differences(("cider", "rouge_l"), one, one + np.array([0.2, 0.0]))
    assert found.gains["cider", ""].value == pytest.approx(0.2)
    assert found.gains["cider", ""].low > 0.19
    assert (found.gains["rouge_l", ""].low, found.gains["rouge_l", ""].high) == (0, 0)
    assert found.block == 1


def test_captions_that_changed_come_with_the_best_first() -> None:
    people = {
        "a": ("a man plays a guitar", "a man is playing the guitar"),
        "b": ("a cat drinks milk", "a small cat is drinking"),
        "c": ("two boats on a lake", "boats float on the water"),
        "d": ("a dog runs on grass", "a dog is running fast"),
    }
    said = {"a": "a dog runs", "b": "a cat drinks milk", "c": "boats on a lake", "d": "a cat"}
    now = {"a": "a man plays a guitar", "b": "a red car", "c": "boats on a lake", "d": "a dog"}
    first, other = ({clip: Sentence(text[clip], people[clip]) for clip in people} for text in (said, now))
    del other["d"]
    found = compare_captions(first, other, "words")
    assert [one.clip for one in found.changed] == ["a", "b"]
    assert found.changed[0].gain > 0 > found.changed[1].gain
    assert found.changed[0].reference == "a man plays a guitar"
    assert found.differences.cases == 3
    with pytest.raises(InputError, match="no clip in common"):
        compare_captions(first, {}, "words")
