"""Packing: streamed, resumable, published whole, done once."""

import errno
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from datamodules.errors import InputError
from datamodules.gridded import filling
from datamodules.gridded.grid import Grid
from datamodules.gridded.options import GriddedOptions
from datamodules.gridded.pack import pack, pack_source
from datamodules.gridded.source import open_source
from datamodules.gridded.store import Store
from tests.datamodules.gridded.twin_source import TwinSource, frames

ROOT = Path(__file__).parents[3]
FILES = ("values.npy", "time.npy", "tick.npy", "store.json")


def options(**settings: Any) -> GriddedOptions:
    return GriddedOptions(**{"name": "twin", "path": "twin.nc", **settings})


def packed(stores: Path, source: Any, **settings: Any) -> Store:
    return pack_source(source, options(**settings), stores)


def run(stores: Path, body: str, **kwargs: Any) -> "subprocess.Popen[str]":
    """A process that packs a twin source; `body` sets `source` and `progress`."""
    code = (
        "import os, signal, sys, time\nfrom pathlib import Path\n"
        "from datamodules.gridded.options import GriddedOptions\n"
        "from datamodules.gridded.pack import pack_source\n"
        "from tests.datamodules.gridded.twin_source import TwinSource\n"
        f"source, progress = TwinSource(), None\n{body}\n"
        f"pack_source(source, GriddedOptions(name='twin', path='twin.nc'), Path({str(stores)!r}), progress)\n"
        "print(len(source.reads))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, **kwargs
    )


def test_a_store_holds_every_frame_and_what_was_found(tmp_path: Path) -> None:
    orography = np.ones((3, 4), np.float32)
    store = packed(tmp_path, TwinSource(static={"orography": orography}, notes={"duplicates": 2}))
    np.testing.assert_array_equal(store.values, frames(0, 20))
    np.testing.assert_array_equal(store.tick, np.arange(20))
    np.testing.assert_array_equal(store.static["orography"], orography)
    assert store.names == ("air", "slp")
    air, time = store.report["variables"][0], store.report["time"]
    assert (air["min"], air["max"], air["missing_share"], air["units"]) == (0, 19 * 24 + 11, 0, "K")
    assert air["mean"] == pytest.approx(frames(0, 20)[:, 0].mean())
    assert (time["start"], time["step"], time["count"]) == ("1970-01-01T00:00:00", "6 h", 20)
    assert store.report["notes"] == {"duplicates": 2}
    assert store.report["grid"]["kind"] == "global"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_the_mean_is_weighted_by_cell_area(tmp_path: Path) -> None:
    area = np.array([[0.5, 0.1], [0.3, 0.1]])

    def only_two_cells(maps: np.ndarray, first: int) -> None:
        maps[:, :, :, 1] = np.nan
        maps[:, :, 0, 0], maps[:, :, 1, 0] = 8.0, 16.0

    grid = Grid(np.array([10.0, 40.0]), np.array([0.0, 30.0]), area, wraps=False)
    report = packed(tmp_path, TwinSource(grid=grid, spoil=only_two_cells)).report
    assert report["variables"][0]["mean"] == pytest.approx(11.0)
    assert report["variables"][0]["missing_share"] == 0.5
    assert report["grid"]["spacing"] == [30, 30]


def test_frames_without_any_value_become_a_gap(tmp_path: Path) -> None:
    def empty(maps: np.ndarray, first: int) -> None:
        for frame in (0, 6, 7):
            if first <= frame < first + len(maps):
                maps[frame - first] = np.nan

    store = packed(tmp_path, TwinSource(spoil=empty))
    kept = np.delete(np.arange(20), [0, 6, 7])
    np.testing.assert_array_equal(store.values, frames(0, 20)[kept])
    np.testing.assert_array_equal(store.tick, kept - 1)
    np.testing.assert_array_equal(store.time, kept * 21600)
    time = store.report["time"]
    assert (time["gaps"], time["missing_steps"], time["empty_frames"], time["count"]) == (1, 2, 3, 17)
    assert time["first_gaps"] == [{"after": "1970-01-02T06:00:00", "steps": 2}]
    assert "3 frames hold no value" in store.report["warnings"][0]


def test_infinite_values_count_as_missing_and_are_told(tmp_path: Path) -> None:
    def burst(maps: np.ndarray, first: int) -> None:
        maps[0, 0, 0, 0] = np.inf

    store = packed(tmp_path, TwinSource(spoil=burst))
    assert np.isnan(store.values[::4, 0, 0, 0]).all()
    assert "5 infinite values" in store.report["warnings"][0]


def test_a_channel_without_any_value_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    def blank(maps: np.ndarray, first: int) -> None:
        maps[:, 1] = np.nan

    with pytest.raises(InputError, match="slp has no value"):
        packed(tmp_path, TwinSource(spoil=blank))
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_two_channels_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 channels would be named 'air'"):
        packed(tmp_path, TwinSource(names=("air", "air")))


def test_a_published_store_is_used_again_without_reading(tmp_path: Path) -> None:
    first = packed(tmp_path, TwinSource())
    again = TwinSource()
    assert packed(tmp_path, again, batch_size=8).path == first.path
    assert again.reads == []


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ({"print": "changed"}, {}),
        ({}, {"coarsen": 2}),
        ({}, {"start": "1970"}),
        ({}, {"region": {"lat": [0, 9]}}),
    ],
)
def test_changed_sources_or_choices_pack_anew(
    tmp_path: Path, source: dict[str, Any], settings: dict[str, Any]
) -> None:
    first = packed(tmp_path, TwinSource())
    assert packed(tmp_path, TwinSource(**source), **settings).path != first.path


def test_a_series_is_aligned_stored_and_part_of_the_digest(tmp_path: Path) -> None:
    def empty_second(maps: np.ndarray, first: int) -> None:
        if first == 0:
            maps[1] = np.nan

    path = tmp_path / "s.csv"
    path.write_text("time,x\n1970-01-01T00:00Z,1\n1970-01-01T06:00Z,2\n1970-01-01T12:00Z,3\n")
    series = {"path": str(path), "units": {"x": "m"}}
    store = packed(tmp_path, TwinSource(spoil=empty_second), series=series)
    assert store.series is not None
    assert (store.series.names, store.series.units) == (("x",), ("m",))
    np.testing.assert_array_equal(store.series.values[:3, 0], [1, 3, np.nan])
    assert len(store.series.values) == len(store.time) == 19
    path.write_text("time,x\n1970-01-01T00:00Z,7\n1970-01-01T06:00Z,2\n")
    assert packed(tmp_path, TwinSource(), series=series).path != store.path


def test_a_series_that_cannot_be_used_is_refused_before_packing(tmp_path: Path) -> None:
    source = TwinSource()
    (tmp_path / "s.csv").write_text("time,x\n1990-01-01T00:00Z,1\n1990-01-01T06:00Z,2\n")
    with pytest.raises(InputError, match="shares no time"):
        packed(tmp_path / "stores", source, series={"path": str(tmp_path / "s.csv")})
    assert source.reads == []


@pytest.mark.parametrize("blocks", [1, 3, 5])
def test_a_killed_call_goes_on_from_its_last_finished_block(tmp_path: Path, blocks: int) -> None:
    undisturbed = packed(tmp_path / "undisturbed", TwinSource())
    stores = tmp_path / "stores"
    kill = (
        "def progress(done, total):\n"
        f"    if len(source.reads) == {blocks}: os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = run(stores, kill)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (part,) = stores.glob("*.part")
    with (part / "values.npy").open("ab") as file:
        file.write(b"half a block")
    source = TwinSource()
    store = packed(stores, source)
    assert len(source.reads) == 5 - blocks
    for name in FILES:
        assert (store.path / name).read_bytes() == (undisturbed.path / name).read_bytes(), name


def test_a_kill_after_the_description_only_needs_the_rename(tmp_path: Path) -> None:
    store = packed(tmp_path, TwinSource())
    store.path.rename(store.path.with_name(f"{store.path.name}.part"))
    source = TwinSource()
    assert packed(tmp_path, source).path == store.path
    assert source.reads == []


def test_a_damaged_journal_starts_over(tmp_path: Path) -> None:
    undisturbed = packed(tmp_path / "a", TwinSource())
    part = tmp_path / "b" / f"{undisturbed.path.name}.part"
    part.mkdir(parents=True)
    (part / "journal.json").write_text('{"digest": ')
    source = TwinSource()
    store = packed(tmp_path / "b", source)
    assert len(source.reads) == 5
    assert (store.path / "values.npy").read_bytes() == (undisturbed.path / "values.npy").read_bytes()


def test_what_another_digest_left_unfinished_stays(tmp_path: Path) -> None:
    other = tmp_path / "twin-000000000000.part"
    other.mkdir()
    (other / "values.npy").write_bytes(b"something")
    packed(tmp_path, TwinSource())
    assert (other / "values.npy").read_bytes() == b"something"


def test_of_processes_that_call_at_once_one_packs_and_all_open_the_same(tmp_path: Path) -> None:
    slow = "source.spoil = lambda maps, first: time.sleep(0.1)"
    ranks = [run(tmp_path, slow) for _ in range(3)]
    reads = sorted(int(rank.communicate(timeout=120)[0]) for rank in ranks)
    assert [rank.returncode for rank in ranks] == [0, 0, 0]
    assert reads == [0, 0, 5]
    assert len(list(tmp_path.glob("*/store.json"))) == 1


def test_memory_stays_flat_however_long_the_source(tmp_path: Path) -> None:
    grid = Grid(np.arange(32.0), np.arange(64.0), np.full((32, 64), 1 / 2048), wraps=False)

    def peak(steps: int) -> int:
        tracemalloc.start()
        source = TwinSource(steps=steps, block=16, grid=grid, print=str(steps))
        packed(tmp_path, source)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(32)
    short, long = peak(100), peak(1000)
    assert long < 1.25 * short
    assert long < 1000 * 2 * 2048 * 4 / 4


def test_a_full_disk_is_told_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(filling.shutil, "disk_usage", lambda path: usage(2**20, 2**20, 100))
    source = TwinSource()
    with pytest.raises(InputError, match=r"0 MiB are free.*paths\.stores"):
        packed(tmp_path, source)
    assert source.reads == []


def test_a_disk_that_fills_up_is_told_and_packing_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync: Callable[[int], None] = os.fsync
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="found no room"):
        packed(tmp_path, TwinSource())
    monkeypatch.setattr(os, "fsync", sync)
    store = packed(tmp_path, TwinSource())
    np.testing.assert_array_equal(store.values, frames(0, 20))


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    store = packed(tmp_path / "a", TwinSource())
    place = tmp_path / "b" / store.path.name
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        packed(tmp_path / "b", TwinSource())


def write_netcdf(path: Path, steps: int = 40, first: int = 0) -> xr.Dataset:
    """Two packed variables, latitude descending, one over land only, frame 5 empty; as xarray reads it."""
    values = np.arange(steps * 6 * 8).reshape(steps, 6, 8) % 997 + 0.5
    values[5] = np.nan
    air = xr.DataArray(
        values, dims=("time", "lat", "lon"), attrs={"units": "K", "standard_name": "air_temperature"}
    )
    data = xr.Dataset(
        {"air": air, "sst": air / 2},
        {
            "time": np.datetime64("2001-01-01", "ns")
            + np.arange(first, first + steps) * np.timedelta64(6, "h"),
            "lat": np.linspace(50, -50, 6),
            "lon": np.arange(0.0, 360.0, 45.0),
        },
    )
    data["sst"] = data.sst.where(data.lon > 50)
    packing = {"dtype": "int16", "scale_factor": 0.5, "add_offset": 400.0, "_FillValue": -32768}
    data.to_netcdf(path, encoding={"air": packing, "sst": packing})
    with xr.open_dataset(path) as back:
        return back.load()


def test_netcdf_files_pack_to_the_values_that_they_hold(tmp_path: Path) -> None:
    first = write_netcdf(tmp_path / "a.nc")
    second = write_netcdf(tmp_path / "b.nc", first=44)
    truth = xr.concat([first, second], "time").dropna("time", how="all")
    store = pack(options(path=[str(tmp_path / "a.nc"), str(tmp_path / "b.nc")]), tmp_path / "stores")
    assert store.names == ("air", "sst")
    np.testing.assert_array_equal(store.values[:, 0], truth.air.values)
    np.testing.assert_array_equal(store.values[:, 1], truth.sst.values)
    np.testing.assert_array_equal(store.time.astype("datetime64[s]"), truth.time.values)
    assert (store.report["time"]["gaps"], store.report["time"]["missing_steps"]) == (3, 6)
    assert store.report["variables"][1]["missing_share"] == pytest.approx(0.25)
    assert (store.grid.wraps, store.report["files"], store.grid.lat[0]) == (True, 2, 50)


def test_a_changed_netcdf_file_packs_anew_and_an_unchanged_one_does_not(tmp_path: Path) -> None:
    write_netcdf(tmp_path / "a.nc")
    chosen = options(path=str(tmp_path / "a.nc"))
    first = pack(chosen, tmp_path / "stores")
    assert pack(chosen, tmp_path / "stores").path == first.path
    write_netcdf(tmp_path / "a.nc", steps=41)
    assert len(pack(chosen, tmp_path / "stores").time) == len(first.time) + 1


def test_packing_netcdf_survives_a_kill(tmp_path: Path) -> None:
    write_netcdf(tmp_path / "a.nc", steps=400)
    small = f"open_source({str(tmp_path / 'a.nc')!r}, budget=60_000)"
    kill = (
        f"from datamodules.gridded.source import open_source\nsource = {small}\n"
        "def progress(done, total):\n"
        "    if done > 200: os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = run(tmp_path / "stores", kill)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    steps: list[int] = []
    source = open_source(str(tmp_path / "a.nc"), budget=60_000)
    chosen = options(path="twin.nc")
    store = pack_source(source, chosen, tmp_path / "stores", lambda done, total: steps.append(done))
    undisturbed = pack_source(source, chosen, tmp_path / "undisturbed")
    source.close()
    assert steps[0] > 200
    for name in FILES:
        assert (store.path / name).read_bytes() == (undisturbed.path / name).read_bytes(), name


def test_memory_stays_flat_however_long_the_netcdf_file(tmp_path: Path) -> None:
    def peak(steps: int) -> int:
        maps = (("time", "lat", "lon"), np.ones((steps, 32, 64), np.float32))
        data = xr.Dataset(
            {"air": maps},
            {
                "time": np.datetime64("2001-01-01", "ns") + np.arange(steps) * np.timedelta64(6, "h"),
                "lat": np.linspace(50, -50, 32),
                "lon": np.linspace(0, 90, 64),
            },
        )
        data.to_netcdf(tmp_path / f"{steps}.nc")
        tracemalloc.start()
        source = open_source(str(tmp_path / f"{steps}.nc"), budget=2**20)
        packed(tmp_path / "stores", source)
        source.close()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(50)
    short, long = peak(150), peak(1500)
    assert long < 1.5 * short
    assert long < 1500 * 32 * 64 * 4 / 2


@pytest.mark.parametrize(
    ("file", "variable"),
    [
        ("ncep_air_6h_2013_2014.nc", "air"),
        ("ncep_slp_daily_natl_2001_2010.nc", "slp"),
        ("ncep_iberia_daily_djf_upper_5x7.nc", "ta850"),
        ("ersstv5_monthly_2010_2020.nc", "sst"),
    ],
)
def test_real_files_pack_to_what_xarray_reads(
    real_data: Path, tmp_path: Path, file: str, variable: str
) -> None:
    path = real_data / "weather" / file
    store = pack(options(path=str(path)), tmp_path)
    with xr.open_dataset(path) as data:
        truth = data[variable].transpose("time", ...).squeeze()
        channel = [one.variable for one in store.channels].index(variable)
        np.testing.assert_allclose(store.values[:, channel], truth.values, rtol=1e-6)
        np.testing.assert_array_equal(
            store.time.astype("datetime64[s]"), data.time.values.astype("datetime64[s]")
        )
