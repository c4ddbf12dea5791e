"""What each variable of a file is: map over time, coordinate, bounds, or none of these (CF 4 and 5)."""

import re
from dataclasses import dataclass

from datamodules.gridded.files import Contents, Field
from datamodules.gridded.reasons import (
    dimension_reason,
    forecast_reason,
    no_grid_reason,
    no_time_reason,
    stations_reason,
)

_NORTH = re.compile(r"degrees?_?n(orth)?$", re.IGNORECASE)
_EAST = re.compile(r"degrees?_?e(ast)?$", re.IGNORECASE)
_LATITUDES = ("lat", "latitude", "lats", "latitudes", "nav_lat", "xlat", "hlat", "lat2d", "latitud")
_LONGITUDES = ("lon", "longitude", "lons", "longitudes", "long", "nav_lon", "xlong", "hlon", "lon2d", "lng")
_TIMES = (
    "time",
    "valid_time",
    "t",
    "date",
    "month",
    "months",
    "year",
    "day",
    "initial_time",
    "times",
    "record",
)
_LEVELS = re.compile(
    r"^(p?lev(el)?s?\d*|plev\d*|pressure(_level)?|isobaric\w*|height\w*|depth\w*|deptht?|altitude|zlev|z|sigma\w*|"
    r"hybrid\w*|(bottom_top|model_level)\w*|st_ocean|presnivs|air_pressure)$",
    re.IGNORECASE,
)
_LEADS = (
    "step",
    "lead",
    "lead_time",
    "leadtime",
    "forecast_hour",
    "forecast_period",
    "prediction_timedelta",
    "fhour",
)
_PRESSURES = ("pa", "hpa", "mb", "mbar", "millibar", "millibars", "hectopascals", "dbar", "bar")


def is_latitude(field: Field) -> bool:
    """True for geographic latitude; a rotated grid's own axis is none."""
    return _is_place(field, "latitude", _NORTH, _LATITUDES)


def is_longitude(field: Field) -> bool:
    """True for geographic longitude; a rotated grid's own axis is none."""
    return _is_place(field, "longitude", _EAST, _LONGITUDES)


def has_dates(field: Field) -> bool:
    """True where the units count from a date, or an old-style `time_origin` says it."""
    units = field.text("units").lower()
    return field.dtype is not None and (
        " since " in units
        or units.startswith("day as %y%m%d")
        or (bool(field.text("time_origin")) and bool(units))
    )


def is_level(contents: Contents, dim: str) -> bool:
    """True for a vertical axis: axis Z, `positive`, units of pressure, or one of the usual names."""
    field = contents.fields.get(dim)
    if _LEVELS.match(dim):
        return True
    if field is None:
        return False
    pressure = field.text("units").lower() in _PRESSURES
    return field.text("axis").upper() == "Z" or bool(field.text("positive")) or pressure


@dataclass(frozen=True)
class MapAxes:
    """Names of the latitude and longitude variables and of the two map dimensions (rows, columns)."""

    lat: str
    lon: str
    dims: tuple[str, str]
    two_d: bool


@dataclass(frozen=True)
class Layout:
    """How one variable lies in its file. `time_dim` is None where time is a scalar; `version` is ERA5's
    expver."""

    name: str
    time: str
    time_dim: str | None
    axes: MapAxes
    level: str | None
    level_dim: str | None
    version: str | None


@dataclass(frozen=True)
class Misfit:
    """Why a variable cannot be packed. `kind`: time, grid, stations, dimension, forecast or static."""

    kind: str
    reason: str
    axes: MapAxes | None = None


def layout_of(contents: Contents, field: Field) -> Layout | Misfit:
    """The layout of a variable that is a map over time, or the reason why it is not."""
    times = [dim for dim in field.dims if _time_on(contents, dim)]
    places = map_axes(contents, field)
    axes = places if isinstance(places, MapAxes) else None
    level_dim = version = None
    others = [dim for dim in field.dims if dim not in times and (axes is None or dim not in axes.dims)]
    if axes is not None:
        for dim in [dim for dim in others if field.size(dim) > 1]:
            if dim.lower() == "expver" and version is None:
                version = dim
            elif is_level(contents, dim) and level_dim is None and dim.lower() not in _TIMES[4:]:
                level_dim = dim
            elif _is_lead(contents, dim) and times:
                return Misfit("forecast", forecast_reason(field, times[0], dim), axes)
            elif times or not _looks_like_time(dim):
                return Misfit("dimension", dimension_reason(contents, field, dim), axes)
    long_times = [dim for dim in times if field.size(dim) > 1]
    if len(long_times) > 1:
        return Misfit("forecast", forecast_reason(field, *long_times[:2]), axes)
    scalar = _scalar_time(contents)
    if not times and scalar is None:
        undated = [dim for dim in field.dims if _looks_like_time(dim)]
        kind = "static" if axes is not None and not undated else "time"
        return Misfit(kind, no_time_reason(contents, field, undated), axes)
    if not isinstance(places, MapAxes):
        if not times:
            places = Misfit(places.kind, f"no time axis ({scalar!r} is a single moment) and {places.reason}")
        return places
    time_dim = next(iter([*long_times, *times]), None)
    time = _time_on(contents, time_dim) if time_dim is not None else scalar
    level = level_dim or _single_level(contents, field, others)
    return Layout(field.name, str(time), time_dim, places, level, level_dim, version)


def map_axes(contents: Contents, field: Field) -> MapAxes | Misfit:
    """The latitude and longitude of a variable: 1-D along two of its dimensions, or 2-D over them."""
    named = [contents.fields[name] for name in field.text("coordinates").split() if name in contents.fields]
    along = [contents.fields[dim] for dim in field.dims if dim in contents.fields]
    usable = [one for one in contents.fields.values() if one.dims and set(one.dims) <= set(field.dims)]
    pool = list(
        {
            one.name: one for one in (*along, *named, *usable) if one.dtype is not None and one is not field
        }.values()
    )
    lats, lons = [one for one in pool if is_latitude(one)], [one for one in pool if is_longitude(one)]
    pairs = [(lat, lon) for lat in lats for lon in lons]
    for lat, lon in pairs:
        if (
            len(lat.dims) == len(lon.dims) == 1
            and lat.dims != lon.dims
            and {*lat.dims, *lon.dims} <= set(field.dims)
        ):
            return MapAxes(lat.name, lon.name, (lat.dims[0], lon.dims[0]), two_d=False)
    for lat, lon in pairs:
        if len(lat.dims) == 2 and lat.dims == lon.dims and set(lat.dims) <= set(field.dims):
            return MapAxes(lat.name, lon.name, (lat.dims[0], lat.dims[1]), two_d=True)
    for lat, lon in pairs:
        if len(lat.dims) == 1 and lat.dims == lon.dims and lat.dims[0] in field.dims:
            return Misfit("stations", stations_reason(field, lat))
    return Misfit("grid", no_grid_reason(contents, field, lats, lons))


def auxiliary_names(contents: Contents) -> set[str]:
    """Names that are never data: coordinates, bounds, grid mappings, cell measures and what these refer
    to."""
    names: set[str] = set()
    for field in contents.fields.values():
        for attribute in ("bounds", "climatology", "coordinates", "grid_mapping", "ancillary_variables"):
            names.update(part.strip(":") for part in field.text(attribute).split())
        for attribute in ("cell_measures", "formula_terms"):
            names.update(part for part in field.text(attribute).split() if not part.endswith(":"))
        if (
            field.text("grid_mapping_name")
            or field.name in field.dims
            or is_latitude(field)
            or is_longitude(field)
        ):
            names.add(field.name)
        if re.search(r"_(bnds|bounds|bnd|vertices)$", field.name) or has_dates(field):
            names.add(field.name)
    return names & set(contents.fields)


def _is_place(field: Field, standard: str, units: re.Pattern[str], names: tuple[str, ...]) -> bool:
    declared = field.text("standard_name").lower()
    if field.dtype is None or (declared and declared != standard):
        return False
    return declared == standard or bool(units.match(field.text("units"))) or field.name.lower() in names


def _time_on(contents: Contents, dim: str | None) -> str | None:
    """The 1-D variable with dates along a dimension; of several, its own, else the valid time."""
    if dim is None:
        return None
    found = [one for one in contents.fields.values() if one.dims == (dim,) and has_dates(one)]
    own = [one for one in found if one.name == dim]
    valid = [
        one for one in found if one.text("standard_name") == "time" or one.name in ("time", "valid_time")
    ]
    axis = [one for one in found if one.text("axis").upper() == "T"]
    return next((one.name for one in (*own, *valid, *axis, *found)), None)


def _scalar_time(contents: Contents) -> str | None:
    scalars = [one for one in contents.fields.values() if one.dims == () and has_dates(one)]
    valid = [
        one for one in scalars if one.text("standard_name") == "time" or one.name in ("time", "valid_time")
    ]
    return next((one.name for one in valid), None)


def _single_level(contents: Contents, field: Field, others: list[str]) -> str | None:
    """A level that is a dimension of length 1 or a scalar coordinate."""
    scalars = [name for name in field.text("coordinates").split() if name in contents.fields]
    scalars += [
        name for name in ("level", "plev", "pressure_level", "isobaricInhPa") if name in contents.fields
    ]
    found = [dim for dim in others if dim in contents.fields and is_level(contents, dim)]
    found += [name for name in scalars if contents.fields[name].dims == () and is_level(contents, name)]
    return next((name for name in found if contents.fields[name].dtype is not None), None)


def _looks_like_time(dim: str) -> bool:
    return dim.lower() in _TIMES


def _is_lead(contents: Contents, dim: str) -> bool:
    field = contents.fields.get(dim)
    return dim.lower() in _LEADS or (field is not None and field.text("standard_name") == "forecast_period")
