"""`open_source` reads what the files hold: values, missing ones, moments and channels."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import netCDF4
import numpy as np
import pytest
import xarray

from datamodules.errors import InputError
from datamodules.gridded.describe import Step
from datamodules.gridded.source import GriddedSource, open_source
from tests.datamodules.gridded.netcdf_files import LAT, LON, numbered, write_maps


def everything(source: GriddedSource) -> np.ndarray:
    maps = source.read(0, source.time.size)
    source.close()
    return maps


@pytest.mark.parametrize("scale", [0.01, -0.0016])
def test_packed_integers_are_unpacked_whatever_the_sign_of_the_scale(tmp_path: Path, scale: float) -> None:
    stored = np.arange(96, dtype=np.int16).reshape(4, 3, 8)
    stored[0, 0, 0] = -999
    about = {"t": {"scale_factor": scale, "add_offset": 270.0, "_FillValue": np.int16(-999)}}
    maps = everything(open_source(write_maps(tmp_path / "a.nc", {"t": stored}, attributes=about)))
    expected = np.where(stored == -999, np.nan, stored * scale + 270.0)
    np.testing.assert_allclose(maps[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("marker", [9.969209968386869e36, 1e20, 1e30, np.inf, np.nan])
def test_undeclared_fill_values_are_missing(tmp_path: Path, marker: float) -> None:
    values = numbered(4).astype(np.float32)
    values[1, 2, 3] = marker
    maps = everything(open_source(write_maps(tmp_path / "a.nc", {"t": values})))
    assert np.argwhere(np.isnan(maps)).tolist() == [[1, 0, 2, 3]]


def test_missing_value_and_valid_range_are_honoured(tmp_path: Path) -> None:
    values = numbered(4).astype(np.float32)
    values[0, 0, 0], values[0, 0, 1] = -99.0, 5000.0
    about = {"t": {"missing_value": np.float64(-99.0), "valid_max": np.float32(1000.0)}}
    maps = everything(open_source(write_maps(tmp_path / "a.nc", {"t": values}, attributes=about)))
    assert np.argwhere(np.isnan(maps))[:, 3].tolist() == [0, 1]


def test_unsorted_moments_are_sorted_and_repeated_ones_counted_once(tmp_path: Path) -> None:
    values = numbered(4)
    values[3] = values[0]
    source = open_source(write_maps(tmp_path / "a.nc", {"t": values}, time=[6.0, 0.0, 12.0, 6.0]))
    assert (np.diff(source.time) == 6 * 3600).all()
    assert any("equal copies" in warning for warning in source.warnings)
    np.testing.assert_allclose(everything(source)[:, 0], values[[1, 0, 2]], rtol=1e-6)


def test_of_differing_copies_the_later_file_counts_and_a_warning_shouts(tmp_path: Path) -> None:
    first, second = numbered(3), numbered(3, seed=1)
    write_maps(tmp_path / "a.nc", {"t": first}, time=[0.0, 6.0, 12.0])
    write_maps(tmp_path / "b.nc", {"t": second}, time=[12.0, 18.0, 24.0])
    source = open_source(tmp_path)
    assert any("DIFFER" in warning for warning in source.warnings)
    np.testing.assert_allclose(everything(source)[:, 0], np.concatenate([first[:2], second]), rtol=1e-6)


def test_one_file_a_variable_and_several_along_time_become_one_array(tmp_path: Path) -> None:
    t, u = numbered(4), numbered(4, seed=1)
    write_maps(tmp_path / "t_1.nc", {"t": t[:2]}, time=[0.0, 6.0])
    write_maps(tmp_path / "t_2.nc", {"t": t[2:]}, time=[12.0, 18.0])
    write_maps(tmp_path / "u.nc", {"u": u[:3]}, time=[0.0, 6.0, 12.0])
    source = open_source(str(tmp_path / "*.nc"), variables=["u", "t"])
    assert [channel.name for channel in source.channels] == ["u", "t"]
    maps = everything(source)
    np.testing.assert_allclose(maps[:, 1], t, rtol=1e-6)
    np.testing.assert_allclose(maps[:3, 0], u[:3], rtol=1e-6)
    assert np.isnan(maps[3, 0]).all()


def test_monthly_files_meet_in_their_month(tmp_path: Path) -> None:
    write_maps(tmp_path / "a.nc", {"t": numbered(3)}, time=[0.0, 31.0, 59.0], units="days since 2001-01-01")
    write_maps(tmp_path / "b.nc", {"u": numbered(3)}, time=[15.5, 45.0, 74.5], units="days since 2001-01-01")
    source = open_source(tmp_path)
    assert source.step == Step(months=1)
    assert not np.isnan(everything(source)).any()


def test_levels_become_channels_and_can_be_chosen(tmp_path: Path) -> None:
    values = np.stack([numbered(3, seed=seed) for seed in range(3)], axis=1)
    path = write_maps(
        tmp_path / "a.nc",
        {"u": values},
        dims=("time", "level", "lat", "lon"),
        extra={"level": np.array([200, 500, 850])},
        attributes={"level": {"units": "hPa"}},
    )
    assert [channel.name for channel in open_source(path).channels] == ["u_200", "u_500", "u_850"]
    chosen = open_source(path, levels=[850, 200])
    np.testing.assert_allclose(everything(chosen), values[:, [0, 2]], rtol=1e-6)
    np.testing.assert_allclose(
        everything(open_source(path, variables=["u_500"]))[:, 0], values[:, 1], rtol=1e-6
    )
    with pytest.raises(InputError, match=r"no variable of .* level 700"):
        open_source(path, levels=[700])


def test_dimensions_of_length_one_are_squeezed_and_others_refused(tmp_path: Path) -> None:
    values = numbered(3)
    dims, name = ("time", "member", "lat", "lon"), "member"
    one = write_maps(tmp_path / "one.nc", {"t": values[:, None]}, dims=dims, extra={name: np.array([0])})
    np.testing.assert_allclose(everything(open_source(one))[:, 0], values, rtol=1e-6)
    two = np.stack([values, values], axis=1)
    many = write_maps(tmp_path / "two.nc", {"t": two}, dims=dims, extra={name: np.array([0, 1])})
    with pytest.raises(InputError, match=r"'member' of length 2.*ncks -d member,0"):
        open_source(many)


def test_axes_in_another_order_are_turned(tmp_path: Path) -> None:
    values = numbered(4)
    path = write_maps(
        tmp_path / "a.nc",
        {"t": values.transpose(2, 1, 0).copy()},
        dims=("lon", "lat", "time"),
        time=np.arange(4.0) * 6,
    )
    np.testing.assert_allclose(everything(open_source(path))[:, 0], values, rtol=1e-6)


def test_expver_is_merged_final_data_first(tmp_path: Path) -> None:
    values = np.stack([numbered(3), numbered(3, seed=1)], axis=1)
    values[2, 0] = np.nan
    path = write_maps(
        tmp_path / "a.nc",
        {"t": values},
        dims=("time", "expver", "lat", "lon"),
        extra={"expver": np.array([1, 5])},
    )
    expected = np.stack([values[0, 0], values[1, 0], values[2, 1]])
    np.testing.assert_allclose(everything(open_source(path))[:, 0], expected, rtol=1e-6)


def test_a_region_across_the_seam_is_joined(tmp_path: Path) -> None:
    values = numbered(3)
    path = write_maps(tmp_path / "a.nc", {"t": values})
    region = SimpleNamespace(lat=(45.0, 65.0), lon=(-50.0, 50.0))
    source = open_source(path, region=region)
    assert source.grid.lon.tolist() == [-45.0, 0.0, 45.0]
    assert not source.grid.wraps
    np.testing.assert_allclose(everything(source)[:, 0], values[:, :2][:, :, [7, 0, 1]], rtol=1e-6)


def test_coarse_maps_are_means_by_area(tmp_path: Path) -> None:
    values = numbered(3)
    path = write_maps(tmp_path / "a.nc", {"t": values})
    fine, coarse = open_source(path), open_source(path, coarsen=2)
    area = fine.grid.cell_area
    block = np.s_[:2, 2:4]
    expected = (values[1][block] * area[block]).sum() / area[block].sum()
    assert coarse.grid.shape == (2, 4)
    assert coarse.grid.wraps
    np.testing.assert_allclose(everything(coarse)[1, 0, 0, 1], expected, rtol=1e-6)
    with pytest.raises(InputError, match=r"does not divide the 8 longitudes"):
        open_source(path, coarsen=3)


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_store_reads_as_the_netcdf_file_does(tmp_path: Path, version: int) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(4)})
    with xarray.open_dataset(path) as dataset:
        dataset.to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=False)
    one, two = open_source(path), open_source(tmp_path / "a.zarr")
    np.testing.assert_array_equal(one.time, two.time)
    np.testing.assert_allclose(everything(one), everything(two))


def test_start_and_end_include_whole_periods(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(12)}, time=np.arange(12.0) * 24)
    assert open_source(path, start="2001-01-03", end="2001-01-05").time.size == 3
    with pytest.raises(InputError, match="nothing lies in 2005"):
        open_source(path, start="2005")


def test_static_maps_are_found_and_asked_for_variables_that_are_static_refused(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(3)})
    with netCDF4.Dataset(path, "a") as file:
        file.createVariable("orog", "f4", ("lat", "lon"))[:] = 100.0
        file.createVariable("lsm", "f4", ("lat", "lon"))[:] = 1.0
    source = open_source(path)
    assert sorted(source.static) == ["land_mask", "orography"]
    assert [channel.name for channel in source.channels] == ["t"]
    with pytest.raises(InputError, match="'orog' does not change in time"):
        open_source(path, variables=["orog"])


def test_files_with_one_moment_each_become_a_series(tmp_path: Path) -> None:
    values = numbered(3)
    for hour, one in enumerate(values):
        with netCDF4.Dataset(tmp_path / f"{hour}.nc", "w") as file:
            for name, centres in (("lat", LAT), ("lon", LON)):
                file.createDimension(name, centres.size)
                file.createVariable(name, "f8", (name,))[:] = centres
            clock = file.createVariable("time", "f8", ())
            clock.units, clock[...] = "hours since 2001-01-01", hour
            file.createVariable("t", "f8", ("lat", "lon"))[:] = one
    source = open_source(tmp_path)
    assert source.step == Step(seconds=3600)
    np.testing.assert_allclose(everything(source)[:, 0], values, rtol=1e-6)


def test_units_that_disagree_name_both_files(tmp_path: Path) -> None:
    write_maps(tmp_path / "a.nc", {"p": numbered(2)}, attributes={"p": {"units": "Pa"}})
    write_maps(tmp_path / "b.nc", {"p": numbered(2)}, time=[12.0, 18.0], attributes={"p": {"units": "hPa"}})
    with pytest.raises(InputError, match=r"'Pa' in .*a\.nc, 'hPa' in .*b\.nc"):
        open_source(tmp_path)


def test_a_grid_that_changes_between_files_is_refused(tmp_path: Path) -> None:
    write_maps(tmp_path / "a.nc", {"t": numbered(2)})
    write_maps(tmp_path / "b.nc", {"t": numbered(2)}, time=[12.0, 18.0], lat=LAT + 1)
    with pytest.raises(InputError, match="grid changes between files"):
        open_source(tmp_path)


def test_an_absent_variable_names_the_nearest(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"temperature": numbered(2)})
    with pytest.raises(InputError, match=r"has no 'temprature'. Did you mean 'temperature'"):
        open_source(path, variables=["temprature"])


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_a_cut_file_is_refused_by_name(tmp_path: Path, format: str) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(60)}, format=format)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.nc"):
        everything(open_source(path))


def test_long_chunks_are_warned_of_and_read_in_blocks_of_chunks(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(200)}, chunks=(100, 3, 4))
    source = open_source(path, budget=3 * 8 * 28 * 150)
    assert source.block == 100
    assert any("span 100 steps" in warning for warning in source.warnings)


def test_reading_in_blocks_equals_reading_at_once(tmp_path: Path) -> None:
    source = open_source(write_maps(tmp_path / "a.nc", {"t": numbered(10), "u": numbered(10, seed=1)}))
    parts = [source.read(first, first + 3) for first in range(0, 10, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), everything(pickle.loads(pickle.dumps(source))))


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(3)})
    source = open_source(path)
    before = source.fingerprint()
    source.close()
    write_maps(path, {"t": numbered(3, seed=1)})
    assert open_source(path).fingerprint() != before


def test_model_years_with_an_old_origin_take_the_calendar_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    days = np.cumsum([0, 31, 28, 31, 30, 31])
    write_maps(path, {"ice": numbered(6)}, time=days, units="days", calendar=None)
    with netCDF4.Dataset(path, "a") as file:
        file["time"].time_origin = "01-JAN-0000:00:00:00"
    source = open_source(path)
    assert (source.step, source.calendar) == (Step(months=1), "noleap")
    assert len(source.warnings) == 2
    source.close()


def test_a_file_without_moments_is_refused(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(0)}, time=np.zeros(0))
    with pytest.raises(InputError, match=r"a\.nc.*no (valid moment|time)"):
        open_source(path)


def test_variables_on_another_grid_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    path = write_maps(tmp_path / "a.nc", {"t": numbered(3)})
    with netCDF4.Dataset(path, "a") as file:
        file.createDimension("lat_u", 2)
        edges = file.createVariable("lat_u", "f8", ("lat_u",))
        edges.units, edges[:] = "degrees_north", [55.0, 45.0]
        file.createVariable("u", "f8", ("time", "lat_u", "lon"))[:] = 1.0
    source = open_source(path)
    assert [channel.name for channel in source.channels] == ["t"]
    assert "another grid" in source.warnings[0]
    source.close()
    with pytest.raises(InputError, match="the grid changes"):
        open_source(path, variables=["t", "u"])
