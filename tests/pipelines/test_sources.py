"""Source files are brought where the settings say so, and nowhere else."""

from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.gridded.options import GriddedOptions, SampleWeatherOptions
from pipelines.compose import compose
from pipelines.sources import bring_sources, require_sources

SAMPLE = SampleWeatherOptions(days=20)


def test_a_sample_is_never_made_among_files_of_somebodys_own(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "air.nc").write_bytes(b"mine")
    for path in (str(own), str(own / "*.nc"), str(own / "air.nc"), [str(own / "air.nc")]):
        bring_sources(GriddedOptions(name="mine", path=path, sample=SAMPLE))
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["air.nc", "own"]


def test_a_sample_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    options = GriddedOptions(name="made", path=str(tmp_path / "made"), sample=SAMPLE)
    bring_sources(options)
    manifest = tmp_path / "made" / "sample_weather.json"
    manifest.unlink()
    bring_sources(options)
    assert manifest.exists()


def test_a_pattern_that_fits_nothing_is_told_under_a_samples_preset_too(tmp_path: Path) -> None:
    settings = compose(["experiment=sample_weather", f"data.path='{tmp_path}/air.*.nc'"]).settings
    with pytest.raises(InputError, match=r"air\.\*\.nc"):
        require_sources(settings)
    assert list(tmp_path.iterdir()) == []
