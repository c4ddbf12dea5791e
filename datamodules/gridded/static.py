"""Maps that do not change: orography and land mask, recognised among the files' own variables."""

from collections.abc import Sequence

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.files import Contents, Field, Files
from datamodules.gridded.grid import Placement, read_places, same_places
from datamodules.gridded.stills import Still
from datamodules.gridded.unpack import unpack

GRAVITY = 9.80665
"""m s-2, standard gravity: geopotential / GRAVITY = height (WMO)."""

_OROGRAPHY = [
    "orography",
    "orog",
    "oro",
    "zs",
    "topo",
    "topography",
    "elevation",
    "elev",
    "hgt",
    "hgt_sfc",
    "hgtsfc",
    "surface_altitude",
    "phis",
    "phi_s",
    "geopotential_at_surface",
    "surface_geopotential",
    "zsfc",
    "z",
    "fis",
    "ht",
    "terrain",
    "dem",
]
_LAND = [
    "land_mask",
    "lsm",
    "landmask",
    "land_sea_mask",
    "land_binary_mask",
    "sftlf",
    "landfrac",
    "land_fraction",
    "land",
    "lnd",
    "fr_land",
]
_STANDARD = {
    "surface_altitude": "orography",
    "surface_geopotential": "orography",
    "land_binary_mask": "land_mask",
    "land_area_fraction": "land_mask",
}


def static_name(field: Field) -> str | None:
    """ "orography" or "land_mask" where standard name or name say so, else None."""
    declared = _STANDARD.get(field.text("standard_name").lower())
    name = field.name.lower()
    if declared or (
        field.text("standard_name") and field.text("standard_name") not in ("geopotential", "height")
    ):
        return declared
    return "orography" if name in _OROGRAPHY else "land_mask" if name in _LAND else None


def read_static(
    files: Files, stills: Sequence[Still], placement: Placement, asked: bool
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The static maps on the grid of the moving ones, float32 (lat, lon), and warnings.

    "orography" in metres (geopotential is divided by standard gravity), "land_mask" as the share of land, 0
    to 1.
    asked: the files were given as data.static_path; then another grid is an InputError, else a warning.
    """
    found: dict[str, np.ndarray] = {}
    warnings: list[str] = []
    for still in stills:
        name = static_name(still.field)
        if name is None or name in found:
            continue
        if not same_places(read_places(files, still.contents, still.axes), placement.places):
            message = f"{still.contents.path}: {still.field.name!r} ({name}) is on another grid than the maps"
            if asked:
                raise InputError(
                    f"{message}. Remap it to theirs (cdo remapcon,MAPS IN OUT), or leave it out."
                )
            warnings.append(f"{message}; it is left out.")
            continue
        found[name] = _in_place(_physical(name, still.field, _read_map(files, still)), placement).astype(
            np.float32
        )
    return found, warnings


def require_static(paths: Sequence[Contents], found: dict[str, np.ndarray]) -> None:
    """InputError where data.static_path was given and holds neither orography nor a land mask."""
    if paths and not found:
        names = sorted({name for contents in paths for name in contents.fields})
        raise InputError(
            f"data.static_path: {paths[0].path} has neither orography nor a land mask; it has "
            f"{', '.join(names)}. "
            f"Name one of them {_OROGRAPHY[0]!r} or {_LAND[0]!r} (ncrename), or leave the key out."
        )


def _read_map(files: Files, still: Still) -> np.ndarray:
    """The whole map, float64 (rows, columns)."""
    field = still.field
    raw = files.read(
        still.contents.path,
        field.name,
        tuple(
            slice(0, size) if dim in still.axes.dims else 0
            for dim, size in zip(field.dims, field.shape, strict=True)
        ),
    )
    dims = [dim for dim in field.dims if dim in still.axes.dims]
    values = unpack(raw, field.attributes)
    return values if tuple(dims) == still.axes.dims else values.T


def _physical(name: str, field: Field, values: np.ndarray) -> np.ndarray:
    units = field.text("units").replace("*", "").replace("^", "").replace(" ", "")
    if name == "orography" and units in ("m2s-2", "m2/s2", "J/kg", "Jkg-1"):
        return values / GRAVITY
    if name == "land_mask" and units in ("%", "percent"):
        return values / 100
    return values


def _in_place(values: np.ndarray, placement: Placement) -> np.ndarray:
    """Cut and averaged as the moving maps are."""
    selection = placement.selection
    cut = np.concatenate([values[selection.rows, part] for part in selection.columns], axis=-1)
    return placement.coarsening.apply(cut)
