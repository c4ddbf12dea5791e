"""A season is no drift, a sensor that is off is, and captions that change are told."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.retraining.drift import DriftOptions, drift_report, kolmogorov, ks_distance, psi
from tests.pipelines.retraining.small_data import maps_of, put, ready_run, settings_of, words

OPTIONS = DriftOptions()


def test_the_figures_are_those_of_their_definitions() -> None:
    old, new = np.arange(100.0), np.arange(100.0) + 50
    assert ks_distance(old, old) == 0
    assert ks_distance(old, new) == pytest.approx(0.5)
    assert psi(old, old) == pytest.approx(0, abs=1e-12)
    assert psi(old, new) > 1
    assert kolmogorov(1.358) == pytest.approx(0.05, abs=2e-4)
    assert kolmogorov(0.0) == 1.0


def test_a_season_is_no_drift_and_a_warm_sensor_is(tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2002-03-31"))
    split = (
        "data.split.train=[2001-01-01,2002-01-31]",
        "data.split.validation=[2002-02-03,2002-02-28]",
        "data.split.test=[2002-03-03,2002-03-31]",
    )
    champion, _ = ready_run(tmp_path / "champion", words(tmp_path, *split))
    settings = settings_of(words(tmp_path))
    assert "nothing has arrived" in drift_report(champion, settings, OPTIONS).note
    put(tmp_path / "arrived", "2002-07.nc", maps_of("2002-07-01", "2002-07-31"))
    season = drift_report(champion, settings, OPTIONS)
    assert not season.drifted
    assert [row.variable for row in season.rows] == ["air"]
    put(tmp_path / "arrived", "2002-07.nc", maps_of("2002-07-01", "2002-07-31", warmer=4.0))
    warm = drift_report(champion, settings, OPTIONS)
    assert warm.drifted
    assert warm.rows[0].ks > 0.3 > season.rows[0].ks
    assert warm.as_plain()["rows"][0]["variable"] == "air"


def test_without_a_year_of_data_nothing_is_called_a_drift(tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2001-03-31"))
    champion, _ = ready_run(tmp_path / "champion", words(tmp_path))
    put(tmp_path / "arrived", "2001-07.nc", maps_of("2001-07-01", "2001-07-31"))
    report = drift_report(champion, settings_of(words(tmp_path)), OPTIONS)
    assert report.rows == ()
    assert "no whole year" in report.note


def test_a_champion_of_another_place_is_not_compared(tmp_path: Path) -> None:
    put(tmp_path / "arrived", "2001.nc", maps_of("2001-01-01", "2001-03-31"))
    champion, _ = ready_run(tmp_path / "champion", words(tmp_path))
    moved = maps_of("2001-01-01", "2001-07-31")
    put(tmp_path / "arrived", "2001.nc", moved.assign_coords(lon=moved["lon"] - 100))
    report = drift_report(champion, settings_of(words(tmp_path)), OPTIONS)
    assert report.rows == ()
    assert "another grid" in report.note
