"""Maps are drawn cell by cell: north up, east right, gaps left open."""

import io

import numpy as np
from PIL import Image

from pipelines.reports.map_pictures import Scale, extent, north_up


def pixels(scale: Scale, field: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(scale.png(field))).convert("RGBA"))


def test_a_picture_has_a_pixel_a_cell_and_nothing_where_values_are_missing() -> None:
    field = np.array([[0.0, 1.0, np.nan], [0.5, 2.0, -1.0]])
    found = pixels(Scale(0.0, 1.0, "viridis"), field)
    assert found.shape == (2, 3, 4)
    assert found[0, 2, 3] == 0
    assert (found[..., 3] == 0).sum() == 1
    assert (found[1, 1] == found[0, 1]).all(), "beyond the scale its end is drawn"
    assert (found[1, 2] == found[0, 0]).all()


def test_north_is_up_whatever_the_order_of_the_source() -> None:
    lon = np.array([0.0, 10.0, 20.0])
    maps = np.arange(6.0).reshape(2, 3)
    for lat, north in ((np.array([-5.0, 5.0]), 1), (np.array([5.0, -5.0]), 0)):
        shown = north_up(lat, lon)(maps)
        assert shown[0, 0] == maps[north, 0]
        assert shown[0, -1] == maps[north, 2]


def test_cells_that_are_wider_than_tall_are_drawn_wider() -> None:
    shown = north_up(np.array([0.0, 1.0, 2.0]), np.array([0.0, 3.0, 6.0]))(np.zeros((3, 3)))
    assert shown.shape == (3, 9)


def test_a_scale_around_zero_is_even_and_never_empty() -> None:
    scale = Scale.around_zero(np.array([-3.0, 1.0]))
    assert scale.low == -scale.high
    assert Scale.of(np.full(3, np.nan)).high > Scale.of(np.full(3, np.nan)).low


def test_the_extent_is_told_in_degrees() -> None:
    assert extent(np.array([60.0, 25.0]), np.array([200.0, 255.0])).startswith("25°N to 60°N, 160°W to 105°W")
    assert "all longitudes" in extent(np.array([60.0, 25.0]), np.arange(0.0, 360.0, 10.0))
