"""prepare: the report of a store, its windows, and how it reads on a terminal."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from datamodules.errors import InputError
from datamodules.gridded.options import GriddedOptions
from pipelines.forecasts.prepare import describe, render


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """100 six-hourly maps with a gap of 4 steps after the 60th."""
    steps = np.r_[0:60, 64:104]
    values = np.arange(100 * 4 * 6, dtype=np.float32).reshape(100, 4, 6)
    data = xr.Dataset(
        {"air": (("time", "lat", "lon"), values, {"units": "K"})},
        {
            "time": np.datetime64("2001-01-01", "ns") + steps * np.timedelta64(6, "h"),
            "lat": np.linspace(60, 45, 4),
            "lon": np.linspace(0, 50, 6),
        },
    )
    data.to_netcdf(tmp_path / "air.nc")
    return tmp_path / "air.nc"


def report(source: Path, history: int = 4, horizon: int = 2, **settings: Any) -> dict[str, Any]:
    options = GriddedOptions(name="air", path=str(source), **settings)
    return describe(options, source.parent / "stores", history, horizon)


def text(found: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(found))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_report_is_plain_json_with_all_that_was_found(source: Path) -> None:
    found = json.loads(json.dumps(report(source)))
    assert (found["variables"][0]["name"], found["variables"][0]["max"]) == ("air", 2399)
    assert found["time"]["gaps"] == 1
    assert found["grid"]["shape"] == [4, 6]
    assert Path(found["store"], "store.json").exists()


def test_windows_are_counted_within_splits_and_never_across_the_gap(source: Path) -> None:
    splits = report(source)["splits"]
    assert [splits[name]["steps"] for name in ("train", "validation", "test")] == [64, 9, 15]
    assert [splits[name]["windows"] for name in ("train", "validation", "test")] == [55, 4, 10]
    assert splits["train"]["first"] == "2001-01-01T00:00:00"


def test_too_few_steps_for_a_window_are_packed_and_told(source: Path) -> None:
    found = report(source, history=20, horizon=20)
    assert found["splits"]["test"]["windows"] == 0
    assert any("20 + 20 = 40 steps without a gap" in warning for warning in found["warnings"])
    assert "warning: data.split.test gives no window" in text(found)


def test_overlapping_splits_are_refused(source: Path) -> None:
    split = {
        "train": ["2001-01-01", "2001-01-15"],
        "validation": ["2001-01-10", "2001-01-20"],
        "test": ["2002", "2002"],
    }
    with pytest.raises(InputError, match="overlap"):
        report(source, split=split)


def test_the_table_tells_variables_time_grid_and_splits(source: Path, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "time,nao\n2001-01-01T00:00Z,1\n2001-01-01T06:00Z,2\n2001-01-01T12:00Z,3\n"
    )
    shown = text(report(source, series={"path": str(tmp_path / "s.csv")}))
    for told in (
        "air       K",
        "nao       ?",
        "97.0 %",
        "2001-01-01 00:00 to 2001-01-26 18:00, 100 steps of 6 h, 1 gap (4 steps missing), calendar",
        "regional, 4 x 6, latitude 60 to 45, longitude 0 to 50, spacing 5 x 10",
        "train",
        "has a value at 3% of the maps' times only",
    ):
        assert told in shown
