"""Station series: read from CSV and NetCDF, put on the maps' clock without leaks or inventions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from datamodules.errors import InputError
from datamodules.gridded.describe import Step
from datamodules.gridded.options import SeriesOptions
from datamodules.gridded.series import Series, fingerprint, read_series, series_at

HOUR, DAY = 3600, 86400
NAN = float("nan")
SIX_HOURS = Step(seconds=6 * HOUR)
ONE_DAY = Step(seconds=DAY)
ONE_MONTH = Step(months=1)


def seconds(*dates: str) -> np.ndarray:
    return np.array(dates, dtype="datetime64[s]").astype(np.int64)


def six_hourly(count: int = 4) -> np.ndarray:
    return seconds("2001-01-01") + 6 * HOUR * np.arange(count)


def read(
    path: Path, time: np.ndarray, step: Step = SIX_HOURS, calendar: str = "standard", **settings: Any
) -> tuple[Series, list[str]]:
    return read_series(SeriesOptions(path=str(path), **settings), time, step, calendar)


def write(folder: Path, text: str) -> Path:
    path = folder / "stations.csv"
    path.write_text(text, encoding="utf-8")
    return path


WIDE = """time,halifax,victoria
2001-01-01T00:00,1,10
2001-01-01T06:00,2,
2001-01-01T12:00,NA,30
2001-01-01T18:00,4,nan
"""


def test_a_wide_csv_gives_one_series_a_column_with_gaps_as_nan(tmp_path: Path) -> None:
    series, warnings = read(write(tmp_path, WIDE), six_hourly())
    assert series.names == ("halifax", "victoria")
    assert series.values.dtype == np.float32
    np.testing.assert_array_equal(series.values, [[1, 10], [2, NAN], [NAN, 30], [4, NAN]])
    assert np.isnan(series.lat).all()
    assert warnings == []


def test_a_long_csv_gives_one_series_a_station_with_its_place(tmp_path: Path) -> None:
    text = """station;lat;lon;time;tas
        halifax;44.6;-63.6;2001-01-01 06:00;2
        victoria;48.4;-123.4;2001-01-01 00:00;10
        halifax;44.6;-63.6;2001-01-01 00:00;1
        """
    series, _ = read(write(tmp_path, text), six_hourly(2))
    assert series.names == ("halifax", "victoria")
    np.testing.assert_array_equal(series.values, [[1, 10], [2, NAN]])
    np.testing.assert_allclose([series.lat, series.lon], [[44.6, 48.4], [-63.6, -123.4]])


def test_a_long_csv_with_several_values_names_station_and_value(tmp_path: Path) -> None:
    text = "site,date,tas,pr,flag\nA,2001-01-01,1,0,ok\nA,2001-01-02,2,5,ok\nB,2001-01-01,3,1,ok\n"
    series, warnings = read(write(tmp_path, text), seconds("2001-01-01", "2001-01-02"), ONE_DAY)
    assert series.names == ("A_tas", "A_pr", "B_tas", "B_pr")
    np.testing.assert_array_equal(series.values, [[1, 0, 3, 1], [2, 5, NAN, NAN]])
    assert "column 'flag' holds no numbers" in warnings[0]
    chosen, _ = read(
        write(tmp_path, text), seconds("2001-01-01", "2001-01-02"), ONE_DAY, columns=["B_pr", "A_tas"]
    )
    np.testing.assert_array_equal(chosen.values, [[1, 1], [NAN, 2]])


def test_offsets_become_utc_and_rows_need_no_order(tmp_path: Path) -> None:
    text = "when,x\n2001-01-01T08:00+02:00,2\n2000-12-31T19:00:00-0500,1\n2001-01-01T12:00:00.000Z,3\n"
    series, _ = read(write(tmp_path, text), six_hourly(3))
    np.testing.assert_array_equal(series.values[:, 0], [1, 2, 3])


def test_repeated_times_are_told_and_the_first_value_stays(tmp_path: Path) -> None:
    text = "time,x\n2001-01-01T00:00,\n2001-01-01T00:00,1\n2001-01-01T00:00,9\n2001-01-01T06:00,2\n"
    series, warnings = read(write(tmp_path, text), six_hourly(2))
    np.testing.assert_array_equal(series.values[:, 0], [1, 2])
    assert "2 rows repeat a time" in warnings[0]
    assert "1 of the times have values that differ" in warnings[0]


def test_declared_missing_values_go_and_undeclared_ones_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "time,x\n2001-01-01T00:00,-9999\n2001-01-01T06:00,2\n2001-01-01T12:00,3\n")
    kept, warnings = read(path, six_hourly(3))
    np.testing.assert_array_equal(kept.values[:, 0], [-9999, 2, 3])
    assert "data.series.missing=[-9999]" in warnings[0]
    cleaned, warnings = read(path, six_hourly(3), missing=[-9999])
    np.testing.assert_array_equal(cleaned.values[:, 0], [NAN, 2, 3])
    assert warnings == []


def test_values_are_never_filled_forward(tmp_path: Path) -> None:
    text = "time,x\n2001-01-01T00:00,1\n2001-01-01T06:00,2\n2001-01-01T18:01,4\n2001-01-02T00:02,5\n"
    series, _ = read(write(tmp_path, text), six_hourly(5))
    np.testing.assert_array_equal(series.values[:, 0], [1, 2, NAN, 4, NAN])


def test_a_finer_series_is_averaged_over_the_step_that_ends_at_the_map(tmp_path: Path) -> None:
    hours = np.arange(-6, 19)
    stamps = (seconds("2001-01-01") + HOUR * hours).astype("datetime64[s]")
    path = write(tmp_path, "time,x\n" + "".join(f"{t},{h}\n" for t, h in zip(stamps, hours, strict=True)))
    series, _ = read(path, six_hourly())
    np.testing.assert_allclose(series.values[:, 0], [-2.5, 3.5, 9.5, 15.5])


def test_an_average_needs_half_of_its_values(tmp_path: Path) -> None:
    stamps = [f"2001-01-01T{hour:02d}:00" for hour in range(13)]
    values = ["0", "1", "2", "3", "", "", "", "7", "8", "", "", "", ""]
    path = write(tmp_path, "time,x\n" + "".join(f"{t},{v}\n" for t, v in zip(stamps, values, strict=True)))
    series, _ = read(path, six_hourly(3))
    np.testing.assert_array_equal(series.values[:, 0], [NAN, 2, NAN])


def test_the_future_of_a_map_never_reaches_its_series(tmp_path: Path) -> None:
    stamps = (seconds("2001-01-01") + HOUR * np.arange(-6, 19)).astype("datetime64[s]")
    calm = "time,x\n" + "".join(f"{t},0\n" for t in stamps)
    storm = "time,x\n" + "".join(f"{t},{100 * (i > 12)}\n" for i, t in enumerate(stamps))
    before = [read(write(tmp_path, text), six_hourly())[0].values[:2] for text in (calm, storm)]
    np.testing.assert_array_equal(*before)


def test_dates_without_a_time_of_day_belong_to_the_map_of_that_day(tmp_path: Path) -> None:
    noon = seconds("2001-01-01T12", "2001-01-02T12")
    path = write(tmp_path, "date,x\n2001-01-01,1\n2001-01-02,2\n")
    np.testing.assert_array_equal(read(path, noon, ONE_DAY)[0].values[:, 0], [1, 2])


def test_monthly_values_belong_to_the_map_of_their_month(tmp_path: Path) -> None:
    path = write(tmp_path, "month,nino\n2001-02,2\n2001-01,1\n2001-04,4\n")
    series, _ = read(path, seconds("2001-01-16", "2001-02-15", "2001-03-16", "2001-04-16"), ONE_MONTH)
    np.testing.assert_array_equal(series.values[:, 0], [1, 2, NAN, 4])


def test_daily_values_are_averaged_over_the_month_before_a_monthly_map(tmp_path: Path) -> None:
    days = np.arange("2001-01-01", "2001-03-02", dtype="datetime64[D]")
    rows = "".join(f"{day}T00:00,{1 if day <= np.datetime64('2001-02-01') else 2}\n" for day in days)
    series, _ = read(write(tmp_path, "time,x\n" + rows), seconds("2001-02-01", "2001-03-01"), ONE_MONTH)
    np.testing.assert_array_equal(series.values[:, 0], [1, 2])


@pytest.mark.parametrize(("calendar", "lost"), [("noleap", 1), ("360_day", 2), ("standard", 0)])
def test_days_that_the_maps_calendar_lacks_are_left_out_and_told(
    tmp_path: Path, calendar: str, lost: int
) -> None:
    days = np.arange("2000-01-01", "2000-04-01", dtype="datetime64[D]")
    path = write(tmp_path, "date,x\n" + "".join(f"{day},{i}\n" for i, day in enumerate(days)))
    time = (
        np.arange(59, dtype=np.int64) * DAY
        + {"noleap": 365, "360_day": 360, "standard": 0}[calendar] * 30 * DAY
    )
    time += 10957 * DAY if calendar == "standard" else 0
    series, warnings = read(path, time, ONE_DAY, calendar)
    assert any(f"{lost} rows fall on days" in warning for warning in warnings) == bool(lost)
    assert (series.values[0, 0], series.values[28, 0]) == (0, 28)


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        (WIDE, {"columns": ["halifx"]}, "did you mean 'halifax'"),
        (WIDE, {"time_column": "tme"}, "did you mean 'time'"),
        (WIDE, {"units": {"oslo": "K"}}, "data.series.units 'oslo' is not there"),
        ("a,b\n1,2\n", {}, "no column of times"),
        ("time,x\n2001-01-01,1\n31/01/2001,2\n", {}, "line 3: '31/01/2001'"),
        ("time,x\n2001-01-01,1\n2001-01-02,1.2.3\n", {}, "line 3, column 'x': '1.2.3' is no number"),
        ("time,x\n2001-01-01,1\n2001-01-02\n", {}, "line 3: 1 cells, the header has 2"),
        ("time,x,x\n2001-01-01,1,2\n", {}, "twice"),
        ("time,x\n", {}, "and rows"),
        ("time,x\n2001-01-01,1\n2001-01-02,2\n", {}, "a value every 24 h, the maps a frame every 6 h"),
        (
            "time,x\n1990-01-01T00:00,1\n1990-01-01T06:00,2\n",
            {},
            "1990-01-01T00:00:00 to 1990-01-01T06:00:00",
        ),
        ("time,x,y\n2001-01-01T00:00,1,\n2001-01-01T06:00,2,\n", {"columns": ["x", "y"]}, "y: no value"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, text: str, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, text), six_hourly(), **settings)
    assert told in str(caught.value)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "nothing.csv", six_hourly())
    with pytest.raises(InputError, match="No such file"):
        fingerprint(str(tmp_path / "nothing.csv"))


@pytest.mark.parametrize("axes", [("time", "station"), ("station", "time")])
def test_netcdf_stations_keep_names_places_and_units(tmp_path: Path, axes: tuple[str, str]) -> None:
    values = np.array([[1, 10], [2, NAN], [3, 30]], dtype=np.float32)
    data = xr.Dataset(
        {
            "tas": (axes, values if axes[0] == "time" else values.T, {"units": "K"}),
            "name": ("station", ["Halifax", "Iqaluit"]),
            "height": ("station", [1.0, 2.0]),
        },
        {
            "time": six_hourly(3).astype("datetime64[s]"),
            "lat": ("station", [44.6, 63.7]),
            "lon": ("station", [-63.6, -68.5]),
        },
    )
    data.to_netcdf(tmp_path / "s.nc")
    series, _ = read(tmp_path / "s.nc", six_hourly(4), units={"Iqaluit": "degC"})
    assert (series.names, series.units) == (("Halifax", "Iqaluit"), ("K", "degC"))
    np.testing.assert_array_equal(series.values, [*values.tolist(), [NAN, NAN]])
    np.testing.assert_allclose([series.lat, series.lon], [[44.6, 63.7], [-63.6, -68.5]])


def test_netcdf_indices_and_several_station_variables_are_all_named(tmp_path: Path) -> None:
    time = six_hourly(3).astype("datetime64[s]")
    data = xr.Dataset(
        {
            "nao": ("time", [1.0, 2.0, 3.0]),
            "tas": (("time", "id"), [[1.0, 2.0]] * 3),
            "pr": (("time", "id"), [[0.0, 9.96921e36]] + [[0.0, 5.0]] * 2),
            "maps": (("time", "lat", "lon"), np.zeros((3, 2, 2))),
        },
        {"time": time, "id": [71, 72]},
    )
    data.to_netcdf(tmp_path / "s.nc", encoding={"pr": {"_FillValue": None}})
    series, _ = read(tmp_path / "s.nc", six_hourly(3))
    assert series.names == ("nao", "71_tas", "72_tas", "71_pr", "72_pr")
    np.testing.assert_array_equal(series.values[:, 4], [NAN, 5, 5])
    with pytest.raises(InputError, match="did you mean '72_tas'"):
        read(tmp_path / "s.nc", six_hourly(3), columns=["73_tas"])


def test_netcdf_of_another_calendar_lands_on_the_same_dates(tmp_path: Path) -> None:
    days = xr.date_range("2000-02-27", periods=4, calendar="noleap", use_cftime=True)
    xr.Dataset({"x": ("time", [1.0, 2.0, 3.0, 4.0])}, {"time": days}).to_netcdf(tmp_path / "s.nc")
    time = seconds("2000-02-28", "2000-02-29", "2000-03-01")
    np.testing.assert_array_equal(read(tmp_path / "s.nc", time, ONE_DAY)[0].values[:, 0], [2, NAN, 3])


def test_netcdf_maps_are_no_series(tmp_path: Path) -> None:
    data = xr.Dataset(
        {"air": (("time", "lat", "lon"), np.zeros((3, 2, 2)))},
        {"time": six_hourly(3).astype("datetime64[s]")},
    )
    data.to_netcdf(tmp_path / "maps.nc")
    with pytest.raises(InputError, match=r"maps belong in data\.path"):
        read(tmp_path / "maps.nc", six_hourly(3))


def test_the_five_cities_of_xclim_are_read(real_data: Path) -> None:
    (path,) = (real_data / "odd" / "netcdf").glob("*cancities*")
    with xr.open_dataset(path) as data:
        time = data.time.values.astype("datetime64[s]").astype(np.int64)
        truth = data.tas.sel(location="Victoria").values
        lat = float(data.lat.sel(location="Victoria"))
    series, _ = read(path, time, ONE_DAY)
    assert len(series.names) == 5 * 24
    column = series.names.index("Victoria_tas")
    np.testing.assert_array_equal(series.values[:, column], truth)
    assert (series.lat[column], series.units[column]) == (lat, "K")


def test_for_a_forecast_a_station_that_is_silent_is_missing_and_not_a_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, WIDE + "2001-01-02T00:00,,5\n2001-01-02T06:00,,\n")
    options = SeriesOptions(path=str(path), units={"halifax": "m"})
    names, now = ("victoria", "halifax"), six_hourly(6)[4:]
    values, warnings = series_at(options, names, now, SIX_HOURS, "standard")
    np.testing.assert_array_equal(values, [[5, NAN], [NAN, NAN]])
    assert any("halifax: no value at the times that the forecast reads" in text for text in warnings)
    with pytest.raises(InputError, match="shares no time with the maps"):
        series_at(options, names, now + 30 * DAY, SIX_HOURS, "standard")
    with pytest.raises(InputError, match="'halifx' is not there; did you mean 'halifax'"):
        series_at(options, ("halifx",), now, SIX_HOURS, "standard")
