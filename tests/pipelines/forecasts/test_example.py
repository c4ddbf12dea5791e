"""The example forecast of a run: read back as it was written, and thinned so that a page stays small."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from datamodules.gridded.grid import Grid
from pipelines.forecasts.example import MOST_CELLS, MOST_LEADS, Example, example_file, example_of
from pipelines.forecasts.kept import kept_model
from tests.pipelines.conftest import Trained


def test_it_is_read_back_as_it_was_written(trained: Trained, tmp_path: Path) -> None:
    found = Example.read(example_file(trained.run))
    found.write(tmp_path / "example.npz")
    again = Example.read(tmp_path / "example.npz")
    for name, value in vars(found).items():
        np.testing.assert_array_equal(value, getattr(again, name))


def test_large_maps_and_long_forecasts_are_thinned(trained: Trained) -> None:
    store = kept_model(trained.run)[0]
    lat, lon = np.linspace(-89, 89, 4), np.arange(0.0, 360.0, 0.25)
    grid = Grid(lat, lon, np.full((4, len(lon)), 1 / (4 * len(lon))), wraps=True)
    wide = replace(store, grid=grid, time=np.zeros(1, np.int64))
    leads = tuple(f"{6 * lead}h" for lead in range(1, 41))
    maps = np.broadcast_to(np.arange(40.0)[:, None, None, None], (40, 1, 4, len(lon)))
    found = example_of(wide, 0, leads, maps, maps, ("6h",), maps[:1])
    assert len(found.lead_names) == MOST_LEADS
    assert (found.lead_names[0], found.lead_names[-1]) == ("6h", "240h")
    assert found.forecast.shape == (MOST_LEADS, 1, 4, MOST_CELLS)
    assert len(found.lon) == MOST_CELLS
    assert found.forecast[-1].max() == 39
