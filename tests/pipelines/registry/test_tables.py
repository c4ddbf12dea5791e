"""The tables of registered models: rows are answered one by one, mistakes name the row and what is wanted."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from pipelines.registry.columns import tables_of
from pipelines.registry.forecaster import RegisteredForecaster
from pipelines.registry.requirements import requirements
from pipelines.registry.rows import SERVED, values_for_answer
from pipelines.rundir import RunDir
from pipelines.settings import Settings
from tests.pipelines.conftest import Trained
from tests.pipelines.registry.conftest import Registered
from tests.pipelines.small_files import result, steps_of, words, write_maps, write_series


@pytest.fixture(scope="module")
def forecaster(trained: Trained) -> RegisteredForecaster:
    return RegisteredForecaster(Settings.model_validate(trained.run.read_config()), trained.run)


def given(count: int = 3, **more: Any) -> dict[str, Any]:
    times = [f"2001-02-01T{6 * hour:02d}:00" for hour in range(count)]
    maps = np.random.default_rng(0).normal(280, 5, (count, 1, 8, 12))
    return {"time": times, "maps": maps.tolist(), **more}


def test_a_row_is_the_same_whatever_stands_beside_it(
    forecaster: RegisteredForecaster, trained: Trained
) -> None:
    both = forecaster.predict(pd.DataFrame([given(), {"path": str(trained.maps)}]))
    alone = forecaster.predict(pd.DataFrame([given()]))
    assert both["row"].tolist() == [0, 0, 1, 1]
    for number in (0, 1):
        np.testing.assert_array_equal(both["values"][number], alone["values"][number])


def test_arrays_lists_and_more_maps_than_are_read_say_the_same(forecaster: RegisteredForecaster) -> None:
    whole = given(4)
    arrays = {"time": np.array(whole["time"][1:]), "maps": np.array(whole["maps"][1:])}
    found = forecaster.predict(pd.DataFrame([whole, arrays]))
    np.testing.assert_array_equal(found["values"][0], found["values"][2])


def test_a_missing_value_is_none_in_and_null_over_http(
    forecaster: RegisteredForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = given()
    row["maps"][2][0][3][4] = None
    assert np.isfinite(forecaster.predict(pd.DataFrame([row]))["values"][0]).all()
    values = np.array([[1.5, np.nan]], np.float32)
    assert values_for_answer(values) is values
    monkeypatch.setenv(SERVED, "true")
    assert values_for_answer(values) == [[1.5, None]]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"time": ["2001-02-01"]}, "needs one of path and maps; it has neither"),
    "both": (given(path="maps.nc"), "it has both"),
    "no file": ({"path": "/nowhere/maps.nc"}, "/nowhere/maps.nc"),
    "short": (given(2), "the model reads (3, 1, 8, 12)"),
    "shape": ({**given(), "maps": np.zeros((3, 1, 8, 11)).tolist()}, "the model reads (3, 1, 8, 12)"),
    "axes": ({**given(), "maps": np.zeros((3, 8, 12)).tolist()}, "not the axes (time, channel, lat, lon)"),
    "uneven": ({**given(), "maps": [[[[1.0, 2.0], [3.0]]]]}, "not an array"),
    "gap": ({**given(), "time": ["2001-02-01T00", "2001-02-01T06", "2001-02-02T00"]}, "not one step apart"),
    "date": ({**given(), "time": ["2001-02-30", "x", "y"]}, "2001-02-30"),
    "times": ({**given(), "time": ["2001-02-01T00"]}, "with 1 times"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_row_that_cannot_be_used_is_named(forecaster: RegisteredForecaster, what: str) -> None:
    row, told = MISTAKES[what]
    with pytest.raises(MlflowException, match="row 1:") as error:
        forecaster.predict(pd.DataFrame([given(), row]))
    assert told in str(error.value)
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"


def test_every_column_has_a_meaning(registered: Registered) -> None:
    for run in registered.runs.values():
        tables = tables_of(Settings.model_validate(run.read_config()), run)
        for column in (*tables.inputs, *tables.outputs):
            assert len(column.meaning) > 4, column.name


OPTIONAL = {"h5py", "torchcodec", "tokenizers", "fsspec", "skyreel"}
"""What a prediction imports only for settings that ask for it; and this project."""


def test_the_requirements_name_all_that_a_prediction_imports(registered: Registered) -> None:
    """The imports of the packages that read data and predict, at whatever depth they stand."""
    for run in registered.runs.values():
        settings = Settings.model_validate(run.read_config())
        named = {re.sub(r"[-_.]+", "-", one.partition("==")[0]).lower() for one in requirements(settings)}
        wing = "video" if settings.task.kind == "caption" else "gridded"
        root = Path(__file__).resolve().parents[3]
        sources = [*(root / "datamodules" / wing).rglob("*.py"), *(root / "lightning_modules").rglob("*.py")]
        distributions = packages_distributions()
        for source in sources:
            for name in _imported(source):
                known = {re.sub(r"[-_.]+", "-", one).lower() for one in distributions.get(name, [])}
                assert not known or known & (named | OPTIONAL), f"{source.name} imports {name}"


def _imported(source: Path) -> set[str]:
    """The top names of the modules that a file imports, without Python's own."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_a_model_that_reads_stations_says_how_to_give_them_where_their_file_is_not(
    tmp_path: Path,
) -> None:
    write_maps(tmp_path / "air.nc", steps_of(300))
    write_series(tmp_path / "stations.csv", steps_of(300))
    more = (f"data.series.path={tmp_path / 'stations.csv'}", "tracking=off", "trainer.max_steps=1")
    run = RunDir(Path(result("train", *words(tmp_path, *more))["run"]))
    forecaster = RegisteredForecaster(Settings.model_validate(run.read_config()), run)
    path = {"path": str(tmp_path / "air.nc")}
    assert len(forecaster.predict(pd.DataFrame([path])))
    (tmp_path / "stations.csv").rename(tmp_path / "gone.csv")
    with pytest.raises(MlflowException, match=r"row 0: series: .*Give the column series: \(time, series\)"):
        forecaster.predict(pd.DataFrame([path]))
