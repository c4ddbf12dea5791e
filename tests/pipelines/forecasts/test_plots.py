"""Every picture is made, whatever the grid, with units on it, north up, and no global state touched."""

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.image import imread

from datamodules.gridded.describe import Channel
from datamodules.gridded.grid import Grid
from pipelines.figures import new_figure
from pipelines.forecasts.map_plots import draw_map, error_by_place, maps
from pipelines.forecasts.skill import ScoreTable
from pipelines.forecasts.skill_plots import skill_by_lead

AIR = Channel("air", "air", None, "degK", "air_temperature", "air temperature")
LEADS = ("6h", "24h")


def table(variables: int, leads: int = 5, unit: str = "h") -> ScoreTable:
    """Scores whose lines end close to each other."""
    base = np.outer(np.arange(1.0, leads + 1), np.ones(variables))
    models = ("skyreel", "persistence", "linear", "other")
    scores = {model: {"rmse": base + 0.01 * i} for i, model in enumerate(models)}
    names = tuple(f"{n}{unit}" for n in range(1, leads + 1))
    called = tuple(f"v{i}" for i in range(variables))
    return ScoreTable(called, ("K",) * variables, names, tuple(map(float, base[:, 0])), scores)


def grid(kind: str) -> Grid:
    """A small grid in one of the orders and conventions that sources have."""
    lat, lon = np.linspace(70.0, 40.0, 7), np.linspace(350.0, 372.5, 10) % 360
    if kind == "south first":
        lat = lat[::-1]
    if kind == "one row":
        lat = lat[:1]
    if kind in ("projected", "with holes"):
        lat, lon = np.meshgrid(lat, lon, indexing="ij")
        lat = lat + 0.3 * np.arange(10)
    if kind == "with holes":
        lat[0, 0] = lon[0, 0] = np.nan
    shape = (7, 10) if lat.ndim == 2 else (len(lat), 10)
    return Grid(lat, lon, np.full(shape, 1 / np.prod(shape)), False)


def has_colour(path: Path) -> bool:
    """True where a PNG holds more than greys."""
    picture = imread(path)[..., :3]
    return bool(np.ptp(picture, axis=-1).max() > 0.2)


@pytest.mark.parametrize("kind", ["north first", "south first", "one row", "projected", "with holes"])
def test_maps_and_errors_by_place_are_drawn_on_every_kind_of_grid(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    where = grid(kind)
    truth = noise.normal(280, 5, (2, 1, *where.shape))
    forecast = truth + noise.normal(0, 1, truth.shape)
    truth[..., -1, 1:3] = np.nan
    drawn = maps(tmp_path, where, [AIR], forecast, truth, LEADS, "from 2013-01-01 00:00")
    drawn += error_by_place(tmp_path, where, [AIR], np.abs(forecast - truth), LEADS)
    assert [path.name for path in drawn] == ["maps_air.png", "error_by_place_air.png"]
    assert all(has_colour(path) for path in drawn)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["error_by_place_air.png", "maps_air.png"]


def drawn(where: Grid, field: np.ndarray) -> Axes:
    """The axes of one map."""
    axes = new_figure(3, 3).subplots()
    draw_map(axes, where, field, Normalize(0, 1), "viridis")
    return axes


@pytest.mark.parametrize("kind", ["north first", "south first", "projected"])
def test_north_is_up_and_east_to_the_right_across_the_meridian(kind: str) -> None:
    axes = drawn(grid(kind), np.zeros((7, 10)))
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    assert np.ptp(axes.get_xlim()) == pytest.approx(25)
    labels = [axes.xaxis.get_major_formatter()(x) for x in (355, 360, 365)]
    assert labels == ["5°W", "0°", "5°E"]


@pytest.mark.parametrize("fields", [np.full((2, 1, 7, 10), np.nan), np.full((2, 1, 7, 10), 3.0)])
def test_maps_with_one_value_or_none_are_drawn(fields: np.ndarray, tmp_path: Path) -> None:
    assert maps(tmp_path, grid("north first"), [AIR], fields, fields, LEADS)[0].stat().st_size > 1000


@pytest.mark.parametrize(("leads", "unit"), [(1, "h"), (5, "h"), (30, "mo")])
def test_skill_by_lead_is_drawn_for_any_number_of_leads(leads: int, unit: str, tmp_path: Path) -> None:
    assert has_colour(skill_by_lead(tmp_path, table(2, leads, unit))[0])


def test_more_than_nine_variables_go_on_a_second_page(tmp_path: Path) -> None:
    names = [path.name for path in skill_by_lead(tmp_path, table(10))]
    assert names == ["skill_by_lead.png", "skill_by_lead_2.png"]


def test_a_metric_that_some_models_lack_is_drawn_for_the_others(tmp_path: Path) -> None:
    scores = {"skyreel": {"acc": np.full((2, 1), 0.9)}, "climatology": {"acc": np.full((2, 1), np.nan)}}
    one = ScoreTable(("air",), ("K",), ("24h", "48h"), (24.0, 48.0), scores)
    assert has_colour(skill_by_lead(tmp_path, one, "acc")[0])


def test_pictures_need_no_pyplot() -> None:
    assert "pipelines.forecasts.skill_plots" in sys.modules
    source = Path(sys.modules["pipelines.forecasts.skill_plots"].__file__ or "").read_text()
    assert "import pyplot" not in source
    assert "matplotlib.pyplot" not in source
