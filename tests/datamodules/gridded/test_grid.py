"""Grids: areas are exact, the globe is known from a region, and regions may cross any seam."""

from pathlib import Path
from types import SimpleNamespace

import netCDF4
import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.cells import band_areas, cell_edges, quadrangle_areas
from datamodules.gridded.region import select_columns, select_rows
from datamodules.gridded.source import open_source
from tests.datamodules.gridded.netcdf_files import numbered, write_maps


def region(west: float, east: float) -> SimpleNamespace:
    return SimpleNamespace(lat=None, lon=(west, east))


def test_areas_of_bands_are_those_of_the_sphere() -> None:
    lat, lon = np.linspace(90, -90, 37), np.arange(0, 360, 5.0)
    area = band_areas(cell_edges(lat), cell_edges(lon))
    assert area.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(area[0, 0], (1 - np.sin(np.deg2rad(87.5))) / 2 / 72, rtol=1e-10)


def test_areas_of_a_two_dimensional_grid_agree_with_the_one_dimensional() -> None:
    lat, lon = np.arange(30.25, 60, 0.5), np.arange(170.25, 190, 0.5)
    flat = band_areas(cell_edges(lat), cell_edges(lon))
    lon2, lat2 = np.meshgrid((lon + 180) % 360 - 180, lat)
    np.testing.assert_allclose(quadrangle_areas(lat2, lon2), flat, rtol=1e-3)


@pytest.mark.parametrize(
    ("lon", "wraps"),
    [
        (np.arange(0, 360, 2.5), True),
        (np.arange(-180, 180, 2.5), True),
        (np.arange(0, 360, 5 / 6).astype(np.float32).astype(float), True),
        (np.arange(20, 380, 2.5), True),
        (np.arange(357.5, -2.5, -2.5), True),
        (np.concatenate([np.arange(0, 180, 10.0), np.arange(-180, 0, 10.0)]), True),
        (np.arange(0, 350, 2.5), False),
        (np.array([170.0, 175.0, -180.0, -175.0]), False),
        (np.array([0.0, 187.5]), False),
    ],
)
def test_a_globe_is_told_from_a_region(lon: np.ndarray, wraps: bool) -> None:
    columns = select_columns(lon, None, "f")
    assert columns.wraps is wraps
    assert len(set(np.sign(np.diff(columns.lon)).tolist())) == 1


def test_a_repeated_last_longitude_is_left_out() -> None:
    columns = select_columns(np.arange(0, 361, 10.0), None, "f")
    assert columns.wraps
    assert columns.lon.size == 36
    assert "repeats the first" in columns.warnings[0]


@pytest.mark.parametrize(
    ("lon", "west", "east", "expected"),
    [
        (np.arange(0, 360, 10.0), -70, -40, [290, 300, 310, 320]),
        (np.arange(0, 360, 10.0), -20, 10, [-20, -10, 0, 10]),
        (np.arange(0, 360, 10.0), 340, 10, [340, 350, 360, 370]),
        (np.arange(-180, 180, 10.0), 170, -170, [170, 180, 190]),
        (np.arange(-180, 180, 10.0), 290, 310, [-70, -60, -50]),
        (np.arange(350, -10, -10.0), -10, 10, [10, 0, -10]),
    ],
)
def test_regions_in_either_convention_come_out_in_one_run(
    lon: np.ndarray, west: float, east: float, expected: list[float]
) -> None:
    columns = select_columns(lon, region(west, east), "f")
    assert columns.lon.tolist() == expected
    picked = np.concatenate([lon[part] for part in columns.parts])
    np.testing.assert_allclose((picked - columns.lon) % 360, 0)
    assert not columns.wraps


def test_a_region_that_keeps_every_longitude_still_wraps() -> None:
    assert select_columns(np.arange(0, 360, 10.0), region(-180, 180), "f").wraps


def test_regions_outside_or_with_a_hole_are_refused() -> None:
    with pytest.raises(InputError, match=r"data\.region\.lon: no column"):
        select_columns(np.arange(0, 90, 10.0), region(100, 120), "f")
    with pytest.raises(InputError, match="has a hole"):
        select_columns(np.arange(0, 310, 10.0), region(-100, 50), "f")
    with pytest.raises(InputError, match=r"data\.region\.lat: no row"):
        select_rows(np.arange(0, 90, 10.0), SimpleNamespace(lat=(-40.0, -20.0), lon=None), "f")


@pytest.mark.parametrize("lat", [np.array([40.0, 50.0, 60.0]), np.array([60.0, 50.0, 40.0])])
def test_latitude_keeps_the_order_of_the_source(tmp_path: Path, lat: np.ndarray) -> None:
    values = numbered(3)
    source = open_source(write_maps(tmp_path / "a.nc", {"t": values}, lat=lat))
    assert source.grid.lat.tolist() == lat.tolist()
    np.testing.assert_allclose(source.read(0, 3)[:, 0], values, rtol=1e-6)
    source.close()


def test_projected_grids_have_two_dimensional_places_and_do_not_wrap(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    y, x = np.arange(3.0), np.arange(8.0)
    dims = ("time", "y", "x")
    write_maps(
        path,
        {"t": numbered(3)},
        dims=dims,
        extra={"y": y, "x": x},
        attributes={"t": {"coordinates": "lat lon"}},
    )
    with pytest.raises(InputError, match="no grid"):
        open_source(path)
    with netCDF4.Dataset(path, "a") as file:
        for name, step in (("lat", y[:, None] + 50 + 0 * x), ("lon", 0 * y[:, None] + 10 + x)):
            file.createVariable(name, "f8", ("y", "x"))[:] = step
    source = open_source(path)
    assert source.grid.projected
    assert not source.grid.wraps
    assert source.grid.dims == ("y", "x")
    assert source.grid.y is not None
    assert source.grid.cell_area.sum() == pytest.approx(1.0)
    cut = open_source(path, region=SimpleNamespace(lat=(50.5, 52.5), lon=(11.5, 13.5)))
    np.testing.assert_allclose(cut.read(0, 3), source.read(0, 3)[:, :, 1:, 2:4])
    cut.close()
    source.close()
