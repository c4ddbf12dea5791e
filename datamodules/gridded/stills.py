"""Maps that have no time, or one moment only: what orography and land masks are sought among."""

from dataclasses import dataclass

from datamodules.gridded.axes import MapAxes, Misfit, layout_of
from datamodules.gridded.files import Contents, Field


@dataclass(frozen=True, eq=False)
class Still:
    """A single map. `timeless` is False where the file dates it."""

    contents: Contents
    field: Field
    axes: MapAxes
    timeless: bool


def stills_of(contents: Contents) -> list[Still]:
    """Maps of one file along no time, or with one moment only."""
    found = []
    for name, field in contents.fields.items():
        if field.dtype is None or len(field.dims) < 2:
            continue
        layout = layout_of(contents, field)
        axes = layout.axes
        if axes is None or name in (axes.lat, axes.lon) or not set(axes.dims) <= set(field.dims):
            continue
        if all(size == 1 or dim in axes.dims for dim, size in zip(field.dims, field.shape, strict=True)):
            timeless = isinstance(layout, Misfit) and layout.kind == "static"
            found.append(Still(contents, field, axes, timeless))
    return found
