"""Settings of a gridded data set: what is accepted, and what a mistake is told."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from datamodules.gridded.options import GriddedOptions


def options(**settings: Any) -> GriddedOptions:
    return GriddedOptions(**{"name": "maps", "path": "maps.nc", **settings})


def test_two_settings_suffice() -> None:
    chosen = options()
    assert (chosen.coarsen, chosen.batch_size, chosen.variables) == (1, 32, None)
    assert chosen.split.train + chosen.split.validation + chosen.split.test == pytest.approx(1)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        options().coarsen = 2


@pytest.mark.parametrize(
    "date", [2001, "2001", "2001-06", "2001-06-30", "2001-02-30", "2001-06-30T12:00", "2001-06-30 12"]
)
def test_dates_of_every_calendar_and_length_pass(date: Any) -> None:
    assert options(start=date).start == str(date)


def test_an_end_covers_all_that_it_names() -> None:
    assert options(start="2001-06-15", end="2001").end == "2001"


def test_a_split_by_dates_passes() -> None:
    split = {"train": [2001, 2008], "validation": ["2009", "2009-12"], "test": ["2010-02-01", "2010"]}
    assert options(split=split).split.train == ("2001", "2008")


@pytest.mark.parametrize(
    ("settings", "key", "told"),
    [
        ({"name": "../elsewhere"}, ("name",), "becomes a folder"),
        ({"path": []}, ("path",), "empty"),
        ({"path": ["a.nc", ""]}, ("path",), "empty"),
        ({"static_path": ""}, ("static_path",), "empty"),
        ({"variables": []}, ("variables",), "leave the key unset"),
        ({"variables": ["air", "air"]}, ("variables",), "named twice: air"),
        ({"levels": [500, 500]}, ("levels",), "named twice"),
        ({"coarsen": 0}, ("coarsen",), "greater than or equal to 1"),
        ({"batch_size": 0}, ("batch_size",), "greater than or equal to 1"),
        ({"workers": -1}, ("workers",), "greater than or equal to 0"),
        ({"region": {"lat": [50, 30]}}, ("region",), "(south, north)"),
        ({"region": {"lat": [-91, 30]}}, ("region",), "-90 to 90"),
        ({"region": {"lon": [10, 10]}}, ("region",), "(west, east)"),
        ({"start": "01/02/2003"}, ("start",), "is no date"),
        ({"end": "2001-13"}, ("end",), "the month is 13"),
        ({"start": "2002", "end": "2001-12"}, (), "ends before it starts"),
        ({"split": {"train": 0.9}}, ("split",), "sum to 1 at most; found 1.2"),
        ({"split": {"train": 0}}, ("split", "train"), "above 0 and below 1"),
        ({"split": {"train": "most"}}, ("split", "train"), "neither a fraction"),
        ({"split": {"train": ["2001"]}}, ("split", "train"), "a period is two dates"),
        ({"split": {"train": ["2002", "2001"]}}, ("split", "train"), "ends before it starts"),
        ({"split": {"train": ["2001", "2002"]}}, ("split",), "not a mixture"),
        ({"series": {"path": "s.csv", "columns": ["a", "a"]}}, ("series", "columns"), "named twice"),
        ({"download": {"url": "ftp://x", "page": "https://x.org"}}, ("download", "url"), "pattern"),
        ({"coarse": 2}, ("coarse",), "not permitted"),
    ],
)
def test_a_mistake_is_told_with_its_key(settings: dict[str, Any], key: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options(**settings)
    errors = {error["loc"]: error["msg"] for error in caught.value.errors()}
    assert told in errors[key]


def test_importing_the_settings_imports_nothing_slow() -> None:
    loaded = "sorted({'torch', 'xarray', 'numpy'} & set(sys.modules))"
    code = f"import sys, datamodules.gridded.options; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
