"""Every real file is read right, value by value, or refused with the cause; one table shows which."""

import re
from collections.abc import Iterator
from pathlib import Path

import cftime
import netCDF4
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.describe import Step
from datamodules.gridded.source import GriddedSource, open_source

MONTH = Step(months=1)
DAY = Step(seconds=86400)
READ = {
    "ncep_air_6h_2013_2014.nc": (Step(seconds=21600), 0.0),
    "ncep_slp_daily_natl_2001_2010.nc": (DAY, 0.0),
    "ncep_iberia_daily_djf_upper_5x7.nc": (DAY, 0.0),
    "ersstv5_monthly_2010_2020.nc": (MONTH, 0.314),
    "SMALL_total_column_co2.nc": (Step(seconds=21600), 0.0),
    "fice.nc": (MONTH, 0.0),
    "hgt.nc": (Step(months=12), 0.0),
    "multifile_hadgem": (MONTH, 0.0),
    "ostia_monthly.nc": (MONTH, 0.264),
    "small_rotPole_precipitation.nc": (DAY, 0.0),
    "test_lcc.nc": (MONTH, 0.117),
    "xclim_pr_day_CanESM2_rcp85_r1i1p1_na10kgrid_qm-moving-50bins-detrend_2095.nc": (DAY, 0.002),
    "xclim_tas_Amon_CanESM2_rcp85_r1i1p1_200701-200712.nc": (MONTH, 0.0),
}
REFUSED = {
    "eraint_uvz.nc": "no time axis: dimension 'month'",
    "hybrid_height.nc": "no time axis .*'time' is a single moment",
    "stars_reduced.nc": "no time axis.* one moment is 1981-12-31",
    "tiny.nc": "no time axis and no grid",
    "xclim_daily_surface_cancities_1990-1993.nc": r"no grid: .*5 places.*data\.series\.path",
}


def test_every_real_file_is_read_right_or_refused_with_the_cause(
    real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, refusals = [], dict[Path, str]()
    paths = sorted((real_data / "weather").iterdir()) + sorted((real_data / "odd" / "netcdf").iterdir())
    for path in paths:
        try:
            source = open_source(path)
        except InputError as refusal:
            refusals[path] = str(refusal)
            continue
        maps = source.read(0, source.time.size)
        missing = float(np.isnan(maps).mean())
        if path.name in READ or path.name in REFUSED:
            step, share = READ[path.name]
            assert source.step == step
            assert missing == pytest.approx(share, abs=1e-3)
        assert source.grid.cell_area.sum() == pytest.approx(1.0, abs=1e-12)
        assert_equal_to_netcdf4(source, maps)
        grid = "projected" if source.grid.projected else "globe" if source.grid.wraps else "region"
        shape = "x".join(str(size) for size in maps.shape)
        said = "; ".join(source.warnings).replace(f"{path}", "")[:60]
        lead = source.step.lead_name(1)
        rows.append(f"{path.name[:34]:34} read     {shape:16} {lead:5} {grid:9} {missing:6.1%} {said}")
        source.close()
    for path, message in refusals.items():
        assert str(path) in message
        assert path.name not in READ, message
        assert re.search(REFUSED.get(path.name, ""), message)
        rows.append(f"{path.name[:34]:34} refused  {message.replace(f'{path}: ', '')[:110]}")
    with capsys.disabled():
        print("\n" + "\n".join(rows))  # noqa: T201


def assert_equal_to_netcdf4(source: GriddedSource, maps: np.ndarray) -> None:
    """The values, missing cells and moments are those that netCDF4 itself decodes, in every sampled frame."""
    sampled = set(np.linspace(0, source.time.size - 1, 7).astype(int).tolist())
    found: set[tuple[int, int]] = set()
    for path, position, record in records(source):
        if position not in sampled:
            continue
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(True)
            for number, channel in enumerate(source.channels):
                expected = np.ma.filled(np.ma.squeeze(file[channel.variable][record]).astype(float), np.nan)
                expected[np.abs(expected) > 1e19] = np.nan
                np.testing.assert_allclose(maps[position, number], expected, rtol=2e-6, err_msg=str(path))
                found.add((position, number))
    assert len(found) == len(sampled) * len(source.channels)


def records(source: GriddedSource) -> Iterator[tuple[Path, int, int]]:
    """(file, position on the time axis, record) of all records, by cftime instead of our own clock."""
    for path in source.files:
        with netCDF4.Dataset(path) as file:
            clock = file["time"]
            calendar = getattr(clock, "calendar", source.calendar)
            units = clock.units if "since" in clock.units else f"{clock.units} since 0000-01-01"
            if units.startswith("months"):
                seconds = [
                    cftime.date2num(
                        cftime.datetime(1958 + int(n) // 12, int(n) % 12 + 1, 1), "seconds since 1970-01-01"
                    )
                    for n in clock[:]
                ]
            else:
                moments = cftime.num2date(clock[:], units, calendar)
                seconds = [cftime.date2num(one, "seconds since 1970-01-01", calendar) for one in moments]
        for record, second in enumerate(seconds):
            yield path, int(np.flatnonzero(source.time == round(float(second)))[0]), record
