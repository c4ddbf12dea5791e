"""Bad data are refused before any training, and a season is not bad data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from datamodules.samples.clips import make_sample_clips
from pipelines.retraining.data_checks import ChecksOptions, Look, check_data
from pipelines.settings import Settings
from tests.pipelines.captions.small_clips import words as clip_words
from tests.pipelines.retraining.small_data import maps_of, put, settings_of, words

CHECKS = ChecksOptions()
JULY = ("2001-07-01", "2001-07-31")


def plain(look: Look) -> dict[str, Any]:
    """The look as the ledger hands it back."""
    found: dict[str, Any] = json.loads(json.dumps(look.as_plain()))
    return found


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings, dict[str, Any]]:
    """Half a year of maps that were good, and the look at them."""
    folder = tmp_path_factory.mktemp("maps")
    put(folder / "arrived", "2001a.nc", maps_of("2001-01-01", "2001-06-30"))
    settings = settings_of(words(folder))
    look = check_data(settings, CHECKS)
    assert look.problems == ()
    return folder, settings, plain(look)


def look_with(known: tuple[Path, Settings, dict[str, Any]], month: xr.Dataset) -> Look:
    """The look after this month has arrived."""
    folder, settings, before = known
    path = put(folder / "arrived", "2001b.nc", month)
    try:
        return check_data(settings, CHECKS, before)
    finally:
        path.unlink()


def with_air(month: xr.Dataset, values: np.ndarray) -> xr.Dataset:
    """The month with other values."""
    return month.assign(air=(("time", "lat", "lon"), values.astype(np.float32), month["air"].attrs))


def test_the_next_season_passes_and_its_figures_join_the_known_ones(
    known: tuple[Path, Settings, dict[str, Any]],
) -> None:
    look = look_with(known, maps_of(*JULY))
    assert look.problems == ()
    assert (look.new, look.count) == (124, 181 * 4 + 124)
    assert look.last == "2001-07-31T18:00:00"
    assert look.digest != known[2]["digest"]
    before = known[2]["summary"]["variables"]["air"]
    assert look.summary["variables"]["air"]["count"] > before["count"]
    assert look.summary["variables"]["air"]["high"] >= before["high"]


def test_data_that_did_not_change_are_not_read_again(known: tuple[Path, Settings, dict[str, Any]]) -> None:
    look = check_data(known[1], CHECKS, known[2])
    assert (look.new, look.problems, look.digest) == (0, (), known[2]["digest"])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda month: with_air(month, month["air"].values - 273.15), "air: 100% of the new values are far"),
        (lambda month: with_air(month, month["air"].values * 10), "air: 100% of the new values are far"),
        (lambda month: month.isel(time=[*range(40), *range(80, 124)]), "40 of 124 new steps are missing"),
        (lambda month: month.isel(time=slice(40, None)), "40 of 124 new steps are missing"),
        (
            lambda month: with_air(month, month["air"].values * np.nan),
            "124 new maps hold no value in any",
        ),
        (lambda month: with_air(month, 0 * month["air"].values + 285), "repeat the one before"),
        (
            lambda month: with_air(
                month, np.where(np.arange(9) < 4, month["air"].values, np.float32(np.nan))
            ),
            "of the new values are missing",
        ),
        (lambda month: month.assign(air=month["air"].assign_attrs(units="degC")), "units of 'air' disagree"),
        (
            lambda month: maps_of("2001-06-01", "2001-07-31"),
            "moments lie in two files",
        ),
    ],
    ids=["celsius", "tenfold", "gap", "begins late", "empty", "stuck", "half missing", "units", "twice"],
)
def test_a_spoilt_month_is_refused_with_the_reason(
    known: tuple[Path, Settings, dict[str, Any]], spoil: Any, told: str
) -> None:
    look = look_with(known, spoil(maps_of(*JULY)))
    assert any(told in problem for problem in look.problems), look.problems


def test_one_bad_day_in_a_month_is_not_thinned_out(known: tuple[Path, Settings, dict[str, Any]]) -> None:
    values = maps_of(*JULY)["air"].values.copy()
    values[60:64] -= 273.15
    look = look_with(known, with_air(maps_of(*JULY), values))
    assert any("far from all known" in problem for problem in look.problems)


def test_a_file_that_is_cut_is_a_problem_and_no_error(known: tuple[Path, Settings, dict[str, Any]]) -> None:
    folder, settings, before = known
    path = put(folder / "arrived", "2001b.nc", maps_of(*JULY))
    path.write_bytes(path.read_bytes()[:5000])
    look = check_data(settings, CHECKS, before)
    path.unlink()
    assert len(look.problems) == 1
    assert "2001b.nc" in look.problems[0]


def test_steps_that_vanish_are_told(known: tuple[Path, Settings, dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001a.nc", maps_of("2001-01-11", "2001-06-30"))
    look = check_data(settings_of(words(tmp_path)), CHECKS, known[2])
    assert any("40 of the 724 steps" in problem for problem in look.problems)


def test_a_grid_that_has_moved_is_told_and_an_older_look_passes(
    known: tuple[Path, Settings, dict[str, Any]], tmp_path: Path
) -> None:
    moved = maps_of("2001-01-01", "2001-07-31")
    put(tmp_path / "arrived", "2001a.nc", moved.assign_coords(lon=moved["lon"] - 100))
    settings = settings_of(words(tmp_path))
    problems = check_data(settings, CHECKS, known[2]).problems
    assert len(problems) == 1
    assert problems[0].startswith("the grid has moved: lon from "), problems
    summary = {key: value for key, value in known[2]["summary"].items() if key != "places"}
    assert check_data(settings, CHECKS, {**known[2], "summary": summary}).problems == ()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda air: np.where(np.arange(9) < 4, np.nan, air), "known before are missing now"),
        (lambda air: np.repeat(air[::4], 4, axis=0), "known before repeat the one before now"),
        (lambda air: air + 15, "the mean of what was known before is"),
    ],
    ids=["missing", "stuck", "warmer"],
)
def test_older_steps_that_were_written_over_are_told_and_an_older_look_passes(
    known: tuple[Path, Settings, dict[str, Any]], tmp_path: Path, spoil: Any, told: str
) -> None:
    half = maps_of("2001-01-01", "2001-06-30")
    put(tmp_path / "arrived", "2001a.nc", with_air(half, spoil(half["air"].values)))
    settings = settings_of(words(tmp_path))
    problems = check_data(settings, CHECKS, known[2]).problems
    assert any(told in problem for problem in problems), problems
    summary = {key: value for key, value in known[2]["summary"].items() if key != "sample"}
    without = check_data(settings, CHECKS, {**known[2], "summary": summary}).problems
    assert not any(told in problem for problem in without)


def test_captions_that_shrink_and_clips_that_vanish_or_break_are_told(tmp_path: Path) -> None:
    clips = make_sample_clips(tmp_path / "data", clips=20, seed=1)
    table = clips / "captions.csv"
    head, *rows = table.read_text().splitlines()
    ids = list(dict.fromkeys(row.split(",")[0] for row in rows))
    settings = settings_of([*clip_words(clips, tmp_path), "data.bad_clips=skip"])
    table.write_text("\n".join([head, *(row for row in rows if row.split(",")[0] in ids[:30])]) + "\n")
    first = check_data(settings, CHECKS)
    assert first.problems == ()
    before = plain(first)
    table.write_text("\n".join([head, *rows]) + "\n")
    whole = check_data(settings, CHECKS, before)
    assert (whole.problems, whole.new, whole.digest != first.digest) == ((), len(ids) - 30, True)
    short = [
        row if row.split(",")[0] in ids[:30] else ",".join([*row.split(",")[:2], "a ball"]) for row in rows
    ]
    table.write_text("\n".join([head, *short]) + "\n")
    told = check_data(settings, CHECKS, before).problems
    assert any(one.startswith("words a caption: 2 now") for one in told)
    table.write_text("\n".join([head, *(row for row in rows if row.split(",")[0] not in ids[:3])]) + "\n")
    assert any(
        "3 of the 30 clips known before have vanished" in one
        for one in check_data(settings, CHECKS, before).problems
    )
    table.write_text("\n".join([head, *rows]) + "\n")
    for name in ids[-6:]:
        next((clips / "clips").glob(f"{name}.*")).write_bytes(b"cut")
    assert any("new clips cannot be read" in one for one in check_data(settings, CHECKS, before).problems)
