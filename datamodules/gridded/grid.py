"""Where the cells are: `Grid`, its coordinates in the source's order and the exact area of every cell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.axes import MapAxes
from datamodules.gridded.cells import band_areas, cell_edges, quadrangle_areas
from datamodules.gridded.coarsen import Coarsening
from datamodules.gridded.files import Contents, Field, Files
from datamodules.gridded.region import Region, Selection, select_box, select_columns, select_rows
from datamodules.gridded.unpack import unpack

_STORAGE = (
    "_FillValue",
    "missing_value",
    "bounds",
    "actual_range",
    "scale_factor",
    "add_offset",
    "coordinates",
)


@dataclass(frozen=True, eq=False)
class Grid:
    """Coordinates and areas of the cells of one map, in the order and convention of the source.

    lat, lon:     float64 degrees, (lat,) and (lon,); both (lat, lon) on projected and rotated grids
    cell_area:    float64 (lat, lon), shares of the area of the map, sum 1
    wraps:        True when the last longitude is followed by the first: a whole globe, nothing cut
    lat_name, lon_name: names of the two coordinates in the source
    dims:         names of the two map axes in the source: the coordinates themselves, or e.g. ("rlat",
    "rlon")
    y, x:         values along `dims` of a projected grid (projection's own units); None on a 1-D grid
    attributes:   attributes to write back: {"lat": {...}, "lon": {...}, "y": {...}, "x": {...},
                  "grid_mapping": {"name": ..., ...}}; what the source lacks is absent
    """

    lat: np.ndarray
    lon: np.ndarray
    cell_area: np.ndarray
    wraps: bool
    lat_name: str = "lat"
    lon_name: str = "lon"
    dims: tuple[str, str] = ("lat", "lon")
    y: np.ndarray | None = None
    x: np.ndarray | None = None
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(lat, lon): how many cells along each axis of the map."""
        return (int(self.cell_area.shape[0]), int(self.cell_area.shape[1]))

    @property
    def projected(self) -> bool:
        """True where latitude and longitude are 2-D."""
        return self.lat.ndim == 2


@dataclass(frozen=True, eq=False)
class Placement:
    """A grid together with how its maps are cut out of the source's and averaged.

    places: the source's own latitudes and longitudes, uncut, to tell whether another file has the same grid.
    """

    grid: Grid
    selection: Selection
    coarsening: Coarsening
    places: tuple[np.ndarray, np.ndarray]
    warnings: tuple[str, ...]


def read_places(files: Files, contents: Contents, axes: MapAxes) -> tuple[np.ndarray, np.ndarray]:
    """The source's latitudes and longitudes, float64 degrees, 1-D or 2-D, in its order."""
    lat, lon = (_values(files, contents, name) for name in (axes.lat, axes.lon))
    return lat, lon


def same_places(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    """True where two sources have the same cells in the same order, to a hundredth of their spacing."""
    for a, b in zip(one, other, strict=True):
        if a.shape != b.shape:
            return False
        spacing = float(np.nanmedian(np.abs(np.diff(a, axis=-1)))) if a.shape[-1] > 1 else 1.0
        if not np.allclose(a, b, rtol=0, atol=max(0.01 * spacing, 1e-4), equal_nan=True):
            return False
    return True


def place_maps(
    files: Files, contents: Contents, axes: MapAxes, variable: Field, region: Region | None, coarsen: int
) -> Placement:
    """The grid of a variable's maps after the region is cut out and `coarsen` x `coarsen` cells are averaged.

    InputError: coordinates that go back and forth, an empty region, a factor that does not divide a whole
    circle.
    """
    lat, lon = read_places(files, contents, axes)
    where, attributes = str(contents.path), _grid_attributes(contents, axes, variable)
    if axes.two_d:
        return _place_projected(files, contents, axes, (lat, lon), region, coarsen, attributes)
    rows, columns = select_rows(lat, region, where), select_columns(lon, region, where)
    selection = Selection(rows, columns.parts)
    picked = np.concatenate([np.arange(part.start, part.stop) for part in columns.parts])
    lat_bounds, lon_bounds = (_bounds(files, contents, name) for name in (axes.lat, axes.lon))
    lat_edges = cell_edges(lat, lat_bounds)[rows]
    lon_edges = cell_edges(
        columns.lon, None if lon_bounds is None or len(columns.parts) > 1 else lon_bounds[picked]
    )
    coarsening = Coarsening(coarsen, band_areas(lat_edges, lon_edges))
    if coarsen > 1 and columns.wraps and columns.lon.size % coarsen:
        allowed = [str(n) for n in range(1, columns.lon.size // 2 + 1) if columns.lon.size % n == 0]
        raise InputError(
            f"data.coarsen={coarsen} does not divide the {columns.lon.size} longitudes of the globe "
            f"in {where}. "
            f"Allowed: {', '.join(allowed[:12])}."
        )
    grid = Grid(
        coarsening.line(lat[rows]) if coarsen > 1 else lat[rows],
        coarsening.line(columns.lon) if coarsen > 1 else columns.lon,
        coarsening.areas() if coarsen > 1 else coarsening.cell_area,
        columns.wraps,
        axes.lat,
        axes.lon,
        axes.dims,
        attributes=attributes,
    )
    return Placement(grid, selection, coarsening, (lat, lon), columns.warnings)


def _place_projected(
    files: Files,
    contents: Contents,
    axes: MapAxes,
    places: tuple[np.ndarray, np.ndarray],
    region: Region | None,
    coarsen: int,
    attributes: dict[str, dict[str, Any]],
) -> Placement:
    lat, lon = places
    selection = select_box(lat, lon, region, str(contents.path))
    box = (selection.rows, selection.columns[0])
    coarsening = Coarsening(coarsen, quadrangle_areas(lat, lon)[box])
    coarsening = Coarsening(coarsen, coarsening.cell_area / coarsening.cell_area.sum())
    lines = [
        coarsening.line(_values(files, contents, dim)[part])
        if dim in contents.fields and contents.fields[dim].dims == (dim,)
        else None
        for dim, part in zip(axes.dims, box, strict=True)
    ]
    missing = int((~np.isfinite(lat) | ~np.isfinite(lon)).sum())
    warning = f"{contents.path}: {missing} cells have no latitude or longitude; their area counts as 0."
    turned = np.deg2rad(lon[box])
    sine, cosine = coarsening.plane(np.sin(turned)), coarsening.plane(np.cos(turned))
    centre = float(np.nanmean(lon[box]))
    mean_lon = (np.rad2deg(np.arctan2(sine, cosine)) - centre + 180) % 360 - 180 + centre
    grid = Grid(
        lat[box] if coarsen == 1 else coarsening.plane(lat[box]),
        lon[box] if coarsen == 1 else mean_lon,
        coarsening.areas(),
        False,
        axes.lat,
        axes.lon,
        axes.dims,
        lines[0],
        lines[1],
        attributes,
    )
    return Placement(grid, selection, coarsening, places, (warning,) if missing else ())


def _values(files: Files, contents: Contents, name: str) -> np.ndarray:
    """A coordinate in physical values, float64."""
    coordinate = contents.fields[name]
    return unpack(files.read_all(contents.path, coordinate), coordinate.attributes)


def _bounds(files: Files, contents: Contents, name: str) -> np.ndarray | None:
    """The edges that the file gives for a coordinate (n, 2), or None."""
    bounds = contents.fields.get(contents.fields[name].text("bounds"))
    if bounds is None or bounds.dtype is None or len(bounds.dims) != 2:
        return None
    return unpack(files.read_all(contents.path, bounds), bounds.attributes)


def _grid_attributes(contents: Contents, axes: MapAxes, variable: Field) -> dict[str, dict[str, Any]]:
    """Attributes of the coordinates and of the projection, without what only concerns their storage."""
    mapping = variable.text("grid_mapping").split(":")[0]
    names = {"lat": axes.lat, "lon": axes.lon}
    if axes.two_d:
        names |= {"y": axes.dims[0], "x": axes.dims[1]}
    found = {
        role: {key: value for key, value in contents.fields[name].attributes.items() if key not in _STORAGE}
        for role, name in names.items()
        if name in contents.fields
    }
    if mapping in contents.fields:
        found["grid_mapping"] = {"name": mapping, **contents.fields[mapping].attributes}
    return found
