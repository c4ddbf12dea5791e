"""An opened store: cheap, read-only, checked, and the same after pickling."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.grid import Grid
from datamodules.gridded.options import GriddedOptions
from datamodules.gridded.pack import pack_source
from datamodules.gridded.store import Store
from tests.datamodules.gridded.twin_source import TwinSource, frames


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return pack_source(TwinSource(), GriddedOptions(name="twin", path="twin.nc"), tmp_path)


def test_values_are_a_plain_read_only_array_mapped_from_the_file(store: Store) -> None:
    assert type(store.values) is np.ndarray
    assert isinstance(store.values.base, np.memmap)
    assert not store.values.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        store.values[0] = 0


def test_a_store_pickles_as_its_path(store: Store) -> None:
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    again = pickle.loads(pickled)
    assert (again.path, again.digest, again.channels, again.step) == (
        store.path,
        store.digest,
        store.channels,
        store.step,
    )
    np.testing.assert_array_equal(again.values, frames(0, 20))


def test_a_projected_grid_comes_back_whole(tmp_path: Path) -> None:
    lat = np.array([[10.0, 11.0], [20.0, 21.0]])
    grid = Grid(
        lat,
        lat.T,
        np.full((2, 2), 0.25),
        wraps=False,
        lat_name="nav_lat",
        lon_name="nav_lon",
        dims=("rlat", "rlon"),
        y=np.array([1.0, 2.0]),
        x=np.array([3.0, 4.0]),
        attributes={
            "y": {"units": "degrees"},
            "grid_mapping": {"pole": np.float32(39.25), "par": np.array([1, 2])},
        },
    )
    source = TwinSource(grid=grid)
    back = pack_source(source, GriddedOptions(name="twin", path="twin.nc"), tmp_path).grid
    for name in ("lat", "lon", "cell_area", "y", "x"):
        np.testing.assert_array_equal(getattr(back, name), getattr(grid, name))
    assert (back.lat_name, back.lon_name, back.dims, back.wraps) == (
        "nav_lat",
        "nav_lon",
        ("rlat", "rlon"),
        False,
    )
    assert back.attributes == {"y": {"units": "degrees"}, "grid_mapping": {"pole": 39.25, "par": [1, 2]}}


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no store"):
        Store.open(tmp_path / "nothing")


def test_another_format_is_refused(store: Store) -> None:
    file = store.path / "store.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(InputError, match="format 99, this version reads format 1"):
        Store.open(store.path)


def test_a_damaged_description_is_refused(store: Store) -> None:
    (store.path / "store.json").write_text('{"format": 1,')
    with pytest.raises(InputError, match="cannot be read"):
        Store.open(store.path)


@pytest.mark.parametrize("name", ["values.npy", "time.npy", "tick.npy", "grid.npz", "static.npz"])
def test_a_cut_or_absent_file_is_refused(store: Store, name: str) -> None:
    whole = (store.path / name).read_bytes()
    (store.path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"{name} is absent or damaged"):
        Store.open(store.path)
    (store.path / name).unlink()
    with pytest.raises(InputError, match=f"{name} is absent or damaged"):
        Store.open(store.path)


def test_sizes_that_disagree_are_refused(store: Store) -> None:
    np.save(store.path / "time.npy", store.time[:-1])
    with pytest.raises(InputError, match="promise"):
        Store.open(store.path)
