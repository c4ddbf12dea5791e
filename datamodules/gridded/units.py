"""Units of one variable compared between files, whatever their spelling."""

import re
from collections.abc import Iterable
from pathlib import Path

from datamodules.errors import InputError

_SPELLINGS = {
    "K": ("k", "degk", "kelvin", "deg_k", "degree_k", "degrees_k"),
    "degC": (
        "c",
        "degc",
        "celsius",
        "deg_c",
        "deg c",
        "degree_c",
        "degrees_c",
        "degree_celsius",
        "degrees_celsius",
    ),
    "Pa": ("pa", "pascal", "pascals"),
    "hPa": ("hpa", "mb", "mbar", "millibar", "millibars", "hectopascal", "hectopascals"),
    "m s-1": ("m/s", "m s-1", "ms-1", "meter/second", "m/sec"),
    "": ("", "1", "none", "dimensionless", "-"),
}


def plain_units(units: str) -> str:
    """The units without differences of spelling: "kg m**-2" is "kg m-2"; "K", "degK" and "kelvin" are "K"."""
    text = re.sub(r"\s+", " ", re.sub(r"\*\*|\^", "", units).replace("*", " ")).strip()
    return next((one for one, spellings in _SPELLINGS.items() if text.lower() in spellings), text)


def require_equal_units(found: Iterable[tuple[str, str, Path]]) -> list[str]:
    """Warnings on variables that have units in one file and none in another, from (variable, units, file).

    InputError names both files and both units where they disagree.
    """
    first: dict[str, tuple[str, Path]] = {}
    warnings: dict[str, str] = {}
    for name, units, path in found:
        known, where = first.setdefault(name, (units, path))
        if plain_units(known) == plain_units(units):
            continue
        if known.strip() and units.strip():
            raise InputError(
                f"units of {name!r} disagree: {known!r} in {where}, {units!r} in {path}. "
                "Convert one of them (cdo mulc and setunit, or ncap2), or leave it out of data.path."
            )
        has, lacks = (where, path) if known.strip() else (path, where)
        warnings.setdefault(
            name, f"{name!r} has units in {has} but none in {lacks}; they are taken to be equal."
        )
        first[name] = (known, where) if known.strip() else (units, path)
    return list(warnings.values())
