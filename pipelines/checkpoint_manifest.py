"""SHA256SUMS: which bytes each checkpoint of a folder holds, right also after a kill at any moment.

The file is in the form of `sha256sum`, so that `sha256sum -c SHA256SUMS` checks a folder without Skyreel.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from pipelines.rundir import write_text

MANIFEST = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
NO_LINKS = (
    errno.EPERM,
    errno.EACCES,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EXDEV,
    errno.EINVAL,
)
"""What a file system that has no hard links answers."""


def read_manifest(folder: Path) -> dict[str, tuple[str, ...]]:
    """The digests of each name that the manifest lists; several where a rename may have been under way.

    Empty without a manifest; lines that are none of sha256sum's do not count.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if match := LINE.fullmatch(line):
            digest, name = match.groups()
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), digest)))
    return found


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed_digest(path: Path) -> str:
    """The SHA-256 of a good file: the only one that is listed, else from its bytes."""
    digests = read_manifest(path.parent).get(path.name, ())
    return digests[0] if len(digests) == 1 else digest_of(path)


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on the disk, where the file system can tell."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def renaming(
    folder: Path, after: Mapping[str, str | None], meanwhile: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Within, files of `folder` change their names; a kill at any moment leaves files that verify.

    after:     the digest that each name has at the end, None for one that is gone
    meanwhile: the digests of names that are there only within

    Until the end the manifest lists what each name held before beside what it is going to hold.
    """
    before = read_manifest(folder)
    during = dict(before)
    for name, digest in [*after.items(), *(meanwhile or {}).items()]:
        listed = name in before or not (folder / name).exists()
        if digest is not None and listed:  # a file that was not listed may not be refused now
            during[name] = tuple(dict.fromkeys((*before.get(name, ()), digest)))
    _write(folder, during)
    sync_folder(folder)
    yield
    sync_folder(folder)
    gone = {name for name, digest in after.items() if digest is None} | set(meanwhile or {})
    kept = {name: digests for name, digests in before.items() if name not in gone}
    _write(folder, kept | {name: (digest,) for name, digest in after.items() if digest is not None})


def give_second_name(path: Path, second: Path) -> None:
    """`second`, which may exist, becomes a name of the file `path`; a hard link, else the only name."""
    beside = second.with_name(f".{second.name}.linked")
    beside.unlink(missing_ok=True)
    try:
        os.link(path, beside)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        path.replace(second)
        return
    beside.replace(second)
    beside.unlink(missing_ok=True)  # rename does nothing where both are the same file already


def put_in_order(folder: Path, sources: Sequence[str], targets: Sequence[str], drop: Iterable[str]) -> None:
    """The files called `sources` are called `targets` at the end, one by one; other names in `drop` are gone.

    No content is written. With hard links a target that exists is never absent meanwhile; without, a kill
    may leave a file under a name of its own, which begins and ends like that of its target.
    """
    moves = [(source, target) for source, target in zip(sources, targets, strict=True) if source != target]
    gone = sorted({*drop, *(source for source, _ in moves)} - set(targets))
    if not moves and not gone:
        return
    digests = {source: listed_digest(folder / source) for source, _ in moves}
    spare = {target: _free_name(folder, target) for _, target in moves}
    after: dict[str, str | None] = {target: digests[source] for source, target in moves}
    meanwhile = {spare[target]: digests[source] for source, target in moves}
    with renaming(folder, {**after, **dict.fromkeys(gone)}, meanwhile):
        for source, target in moves:
            give_second_name(folder / source, folder / spare[target])
        for _, target in moves:
            (folder / spare[target]).replace(folder / target)
        for name in [*gone, *spare.values()]:
            (folder / name).unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """The manifest lists each file that is there once: which of two digests it has is looked up."""
    listed = read_manifest(folder)
    settled = {name: digests for name, digests in listed.items() if (folder / name).is_file()}
    for name, digests in settled.items():
        if len(digests) > 1:
            now = digest_of(folder / name)
            settled[name] = (now,) if now in digests else digests[-1:]
    if settled != listed:
        _write(folder, settled)


def _write(folder: Path, listed: Mapping[str, tuple[str, ...]]) -> None:
    lines = [f"{digest}  {name}\n" for name in sorted(listed) for digest in listed[name]]
    write_text(folder / MANIFEST, "".join(lines))


def _free_name(folder: Path, target: str) -> str:
    """A name that no file has, alike to `target`."""
    stem, dot, ending = target.partition(".")
    names = (f"{stem}-moving{number}{dot}{ending}" for number in count())
    return next(name for name in names if not (folder / name).exists())
