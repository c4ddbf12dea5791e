"""Published files, downloaded once, proved by their hash, and never half there."""

import base64
import hashlib
import http.client
import logging
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import unquote, urlsplit

from datamodules.archives import unpack
from datamodules.errors import InputError
from datamodules.locking import alone

log = logging.getLogger(__name__)

MIRROR = "SKYREEL_MIRROR"
"""Environment variable: a base URL that replaces scheme and host of every download (a mirror at home)."""

_BLOCK = 1 << 18
_REACH_SECONDS = 2.0
_STALL_SECONDS = 30.0
_ATTEMPTS = 4


class _BrokenOffError(Exception):
    """The transfer stopped early; what has arrived is kept, and another attempt may go on."""


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    source_page: str,
    size_hint: str = "",
    pause: float = 1.0,
) -> Path:
    """`target`, whole and with the expected hash; downloaded when it is not there.

    A file that is there is hashed once (a marker beside it remembers the hash, the size and the time of
    change). A download goes into `<target>.part`, goes on where it broke off when the hash can prove the
    result, and is renamed at the end. Of several processes that ask at once one does the work, and the others
    wait. A login in the address is sent, and never told. Where the environment names a SKYREEL_MIRROR, the
    file comes from that base URL followed by the path of `url`.

    sha256: hex digest, or None when the publisher keeps changing the file.
    source_page: where a person finds the file. size_hint: e.g. "90 MB", told before it starts.
    pause: seconds before the second attempt; twice as long before each further one.
    InputError without a network (after some 2 seconds), when the server refuses, and on a wrong hash; the
    message says where to get the file and where to put it.
    """
    if target.is_file() and (sha256 is None or _is_proved(target, sha256)):
        return target
    read_only = target.is_file() and not os.access(target.parent, os.W_OK)
    lock = target.with_name(f".{target.name}.lock")
    with nullcontext() if read_only else alone(lock, f"brings {target}", "data.path"):
        if not target.is_file():
            _bring(url, target, sha256, source_page, size_hint, pause)
        elif sha256 is not None:
            _check(target, sha256, source_page)
    return target


def fetch_unpacked(url: str, folder: Path, *, sha256: str | None, source_page: str) -> Path:
    """`folder`, holding what the archive at `url` holds (see `archives.unpack`); fetched when absent.

    The archive is not kept. InputError as `fetch` and `unpack`.
    """
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    with alone(folder.with_name(f".{folder.name}.lock"), f"brings {folder}", "data.path"):
        if folder.is_dir():
            return folder
        archive = fetch(url, folder.with_name(name), sha256=sha256, source_page=source_page)
        unpack(archive, folder)
        for path in (archive, _marker(archive)):
            path.unlink(missing_ok=True)
    return folder


def _bring(
    url: str, target: Path, sha256: str | None, source_page: str, size_hint: str, pause: float
) -> None:
    """Download `target` and prove it; see `fetch`."""
    address = _mirrored(url)
    by_hand = (
        f"Get it by hand from {source_page} ({_shown(url)}), place it at {target}, or let data.path name "
        "the place where it lies."
    )
    shown = _shown(address)
    if urlsplit(address).scheme not in ("http", "https"):
        raise InputError(f"{shown}: only http and https are downloaded. {by_hand}")
    if not _reachable(address):
        raise InputError(
            f"{target.name} is not at {target}, and {urlsplit(shown).netloc} cannot be reached. {by_hand}"
        )
    part = target.with_name(target.name + ".part")
    if sha256 is None:
        part.unlink(missing_ok=True)  # nothing could prove that old and new halves belong together
    log.info("downloading %s from %s%s", target.name, shown, f" ({size_hint})" if size_hint else "")
    _download(address, part, by_hand, pause)
    if sha256 is not None:
        found = _digest(part)
        if found != sha256.lower():
            part.unlink()
            raise InputError(
                f"{target.name} from {shown} has sha256 {found}, expected {sha256}: the published file has "
                f"changed or was damaged on the way; nothing was kept. {by_hand}"
            )
        part.replace(target)
        _mark(target, found)
    else:
        part.replace(target)


def _download(address: str, part: Path, by_hand: str, pause: float) -> None:
    shown = _shown(address)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive(address, part)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and attempt < _ATTEMPTS:  # the kept part does not fit what is there now
                part.unlink(missing_ok=True)
                continue
            if error.code < 500 or attempt == _ATTEMPTS:
                raise InputError(
                    f"{shown}: the server answers {error.code} {error.reason}. {by_hand}"
                ) from None
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException, _BrokenOffError) as error:
            reason = str(error) or type(error).__name__
            if attempt == _ATTEMPTS:
                raise InputError(
                    f"{shown}: the download broke off {_ATTEMPTS} times ({reason}). {by_hand}"
                ) from error
        log.warning("%s: %s; attempt %d of %d follows", shown, reason, attempt + 1, _ATTEMPTS)
        time.sleep(pause * 2 ** (attempt - 1))


def _receive(address: str, part: Path) -> None:
    """Append to `part` what it still lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = _request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=_STALL_SECONDS) as response:
        if response.status != 206:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        told = time.monotonic()
        with part.open("ab" if have else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                have += len(block)
                if time.monotonic() - told > 5.0:
                    told = time.monotonic()
                    of_all = f" of {total / 1e6:.1f}" if total else ""
                    log.info("%s: %.1f%s MB", part.stem, have / 1e6, of_all)
        if total is not None and have < total:
            raise _BrokenOffError(f"{have} of {total} bytes arrived")


def _request(address: str) -> urllib.request.Request:
    """What to ask for; a login in the address goes into a header, which no redirect passes on."""
    parts = urlsplit(address)
    login, mark, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl(), headers={"User-Agent": "skyreel"})
    if mark:
        code = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {code}")
    return request


def _shown(address: str) -> str:
    """The address as messages show it: without a login, and without its query, which may hold a token."""
    parts = urlsplit(address)
    query = "..." if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


def _mirrored(url: str) -> str:
    mirror = os.environ.get(MIRROR, "").rstrip("/")
    if not mirror:
        return url
    parts = urlsplit(url)
    return mirror + parts.path + (f"?{parts.query}" if parts.query else "")


def _reachable(address: str) -> bool:
    """Whether the host (or the proxy on the way) takes a connection within _REACH_SECONDS."""
    parts = urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and parts.hostname and not urllib.request.proxy_bypass(parts.hostname):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}", scheme="http")
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    answers: list[bool] = []

    def knock() -> None:
        try:
            socket.create_connection((host, port), timeout=_REACH_SECONDS).close()
            answers.append(True)
        except OSError as error:
            log.debug("%s:%d: %s", host, port, error)

    # in a thread, because looking a name up without a network may hang far longer than a connection
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(_REACH_SECONDS + 0.5)
    return bool(answers)


def _is_proved(target: Path, sha256: str) -> bool:
    """Whether the marker says that this very file has the hash."""
    marker = _marker(target)
    return marker.is_file() and marker.read_text() == _proof(target, sha256.lower())


def _check(target: Path, sha256: str, source_page: str) -> None:
    if _is_proved(target, sha256):
        return
    found = _digest(target)
    if found != sha256.lower():
        raise InputError(
            f"{target} has sha256 {found}, expected {sha256}: it is damaged, cut or another version. "
            f"Remove it to download it again, or get it from {source_page}; to use your own file instead, "
            "give its place as data.path and set data.download=null"
        )
    _mark(target, found)


def _mark(target: Path, digest: str) -> None:
    """Remember the hash of `target`; a folder that is read-only is hashed again next time."""
    marker = _marker(target)
    part = marker.with_name(f"{marker.name}.{os.getpid()}")
    try:
        part.write_text(_proof(target, digest))
        part.replace(marker)
    except OSError as error:
        log.debug("%s cannot be written: %s", marker, error)


def _marker(target: Path) -> Path:
    return target.with_name(f".{target.name}.sha256")


def _proof(target: Path, digest: str) -> str:
    status = target.stat()
    return f"{digest} {status.st_size} {status.st_mtime_ns}\n"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
