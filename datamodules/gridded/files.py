"""One source file opened: what it holds (`Contents`), and raw values read through at most a few open
handles."""

import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import InputError
from datamodules.gridded.classic import missing_bytes
from datamodules.gridded.discover import is_zarr, refuse_foreign

MOST_HANDLES = 16
"""Files kept open at once: thousands of files must not run into the system's limit."""


@dataclass(frozen=True, eq=False)
class Field:
    """One variable of a file as it is stored. `dtype` is None for text; `chunks` None where not chunked."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    attributes: Mapping[str, Any]
    chunks: tuple[int, ...] | None

    def text(self, attribute: str) -> str:
        """The attribute as text without blanks around it, "" where absent."""
        return str(self.attributes.get(attribute, "")).strip()

    def size(self, dim: str) -> int:
        """The length of one of its dimensions."""
        return self.shape[self.dims.index(dim)]


@dataclass(frozen=True, eq=False)
class Contents:
    """The variables of one file, by name, and the file's own attributes."""

    path: Path
    fields: Mapping[str, Field]
    attributes: Mapping[str, Any]


class Files:
    """Reads raw values (no scaling, no masking) from NetCDF 3/4 files and Zarr stores, by path.

    Handles are opened when first needed, per process, the least recently used closed beyond `MOST_HANDLES`.
    Use it from one thread: the NetCDF library is not thread-safe. Pickles without its handles.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Path, Any] = OrderedDict()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing travels: the copy opens its own handles."""
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """An empty set of handles in the new process."""
        self._open = OrderedDict()
        self._process = os.getpid()

    def inspect(self, path: Path) -> Contents:
        """What the file holds; InputError where it is cut, unreadable, not NetCDF or has no variables."""
        handle = self._handle(path)
        fields = _zarr_fields(handle) if is_zarr(path) else _netcdf_fields(handle)
        if not fields:
            groups = list(getattr(handle, "groups", {}))
            inner = f"; its groups ({', '.join(groups[:5])}) are not searched" if groups else ""
            raise InputError(
                f"{path} holds no variables at its root{inner}. Give a file with maps over time."
            )
        return Contents(path, fields, dict(handle.attrs) if is_zarr(path) else _attributes(handle))

    def read(self, path: Path, name: str, index: tuple[int | slice, ...]) -> np.ndarray:
        """The raw block `index` of a variable; InputError where the bytes cannot be read (a cut file)."""
        handle = self._handle(path)
        try:
            values = handle.variables[name][index]
            return np.asarray(values.values if is_zarr(path) else values)
        except (OSError, RuntimeError, IndexError, KeyError) as error:
            raise InputError(
                f"{path}: variable {name!r} cannot be read ({error}); the file is cut or damaged. "
                "Copy or download it again."
            ) from error

    def read_all(self, path: Path, field: Field) -> np.ndarray:
        """All raw values of a variable."""
        return self.read(path, field.name, tuple(slice(0, size) for size in field.shape))

    def close(self) -> None:
        """Close every handle; the next read opens what it needs."""
        while self._open:
            _, handle = self._open.popitem()
            handle.close()

    def _handle(self, path: Path) -> Any:
        if self._process != os.getpid():  # a fork must not share the parent's file positions
            self._open, self._process = OrderedDict(), os.getpid()
        if path not in self._open:
            while len(self._open) >= MOST_HANDLES:
                self._open.popitem(last=False)[1].close()
            self._open[path] = _open_zarr(path) if is_zarr(path) else _open_netcdf(path)
        self._open.move_to_end(path)
        return self._open[path]


def _open_netcdf(path: Path) -> Any:
    import netCDF4

    refuse_foreign(path)
    if lacking := missing_bytes(path):
        raise InputError(
            f"{path} is cut: by its own header {lacking} bytes are missing at its end. "
            "Copy or download it again."
        )
    try:
        handle = netCDF4.Dataset(path, "r")
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be opened as NetCDF ({error}): it is cut, damaged or of another format. "
            "Compare its size with the original, and copy or download it again."
        ) from None
    handle.set_auto_maskandscale(False)
    handle.set_auto_chartostring(False)
    return handle


def _open_zarr(path: Path) -> Any:
    import xarray

    _refuse_pickles(path)
    marker = path / "zarr.json"
    merged = (path / ".zmetadata").is_file() or (
        marker.is_file() and "consolidated_metadata" in marker.read_text()
    )
    try:
        return xarray.open_zarr(path, decode_cf=False, consolidated=merged, chunks=None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be opened as a Zarr store ({error}). Write it again with xarray."
        ) from error


def _refuse_pickles(path: Path) -> None:
    """Return when no array of a Zarr store (format 2) is coded as pickles, which would run code when read."""
    for about in (path / ".zmetadata", *sorted(path.glob("*/.zarray"))):
        if about.is_file() and re.search(r'"id"\s*:\s*"pickle"', about.read_text(encoding="utf-8")):
            raise InputError(
                f"{about} says that values are Python objects (pickles), which are never read. Write the "
                "store again with xarray, as numbers."
            )


def _netcdf_fields(handle: Any) -> dict[str, Field]:
    fields = {}
    for name, variable in handle.variables.items():
        chunks = variable.chunking()
        fields[name] = Field(
            name,
            tuple(variable.dimensions),
            tuple(int(size) for size in variable.shape),
            variable.dtype if isinstance(variable.dtype, np.dtype) and variable.dtype.kind in "iuf" else None,
            _attributes(variable),
            tuple(int(size) for size in chunks) if isinstance(chunks, list) else None,
        )
    return fields


def _zarr_fields(dataset: Any) -> dict[str, Field]:
    return {
        str(name): Field(
            str(name),
            tuple(str(dim) for dim in variable.dims),
            tuple(variable.shape),
            variable.dtype if variable.dtype.kind in "iuf" else None,
            dict(variable.attrs),
            variable.encoding.get("chunks"),
        )
        for name, variable in dataset.variables.items()
    }


def _attributes(owner: Any) -> dict[str, Any]:
    return {name: owner.getncattr(name) for name in owner.ncattrs()}
