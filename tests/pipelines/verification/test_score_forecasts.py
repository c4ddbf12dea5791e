"""`skyreel score forecast=` tells skill with intervals, as a table, as JSON and as CSV, in clear words."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from pipelines.verification.skill_intervals import overlap, skill_block, skill_intervals
from pipelines.verification.tables import show
from pipelines.verification.verify import verify
from tests.pipelines.small_files import ROOT, answer, result, steps_of, write_maps
from tests.pipelines.verification.forecast_files import plain_forecast, write_truth


class Files(NamedTuple):
    """A truth, a forecast of it, and the same forecast's plain form."""

    truth: Path
    forecast: Path
    plain: xr.Dataset


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A hundred and twenty forecasts. Read them only."""
    folder = tmp_path_factory.mktemp("files")
    truth = write_truth(folder, 260)
    plain = plain_forecast(truth, references=120)
    plain.to_netcdf(folder / "forecast.nc")
    return Files(truth, folder / "forecast.nc", plain)


def test_skill_against_persistence_comes_with_an_interval_that_holds_it(files: Files) -> None:
    found = result("score", f"forecast={files.forecast}", f"truth={files.truth}")
    assert found["forecasts"] == 120
    assert set(found["intervals"]) == {f"skill_persistence/air/{hours}h" for hours in (6, 12, 18, 24)}
    for name, span in found["intervals"].items():
        assert span["low"] < found["metrics"][name] < span["high"]
    assert found["metrics"]["skill_persistence/air/6h"] == pytest.approx(
        1 - found["metrics"]["rmse/air/6h"] / found["metrics"]["reference/persistence/rmse/air/6h"]
    )
    assert "acc/air/6h" not in found["metrics"]
    assert found["block"] >= 5
    assert found["warnings"] == []


def test_a_few_forecasts_have_no_intervals_and_the_reason_is_told(files: Files, tmp_path: Path) -> None:
    files.plain.isel(init=slice(0, 10)).to_netcdf(tmp_path / "few.nc")
    found = result("score", f"forecast={tmp_path}/few.nc", f"truth={files.truth}")
    assert found["intervals"] == {}
    assert any(
        told.startswith("no intervals: ") and " 10 are fewer than" in told for told in found["warnings"]
    )


def test_the_table_shows_figures_and_intervals_in_plain_text(files: Files) -> None:
    console = Console(width=140, record=True, file=None, force_terminal=False)
    with console.capture() as caught:
        show(verify(str(files.forecast), str(files.truth)), console)
    said = caught.get()
    assert (
        "120 forecasts, issued 2001-01-02T00:00:00 to" in said or "120 forecasts, issued 2001-01-02" in said
    )
    assert "skill against persistence" in said
    assert "95% intervals" in said
    assert sum(line.strip().startswith(("6h", "12h", "18h", "24h")) for line in said.splitlines()) == 4


def test_the_csv_file_has_a_row_a_figure_and_appears_whole(files: Files, tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    found = result("score", f"forecast={files.forecast}", f"truth={files.truth}", f"output={output}")
    assert found["output"] == str(output)
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found["metrics"])
    skill = next(row for row in rows if row["metric"] == "skill_persistence" and row["lead_hours"] == "24")
    assert float(skill["value"]) == found["metrics"]["skill_persistence/air/24h"]
    assert float(skill["low"]) == found["intervals"]["skill_persistence/air/24h"]["low"]
    assert (skill["forecasts"], skill["units"]) == ("120", "1")
    assert next(row for row in rows if row["metric"] == "rmse")["units"] == "K"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def monthly(air: xr.DataArray) -> xr.DataArray:
    """A mean for each of twelve months; those that the maps lack have the mean of all."""
    means = air.groupby("time.month").mean("time")
    return means.reindex(month=np.arange(1, 13)).fillna(air.mean("time"))


def daily(air: xr.DataArray) -> xr.DataArray:
    """A mean for each hour and day of the year, the hours first, south first."""
    days = np.arange(1, 367)
    by_day = air.groupby("time.dayofyear").mean("time").reindex(dayofyear=days).fillna(air.mean("time"))
    hours = xr.DataArray([0, 6, 12, 18], dims="hour", coords={"hour": [0, 6, 12, 18]})
    return (by_day + 0 * hours).transpose("hour", "dayofyear", "lat", "lon").isel(lat=slice(None, None, -1))


def of_another_year(air: xr.DataArray) -> xr.DataArray:
    """Twelve monthly means dated in a year of their own."""
    means = monthly(air)
    when = np.array([f"1961-{month:02d}-01" for month in range(1, 13)], "M8[ns]")
    return means.rename(month="time").assign_coords(time=when)


@pytest.mark.parametrize("make", [monthly, daily, of_another_year])
def test_a_climatology_by_month_by_day_or_of_another_year_is_a_reference_and_gives_the_acc(
    make, files: Files, tmp_path: Path
) -> None:
    with xr.open_dataset(files.truth) as maps:
        air = maps["air"].load()
    usual = make(air).astype(np.float32)
    usual.attrs["units"] = "K"
    usual.rename("air").to_dataset().to_netcdf(tmp_path / "usual.nc")
    found = result(
        "score", f"forecast={files.forecast}", f"truth={files.truth}", f"climatology={tmp_path}/usual.nc"
    )["metrics"]
    when = files.plain["init"].values + np.timedelta64(6, "h")
    if make is daily:
        expected = usual.sel(hour=0, dayofyear=xr.DataArray(when, dims="time").dt.dayofyear.values)
        expected = expected.isel(lat=slice(None, None, -1)).values
    else:
        months = xr.DataArray(when, dims="time").dt.month.values
        expected = monthly(air).sel(month=months).values
    truth = air.sel(time=when).values.astype(float)
    lat = air.lat.values
    half = (lat[0] - lat[1]) / 2
    area = (np.sin(np.deg2rad(lat + half)) - np.sin(np.deg2rad(lat - half)))[None, :, None]
    rmse = np.sqrt((area * (expected - truth) ** 2).sum() / (area.sum() * truth.shape[0] * truth.shape[2]))
    assert found["reference/climatology/rmse/air/6h"] == pytest.approx(rmse, rel=1e-4)
    ours, theirs = files.plain["air"].values[:, 0] - expected, truth - expected
    acc = (area * ours * theirs).sum() / np.sqrt((area * ours**2).sum() * (area * theirs**2).sum())
    assert found["acc/air/6h"] == pytest.approx(acc, rel=1e-4)
    assert "skill_climatology/air/6h" in found


def test_monthly_forecasts_meet_their_months_wherever_they_are_dated(tmp_path: Path) -> None:
    when = np.arange("2001-01", "2005-01", dtype="M8[M]").astype("M8[ns]")
    rng = np.random.default_rng(0)
    grid = {
        "lat": ("lat", [10.0, 0.0, -10.0], {"units": "degrees_north"}),
        "lon": ("lon", [0.0, 120.0, 240.0], {"units": "degrees_east"}),
    }
    values = rng.normal(size=(48, 3, 3)).astype(np.float32)
    middle = when + np.timedelta64(14, "D")
    truth = xr.Dataset({"sst": (("time", "lat", "lon"), values, {"units": "K"})}, {"time": middle, **grid})
    truth.to_netcdf(tmp_path / "truth.nc")
    fields = np.stack([values[first + 1 : first + 4] + 1 for first in range(40)])
    forecast = xr.Dataset(
        {"sst": (("init", "lead", "lat", "lon"), fields, {"units": "K"})},
        {"init": when[:40], "lead": ("lead", [1, 2, 3], {"units": "months"}), **grid},
    )
    forecast.to_netcdf(tmp_path / "forecast.nc")
    found = verify(str(tmp_path / "forecast.nc"), str(tmp_path / "truth.nc"))
    assert found.lead_names == ("1mo", "2mo", "3mo")
    assert found.scores["forecast"]["bias"][:, 0] == pytest.approx(np.ones(3), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("score",), "score needs these, of forecasts"),
        (("score", "forecast=a.nc"), "truth="),
        (("score", "truth=a.nc"), "forecast="),
        (("score", "hypotheses=a.json"), "references="),
        (("score", "forecast=a.nc", "truth=b.nc", "hypotheses=c.json"), "one in a call"),
        (("score", "forecast=a.nc", "truth=b.nc", "tokenizer=plain"), "This is of captions only"),
        (("score", "hypotheses=a", "references=b", "climatology=c.nc"), "This is of forecasts only"),
    ],
)
def test_a_call_that_asks_for_half_or_for_both_is_told_what_is_missing(
    call: tuple[str, ...], said: str
) -> None:
    status, found, message = answer(*call)
    assert (status, found) == (2, None)
    assert said in message


def test_files_that_are_not_there_and_outputs_that_cannot_be_are_refused(
    files: Files, tmp_path: Path
) -> None:
    for words, said in (
        ((f"forecast={tmp_path}/none.nc", f"truth={files.truth}"), "forecast: nothing matches"),
        ((f"forecast={files.forecast}", f"truth={tmp_path}/none.nc"), "truth: nothing matches"),
        (
            (f"forecast={files.forecast}", f"truth={files.truth}", f"climatology={tmp_path}/no.nc"),
            "climatology",
        ),
        ((f"forecast={files.forecast}", f"truth={files.truth}", "output=scores.txt"), "ends in .csv"),
        (
            (f"forecast={files.forecast}", f"truth={files.truth}", f"output={tmp_path}/no/a.csv"),
            "does not exist",
        ),
    ):
        status, found, message = answer("score", *words)
        assert (status, found) == (2, None), message
        assert said in message


def test_intervals_of_two_equal_forecasts_hold_no_skill_and_overlap_is_counted() -> None:
    rng = np.random.default_rng(0)
    squares = rng.gamma(4, 1, (200, 6))
    found = skill_intervals(squares, squares, 5, 0.95, 0)
    assert all(one.value == one.low == one.high == 0 for one in found)
    reference = np.arange(200) * 6 * 3600
    assert overlap(reference, 24) == 4
    assert overlap(reference[:1], 24) == 1
    assert skill_block(squares, rng.gamma(4, 1, (200, 6)), 9) >= 9


def test_a_truth_of_one_moment_is_enough(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    plain = plain_forecast(truth, references=1, leads=1)
    plain.to_netcdf(tmp_path / "forecast.nc")
    write_maps(tmp_path / "all.nc", steps_of(160))
    with xr.open_dataset(tmp_path / "all.nc") as maps:
        maps.isel(time=[5]).to_netcdf(tmp_path / "one.nc")
    found = verify(str(tmp_path / "forecast.nc"), str(tmp_path / "one.nc"))
    assert list(found.scores) == ["forecast"]
    assert np.isfinite(found.scores["forecast"]["rmse"]).all()


MEASURE = """
import sys
from pathlib import Path
from pipelines.verification.verify import verify
verify(sys.argv[1], sys.argv[2])
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_number_of_forecasts(tmp_path: Path) -> None:
    truth = write_maps(tmp_path / "truth.nc", steps_of(240), shape=(90, 180))
    peaks = []
    for references in (4, 110):
        plain = plain_forecast(truth, references, leads=8)
        plain.to_netcdf(tmp_path / "forecast.nc")
        size = plain["air"].nbytes / 1024
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "forecast.nc"), str(truth)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert size > 50_000
    assert peaks[1] - peaks[0] < size / 2
