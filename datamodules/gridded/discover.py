"""From what the user wrote (a file, a list, a glob, a folder) to the sorted files that are meant."""

import difflib
import glob
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from datamodules.errors import InputError

NETCDF_SUFFIXES = (".nc", ".nc3", ".nc4", ".netcdf", ".cdf", ".ncf", ".h5", ".hdf5")
GRIB_SUFFIXES = (".grib", ".grb", ".grib1", ".grib2", ".grb1", ".grb2", ".gb", ".gb2")
_ZARR_MARKS = (".zgroup", ".zmetadata", "zarr.json", ".zattrs")


def find_sources(path: str | Path | Sequence[str | Path], key: str = "data.path") -> tuple[Path, ...]:
    """The NetCDF files and Zarr stores that `path` names, sorted and without repeats; never empty.

    path: a file, a Zarr store, a folder (searched with its sub-folders), a glob ("**" reaches into
    sub-folders), or a list of these. InputError names what matched nothing, what lies near it, and GRIB
    files with the way out.
    """
    wanted = [path] if isinstance(path, str | Path) else list(path)
    if not wanted:
        raise InputError(f"{key} is an empty list. Give a file, a folder or a glob of NetCDF files.")
    found: set[Path] = set()
    for one in wanted:
        found.update(_expand(Path(one).expanduser(), key))
    return tuple(sorted(found))


def is_zarr(path: Path) -> bool:
    """True for a folder that holds a Zarr group, version 2 or 3."""
    return path.is_dir() and any((path / mark).is_file() for mark in _ZARR_MARKS)


def fingerprint(path: Path) -> list[tuple[str, int, int, str]]:
    """(path, bytes, modification time in ns, digest of head and tail) of a file, or of each file of a
    store."""
    if path.is_dir():
        return [entry for inner in sorted(path.rglob("*")) if inner.is_file() for entry in fingerprint(inner)]
    about = path.stat()
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        digest.update(stream.read(65536))
        stream.seek(max(0, about.st_size - 65536))
        digest.update(stream.read(65536))
    return [(str(path.resolve()), about.st_size, about.st_mtime_ns, digest.hexdigest())]


def refuse_foreign(path: Path) -> None:
    """InputError for a file that is known not to be NetCDF: GRIB, HDF4, an archive, or empty."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}. Check that it exists and may be read."
        ) from None
    if not head:
        raise InputError(f"{path} is empty (0 bytes). Copy or download it again.")
    if head.startswith(b"GRIB") or path.suffix.lower() in GRIB_SUFFIXES:
        raise InputError(_grib_message(path))
    if head.startswith(b"\x0e\x03\x13\x01"):
        raise InputError(
            f"{path} is HDF4, not NetCDF. Convert it: h4toh5 {path.name}, or ncl_convert2nc {path.name}."
        )
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")):
        raise InputError(
            f"{path} is compressed. Unpack it (gunzip, unzip, bunzip2, unxz) and give what was in it."
        )


def _expand(path: Path, key: str) -> Iterable[Path]:
    text = str(path)
    if path.is_dir():
        return [path] if is_zarr(path) else _inside(path, key)
    if path.exists():
        return [path]
    if glob.has_magic(text):
        matches = [Path(match) for match in glob.glob(text, recursive=True)]  # noqa: PTH207 (absolute globs)
        files = [match for match in matches if match.is_file() or is_zarr(match)]
        if files:
            return files
        if matches:
            return [found for folder in matches for found in _inside(folder, key)]
    raise InputError(_nothing_there(path, key))


def _inside(folder: Path, key: str) -> list[Path]:
    """NetCDF files and Zarr stores below a folder; what lies inside a store is the store's own."""
    found: list[Path] = []
    others: list[Path] = []
    pending = [folder]
    while pending:
        for entry in sorted(pending.pop().iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if is_zarr(entry):
                    found.append(entry)
                else:
                    pending.append(entry)
            elif entry.suffix.lower() in NETCDF_SUFFIXES:
                found.append(entry)
            else:
                others.append(entry)
    if found:
        return found
    grib = [entry for entry in others if entry.suffix.lower() in GRIB_SUFFIXES]
    if grib:
        raise InputError(_grib_message(grib[0]))
    holds = (
        f"It holds {', '.join(sorted(entry.name for entry in others)[:5])}."
        if others
        else "It holds no files."
    )
    raise InputError(
        f"{key}: the folder {folder} has no NetCDF file ({', '.join(NETCDF_SUFFIXES[:5])}) and no "
        "Zarr store. "
        f"{holds} Name the files themselves, or a glob such as {folder}/*."
    )


def _grib_message(path: Path) -> str:
    return (
        f"{path} is GRIB, not NetCDF. Convert it first: `cdo -f nc4 copy {path.name} {path.stem}.nc`, "
        f"or `grib_to_netcdf -o {path.stem}.nc {path.name}`, and give the NetCDF file."
    )


def _nothing_there(path: Path, key: str) -> str:
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    below = path.relative_to(folder).parts[0] if path != folder else path.name
    near = difflib.get_close_matches(below, names, n=3, cutoff=0.5)
    hint = (
        f" Near it: {', '.join(near)}." if near else f" {folder} holds: {', '.join(names[:5]) or 'nothing'}."
    )
    return (
        f"{key}: nothing matches {path}.{hint} "
        "Give a file, a list, a glob or a folder of NetCDF or Zarr data."
    )
