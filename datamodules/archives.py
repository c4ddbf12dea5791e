"""Archives of data unpacked: plain files and folders only, all of them inside the folder, or nothing."""

import logging
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Protocol

from datamodules.errors import InputError

log = logging.getLogger(__name__)

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_MEMBERS = 5_000_000
SPARE = 64 << 20
"""Bytes of the disk that unpacking leaves free."""
DAMAGED = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError)
"""What unpackers raise beside their own errors; of OSErrors those without a number."""
BY_HAND = "unpack it by hand if you trust it, and let data.path name the folder"


@dataclass(frozen=True)
class Member:
    """What an archive says of a file or folder in it: its name as written, bytes, and what it is.

    kind: file, folder, or what else it is ("a link"), which is refused.
    """

    name: str
    size: int
    kind: str
    source: zipfile.ZipInfo | tarfile.TarInfo


class _Reader(Protocol):
    """An opened archive."""

    def members(self) -> Iterator[Member]: ...

    def open(self, member: Member) -> IO[bytes]: ...


def is_archive(name: str) -> bool:
    """Whether the ending is that of an archive."""
    return name.lower().endswith(ENDINGS)


def unpack(archive: Path, folder: Path) -> Path:
    """`folder`, holding what `archive` holds; it appears whole or not at all, and must not be there yet.

    One folder around everything is taken off. Nothing is written outside, whatever the archive says.

    InputError, nothing unpacked: names that are absolute, have '..', a backslash, a drive letter or control
    characters; links and devices; a name twice; more bytes than the disk has free, or than the archive had
    said; a damaged archive; a folder that is there already.
    """
    if folder.exists():
        raise InputError(
            f"{folder} is there already, so {archive.name} is not unpacked into it; move it away"
        )
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _opened(archive) as reader:
            members = _checked(archive, reader, folder.parent)
            log.info(
                "unpacking %d files of %s into %s", sum(m.kind == "file" for m in members), archive, folder
            )
            part.mkdir(parents=True)
            for member in members:
                _write(reader, member, part, archive)
        _without_wrapping(part).rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, *DAMAGED) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the archive
        raise InputError(f"{archive} is damaged or encrypted ({error}); download it again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _checked(archive: Path, reader: _Reader, place: Path) -> list[Member]:
    """All members. InputError unless each is a plain file or folder inside, and they fit on the disk."""
    members: list[Member] = []
    files: set[str] = set()
    wanted, free = 0, shutil.disk_usage(place).free
    for member in reader.members():
        name = "/".join(_parts(member.name))
        wrong = _wrong(member) or ("is there twice" if name in files else "")
        if wrong or len(members) == MOST_MEMBERS:
            wrong = wrong or f"is one of more than {MOST_MEMBERS:,}"
            raise InputError(f"{archive}: {member.name!r} {wrong}; nothing was unpacked; {BY_HAND}")
        if member.kind == "file":
            files.add(name)
        wanted += member.size
        if wanted > free - SPARE:
            raise InputError(
                f"{archive} says it holds {wanted / 1e9:.1f} GB or more, and {place} has {free / 1e9:.1f} GB "
                "free; nothing was unpacked; free some space, or let data.path name a folder on another disk"
            )
        members.append(member)
    return members


def _wrong(member: Member) -> str:
    """Why a member is refused; an empty text where it is not."""
    name = member.name
    if member.kind not in ("file", "folder"):
        return f"is {member.kind}, and only plain files and folders are unpacked"
    if not name or any(ord(sign) < 32 for sign in name):
        return "is no name"
    if "\\" in name or PureWindowsPath(name).drive:
        return "has a backslash or a drive letter"
    if name.startswith("/") or ".." in name.split("/"):
        return "leads out of the folder"
    return "is no name" if member.kind == "file" and not _parts(name) else ""


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _write(reader: _Reader, member: Member, part: Path, archive: Path) -> None:
    """One member below `part`, of the size that it was said to have."""
    target = part.joinpath(*_parts(member.name))
    try:
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with reader.open(member) as source, target.open("xb") as file:
            left = member.size
            while block := source.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise InputError(
                        f"{archive}: {member.name!r} holds more than the {member.size} bytes that the "
                        f"archive says; nothing was unpacked; {BY_HAND}"
                    )
                file.write(block)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{archive}: {member.name!r} is a file and a folder at once; nothing was unpacked; {BY_HAND}"
        ) from error


def _without_wrapping(part: Path) -> Path:
    """The one folder that holds everything, or `part` itself."""
    inside = list(part.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else part


class _Zip:
    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened

    def members(self) -> Iterator[Member]:
        for info in self._opened.infolist():
            name = info.orig_filename
            kind = "folder" if name.endswith("/") else "file"
            mode = info.external_attr >> 16
            if mode & 0o170000 not in (0, 0o100000, 0o040000):
                kind = "a link" if mode & 0o170000 == 0o120000 else "a device"
            yield Member(name, info.file_size, kind, info)

    def open(self, member: Member) -> IO[bytes]:
        assert isinstance(member.source, zipfile.ZipInfo)
        return self._opened.open(member.source)


class _Tar:
    def __init__(self, opened: tarfile.TarFile) -> None:
        self._opened = opened

    def members(self) -> Iterator[Member]:
        for info in self._opened:
            kind = "a device"
            if info.isreg():
                kind = "file"
            elif info.isdir():
                kind = "folder"
            elif info.issym() or info.islnk():
                kind = "a link"
            yield Member(info.name, info.size if kind == "file" else 0, kind, info)

    def open(self, member: Member) -> IO[bytes]:
        assert isinstance(member.source, tarfile.TarInfo)
        found = self._opened.extractfile(member.source)
        assert found is not None
        return found


@contextmanager
def _opened(archive: Path) -> Iterator[_Reader]:
    """The archive, by what is in it. InputError when it is neither a zip nor a tar file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _Zip(opened)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as found:
            yield _Tar(found)
    else:
        raise InputError(f"{archive} is neither a zip nor a tar file; download it again")
