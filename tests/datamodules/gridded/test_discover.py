"""`find_sources` finds what is meant and refuses what is not NetCDF, with the way out."""

from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.gridded.discover import find_sources, refuse_foreign


def test_folders_are_searched_below_and_sorted(tmp_path: Path) -> None:
    for name in ("b/u_1980.nc", "a/t_1980.nc", "a/t_1979.nc", "a/readme.txt", "a/.hidden.nc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "zarr.json").write_text("{}")
    found = [path.relative_to(tmp_path).as_posix() for path in find_sources(tmp_path)]
    assert found == ["a/t_1979.nc", "a/t_1980.nc", "b/u_1980.nc", "c.zarr"]
    assert len(find_sources([str(tmp_path / "a" / "*.nc"), str(tmp_path / "a")])) == 2
    assert len(find_sources(str(tmp_path / "**" / "*_1980.nc"))) == 2


def test_a_path_that_matches_nothing_names_what_is_near(tmp_path: Path) -> None:
    (tmp_path / "temperature.nc").write_bytes(b"x")
    with pytest.raises(InputError, match=r"nothing matches .*Near it: temperature\.nc"):
        find_sources(tmp_path / "temperatur.nc")


def test_a_folder_without_maps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"no NetCDF file.*notes\.txt"):
        find_sources(tmp_path)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.nc", b"GRIB\x00\x00\x01\x02", "is GRIB.*cdo -f nc4 copy"),
        ("a.grb2", b"\x00\x00\x00\x00", "is GRIB.*grib_to_netcdf"),
        ("a.nc", b"\x0e\x03\x13\x01abc", "is HDF4"),
        ("a.nc", b"\x1f\x8b\x08", "is compressed"),
        ("a.nc", b"", "is empty"),
    ],
)
def test_other_formats_are_told_by_their_first_bytes(
    tmp_path: Path, name: str, head: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(InputError, match=words):
        refuse_foreign(tmp_path / name)


def test_a_folder_of_grib_files_says_how_to_convert(tmp_path: Path) -> None:
    (tmp_path / "era5.grib").write_bytes(b"GRIB")
    with pytest.raises(InputError, match="cdo -f nc4 copy"):
        find_sources(tmp_path)
