"""Raw stored numbers to physical values: scaling in float64, and NaN for everything that means "no value"."""

from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST = 1e19
"""No field of the atmosphere is larger: what is, is a fill value that the file forgot to declare."""

_DEFAULT_FILLS = {"i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295, "i8": -9223372036854775806}


def unpack(raw: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Physical values, float64, the shape of `raw`, NaN where missing (CF 2.5.1 and 8.1).

    Missing are: `_FillValue`, any `missing_value`, outside `valid_min`/`valid_max`/`valid_range` (in packed
    units where their type is the packed one), NaN, infinity, |x| > 1e19 (undeclared 9.97e36, 1e20, 1e30),
    and the library's default fill of an integer type that declares none.
    """
    if str(attributes.get("_Unsigned", "")).lower() == "true" and raw.dtype.kind == "i":
        raw = raw.view(raw.dtype.newbyteorder("=").str.replace("i", "u"))
    packed = raw.dtype.kind in "iu"
    scale, offset = (
        _number(attributes.get(name), other) for name, other in (("scale_factor", 1.0), ("add_offset", 0.0))
    )
    values = np.array(raw, dtype=np.float64)
    missing = ~np.isfinite(values) | (np.abs(values) > LARGEST)
    values[missing] = np.nan
    for name in ("_FillValue", "missing_value"):
        for marker in _numbers(attributes.get(name)):
            stored = _as_stored(marker, raw.dtype)
            if stored is not None:
                missing |= raw == stored
            elif packed and np.isfinite(marker):
                missing |= np.isclose(values * scale + offset, marker, rtol=1e-6, atol=0)
    if packed and "_FillValue" not in attributes and raw.dtype.str[1:] in _DEFAULT_FILLS:
        missing |= raw == _DEFAULT_FILLS[raw.dtype.str[1:]]
    low, high, in_stored_units = _valid(attributes, raw.dtype)
    if in_stored_units:
        missing |= (raw < low) | (raw > high)
    values = np.asarray(values * scale + offset)
    if not in_stored_units:
        missing |= (values < low - abs(scale) / 2) | (values > high + abs(scale) / 2)
    values[missing | (np.abs(values) > LARGEST)] = np.nan
    return values


def _valid(attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> tuple[Any, Any, bool]:
    """Lowest and highest valid value, and whether they are in stored units (else in physical ones)."""
    both = attributes.get("valid_range")
    if both is not None and np.size(both) == 2:
        low, high = np.asarray(both)
    else:
        low, high = attributes.get("valid_min", -np.inf), attributes.get("valid_max", np.inf)
    try:
        low, high = np.asarray(low).reshape(-1)[0], np.asarray(high).reshape(-1)[0]
        kinds = {np.asarray(edge).dtype.kind for edge in (low, high) if np.isfinite(float(edge))}
        low, high = (
            edge if isinstance(edge, np.generic) and edge.dtype.kind in "iuf" else np.float64(edge)
            for edge in (low, high)
        )
    except (TypeError, ValueError, IndexError):
        return -np.inf, np.inf, False
    if dtype.kind == "f":
        return low.astype(dtype), high.astype(dtype), True
    return low, high, kinds <= {"i", "u"} and bool(kinds)


def _as_stored(marker: float, dtype: np.dtype[Any]) -> Any:
    """The marker in the stored type, or None where that type cannot hold it."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(marker)
    if not np.isfinite(marker) or marker != int(marker):
        return None
    limits = np.iinfo(dtype)
    if dtype.kind == "u" and marker < 0:
        marker += limits.max + 1
    return dtype.type(int(marker)) if limits.min <= marker <= limits.max else None


def _numbers(attribute: Any) -> list[float]:
    """The attribute's numbers; text that is no number is no marker."""
    if attribute is None:
        return []
    try:
        return [float(value) for value in np.atleast_1d(np.asarray(attribute)).reshape(-1)]
    except ValueError:
        return []


def _number(attribute: Any, default: float) -> float:
    found = _numbers(attribute)
    return found[0] if found else default
