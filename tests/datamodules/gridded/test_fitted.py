"""What is fitted comes from the training split alone, and is made once."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import InputError
from datamodules.gridded.clock import DAY
from datamodules.gridded.describe import Step
from datamodules.gridded.fitted import Fitted, load_or_fit
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split
from tests.datamodules.gridded.twin import make_store, weather

TRAIN = Split("train", 0, 1500)


def fitted_on(store: Store, train: Split = TRAIN, history: int = 3, horizon: int = 4) -> Fitted:
    """With two folds."""
    return load_or_fit(store, train=train, history=history, horizon=horizon, folds=2)


def test_nothing_fitted_sees_a_step_outside_the_training_split(tmp_path: Path) -> None:
    values, series = weather(2000), np.random.default_rng(0).normal(size=(2000, 2))
    one = fitted_on(make_store(tmp_path / "one", values, series=series))
    values[1500:], series[1500:] = 1e6, np.nan
    other = fitted_on(make_store(tmp_path / "other", values, series=series))
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert np.array_equal(array, other.arrays[name]), name


def test_shapes_and_units_are_those_of_the_store(tmp_path: Path) -> None:
    values = weather(2000)
    values[:, 1, 0, 0] = np.nan
    store = make_store(tmp_path / "store", values, series=values[:, :, 1, 1])
    fitted = fitted_on(store)
    assert fitted.kind == "harmonic"
    assert (fitted.train, fitted.history, fitted.horizon, fitted.folds) == (TRAIN, 3, 4, 2)
    assert fitted.mean == pytest.approx(np.nanmean(values[:1500], axis=(0, 2, 3)), abs=0.3)
    assert np.all(fitted.anomaly_std < fitted.std / 3)
    assert fitted.coefficients.shape == (13, 2, 4, 6)
    assert np.isnan(fitted.coefficients[:, 1, 0, 0]).all()
    assert fitted.damping.shape == (4, 2, 4, 6)
    assert fitted.damping[0].max() > 0.7
    assert fitted.series_mean == pytest.approx(values[:1500, :, 1, 1].mean(axis=0, dtype=np.float64))
    assert fitted.series_coefficients == pytest.approx(fitted.coefficients[:, :, 1, 1])
    assert fitted.series_damping == pytest.approx(fitted.damping[:, :, 1, 1], abs=0.05)
    basis = fitted.basis(store.time)
    assert (basis.shape, basis.dtype) == ((2000, 13), np.float32)


def test_a_store_without_series_has_series_arrays_of_no_width(tmp_path: Path) -> None:
    fitted = fitted_on(make_store(tmp_path / "store", weather(1600)))
    assert fitted.series_mean.shape == fitted.series_std.shape == fitted.series_anomaly_std.shape == (0,)
    assert fitted.series_coefficients.shape == (13, 0)
    assert fitted.series_damping.shape == (4, 0)


def test_monthly_data_get_a_mean_for_each_month(tmp_path: Path) -> None:
    first = np.datetime64("2001-01", "M") + np.arange(120)
    time = first.astype("datetime64[s]").astype(np.int64)
    season = 20 + 5 * np.cos(2 * np.pi * np.arange(120) / 12)[:, None, None, None] * np.ones((1, 1, 3, 4))
    store = make_store(tmp_path / "store", season, step=Step(months=1), time=time)
    fitted = fitted_on(store, Split("train", 0, 90))
    assert fitted.kind == "monthly"
    assert fitted.coefficients[:, 0, 0, 0] == pytest.approx(season[:12, 0, 0, 0])
    assert fitted.std[0] > 3


def test_a_second_call_reads_what_the_first_one_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = make_store(tmp_path / "store", weather(1600))
    first = fitted_on(store)
    again = fitted_on(store)
    assert len([r for r in caplog.records if "fitting" in r.message]) == 1
    assert all(np.array_equal(first.arrays[name], again.arrays[name]) for name in first.arrays)
    assert [p.name for p in store.path.glob("fitted-*")] == [f"fitted-{first.digest[:12]}.npz"]
    assert not list(store.path.glob("*.part"))


@pytest.mark.parametrize(
    "change", [{"train": Split("train", 0, 1400)}, {"history": 4}, {"horizon": 5}], ids=str
)
def test_another_split_or_window_is_fitted_anew(tmp_path: Path, change: dict[str, object]) -> None:
    store = make_store(tmp_path / "store", weather(1600))
    assert fitted_on(store).digest != fitted_on(store, **change).digest  # type: ignore[arg-type]
    assert len(list(store.path.glob("fitted-*"))) == 2


RANK = """
import logging, sys
from pathlib import Path
from datamodules.gridded.fitted import load_or_fit
from datamodules.gridded.store import Store
from datamodules.gridded.windows import Split

logging.basicConfig(level=logging.INFO, stream=sys.stdout)
load_or_fit(Store.open(Path(sys.argv[1])), train=Split("train", 0, 1500), history=3, horizon=4, folds=2)
"""


def test_of_several_processes_one_fits_and_all_read(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", weather(1600))
    command = [sys.executable, "-c", RANK, str(store.path)]
    ranks = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0, 0]
    assert sum("fitting" in text for text in told) == 1
    assert len(list(store.path.glob("fitted-*"))) == 1


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", weather(1600))
    path = store.path / f"fitted-{fitted_on(store).digest[:12]}.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=rf"{path.name}: cannot be read .* delete this file"):
        fitted_on(store)


def test_a_channel_or_series_without_a_training_value_is_refused_by_name(tmp_path: Path) -> None:
    values, series = weather(2000), np.ones((2000, 2))
    series[:1500, 1] = np.nan
    with pytest.raises(InputError, match=r"series 's1' has no value in the training split"):
        fitted_on(make_store(tmp_path / "one", values, series=series))
    values[:1500, 1] = np.nan
    with pytest.raises(InputError, match=r"channel 'v1' has no value in the training split"):
        fitted_on(make_store(tmp_path / "two", values))


def test_a_training_split_without_a_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.split\.train holds no step"):
        fitted_on(make_store(tmp_path / "store", weather(60)), Split("train", 0, 0))


def test_what_others_fit_on_the_split_travels_along(tmp_path: Path) -> None:
    fitted = fitted_on(make_store(tmp_path / "store", weather(1600)))
    more = fitted.with_arrays(linear_weights=np.ones(3))
    assert more.arrays["linear_weights"].sum() == 3
    assert "linear_weights" not in fitted.arrays


def test_the_climatology_of_real_air_temperature_scores_as_published(real_data: Path) -> None:
    xarray = pytest.importorskip("xarray")
    from datamodules.gridded.climatology import anomalies, climatology_basis, fit_climatology

    with xarray.open_dataset(real_data / "weather" / "ncep_air_6h_2013_2014.nc") as source:
        air = source["air"].values.astype(np.float32)[:, None]
        time = source["time"].values.astype("datetime64[s]").astype(np.int64)
        weights = np.cos(np.deg2rad(source["lat"].values))[:, None] * np.ones(air.shape[-1])
    first_test, last_train = 2482, 2466
    basis = climatology_basis("harmonic", time, "standard")
    found = fit_climatology(air[:last_train], basis[:last_train], "harmonic")
    error = anomalies(air[first_test:], basis[first_test:], found)[:, 0]
    assert np.sqrt((error**2 * weights).sum() / weights.sum() / len(error)) == pytest.approx(3.81, abs=0.05)
    assert time[1] - time[0] == DAY // 4


def test_the_twin_of_the_real_set_is_forecast_by_its_cycles_but_for_the_noise(tmp_path: Path) -> None:
    values = weather(4000)
    store = make_store(tmp_path / "store", values)
    fitted = fitted_on(store, Split("train", 0, 3000))
    climatology = np.tensordot(fitted.basis(store.time)[3000:], fitted.coefficients, axes=1)
    assert np.sqrt(np.mean((values[3000:] - climatology) ** 2)) == pytest.approx(1.0, abs=0.05)
