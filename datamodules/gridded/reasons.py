"""Why a variable cannot be packed, and the way out, in words (no final stop: the caller names the file)."""

from datamodules.gridded.files import Contents, Field


def forecast_reason(field: Field, first: str, second: str) -> str:
    """Two time axes: a set of forecasts."""
    return (
        f"variable {field.name!r} has two time axes, {first!r} and {second!r}: a set of forecasts, "
        "not one history. "
        f"Choose one lead (ncks -d {second},0 IN OUT) or one start, so that a single time axis is left"
    )


def dimension_reason(contents: Contents, field: Field, dim: str) -> str:
    """A dimension that nothing here can use."""
    return (
        f"variable {field.name!r} has a dimension {dim!r} of length {field.size(dim)} that is neither "
        "time, level, "
        f"latitude nor longitude. Choose one of it (ncks -d {dim},0 IN OUT, xarray: ds.isel({dim}=0)) "
        "or average over it"
    )


def stations_reason(field: Field, lat: Field) -> str:
    """Places, not a grid."""
    return (
        f"no grid: latitude and longitude of {field.name!r} both lie on {lat.dims[0]!r} "
        f"({lat.shape[0]} places), so these are "
        "stations or an unstructured mesh. Give stations as data.series.path; remap a mesh first "
        "(cdo remapbil,r360x180 IN OUT)"
    )


def no_time_reason(contents: Contents, field: Field, undated: list[str]) -> str:
    """No dates: `undated` are dimensions that look like time."""
    if undated:
        dim = undated[0]
        return (
            f"no time axis: dimension {dim!r} of {field.name!r} has no dates (units like 'days since "
            "1950-01-01'), as in a "
            f"climatology or an index. Where they are moments, give {dim!r} such units (ncatted, cdo "
            "settaxis)"
        )
    return (
        f"no time axis: variable {field.name!r} lies on ({', '.join(field.dims)}), and none of these "
        "has units like "
        "'days since 1950-01-01'. Give a file with maps at several moments"
    )


def no_grid_reason(contents: Contents, field: Field, lats: list[Field], lons: list[Field]) -> str:
    """No latitude or longitude: `lats` and `lons` are those that were found."""
    mapping = contents.fields.get(field.text("grid_mapping").split(":")[0])
    if mapping is not None and not (lats and lons):
        return (
            f"no grid that can be placed: {field.name!r} is on a projected grid "
            f"({mapping.text('grid_mapping_name')}) "
            "without 2-D latitude and longitude. Add them (pyproj), or remap: cdo remapbil,r360x180 IN OUT"
        )
    lacking = " and ".join(name for name, found in (("latitude", lats), ("longitude", lons)) if not found)
    return (
        f"no grid: variable {field.name!r} on ({', '.join(field.dims)}) has no "
        f"{lacking or 'latitude and longitude axes'} "
        "(standard_name, or units degrees_north and degrees_east). Add the coordinates to the file; "
        "values at stations go to data.series.path"
    )
