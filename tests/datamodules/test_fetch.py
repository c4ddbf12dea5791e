"""Downloads are whole, proved, resumed, and refused with the way out when there is no network."""

import hashlib
import io
import logging
import multiprocessing
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from datamodules.errors import InputError
from datamodules.fetch import MIRROR, fetch, fetch_unpacked

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = "https://example.org/about"


@dataclass
class Publisher:
    """A server of one file; it notes the ranges asked for and can break off or answer with errors."""

    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    break_off_at: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)
    elsewhere: str | None = None
    content: bytes = CONTENT


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    publisher = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            publisher.ranges.append(wanted)
            publisher.paths.append(self.path)
            publisher.logins.append(self.headers.get("Authorization"))
            if publisher.elsewhere and not self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", publisher.elsewhere)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if publisher.errors:
                self.send_error(publisher.errors.pop(0))
                return
            first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            body = publisher.content[first:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: publisher.break_off_at.pop(0)] if publisher.break_off_at else body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the test reads `ranges` and `paths`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    publisher.url = f"http://127.0.0.1:{server.server_port}/data/air.nc?version=1"
    yield publisher
    server.shutdown()
    server.server_close()
    thread.join()


def get(publisher: Publisher, target: Path, sha256: str | None = SHA256) -> Path:
    return fetch(publisher.url, target, sha256=sha256, source_page=PAGE, pause=0.01)


def test_a_download_is_whole_and_leaves_no_part(publisher: Publisher, tmp_path: Path) -> None:
    target = get(publisher, tmp_path / "deep" / "air.nc")
    assert target.read_bytes() == CONTENT
    assert sorted(path.name for path in target.parent.iterdir()) == [
        ".air.nc.lock",
        ".air.nc.sha256",
        "air.nc",
    ]


def test_a_file_that_is_there_is_not_asked_for_again(publisher: Publisher, tmp_path: Path) -> None:
    for _ in range(2):
        get(publisher, tmp_path / "air.nc")
    assert len(publisher.ranges) == 1


def test_a_file_with_another_hash_is_refused_and_kept(publisher: Publisher, tmp_path: Path) -> None:
    target = tmp_path / "air.nc"
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"expected .*data\.path"):
        get(publisher, target)
    assert target.read_bytes() == b"mine"


def test_a_file_changed_after_it_was_checked_is_checked_again(publisher: Publisher, tmp_path: Path) -> None:
    target = get(publisher, tmp_path / "air.nc")
    target.write_bytes(b"cut")
    with pytest.raises(InputError, match="sha256"):
        get(publisher, target)


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(publisher: Publisher, tmp_path: Path) -> None:
    publisher.break_off_at = [1000, 500]
    assert get(publisher, tmp_path / "air.nc").read_bytes() == CONTENT
    assert publisher.ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_a_part_left_by_an_earlier_call_is_used(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "air.nc.part").write_bytes(CONTENT[:700])
    assert get(publisher, tmp_path / "air.nc").read_bytes() == CONTENT
    assert publisher.ranges == ["bytes=700-"]


def test_a_part_that_no_hash_can_prove_is_not_used(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "air.nc.part").write_bytes(b"of another version")
    assert get(publisher, tmp_path / "air.nc", sha256=None).read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_kept(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was kept"):
        get(publisher, tmp_path / "air.nc", sha256="0" * 64)
    assert [path.name for path in tmp_path.iterdir()] == [".air.nc.lock"]


def test_a_passing_error_is_tried_again_and_a_refusal_is_not(publisher: Publisher, tmp_path: Path) -> None:
    publisher.errors = [503]
    get(publisher, tmp_path / "air.nc")
    assert len(publisher.ranges) == 2
    publisher.errors = [404]
    with pytest.raises(InputError, match="404"):
        get(publisher, tmp_path / "other.nc")
    assert len(publisher.ranges) == 3


def test_a_mirror_stands_in_for_the_host(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, publisher.url.split("/data/")[0] + "/copy/")
    fetch("https://example.org/data/air.nc?version=1", tmp_path / "air.nc", sha256=SHA256, source_page=PAGE)
    assert publisher.paths == ["/copy/data/air.nc?version=1"]


def test_without_a_network_the_message_tells_what_to_do_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url, target = f"http://127.0.0.1:{port}/air.nc", tmp_path / "air.nc"
    began = time.monotonic()
    with pytest.raises(InputError) as refusal:
        fetch(url, target, sha256=SHA256, source_page=PAGE)
    assert time.monotonic() - began < 3.5
    for part in ("air.nc", PAGE, url, str(target), "data.path"):
        assert part in str(refusal.value)


def test_a_login_in_the_address_is_sent_to_its_host_alone_and_never_told(
    publisher: Publisher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = publisher.url.replace("http://", "http://me:hun%20ter2@")
    publisher.errors = [503]
    assert fetch(url, tmp_path / "a.nc", sha256=SHA256, source_page=PAGE, pause=0.01).read_bytes() == CONTENT
    assert publisher.logins == ["Basic bWU6aHVuIHRlcjI="] * 2
    publisher.elsewhere = publisher.url.replace("/data/", "/moved/")
    fetch(url, tmp_path / "b.nc", sha256=SHA256, source_page=PAGE)
    assert publisher.logins[2:] == ["Basic bWU6aHVuIHRlcjI=", None], "a redirect gets no login"
    publisher.elsewhere, publisher.errors = None, [404]
    with pytest.raises(InputError, match="404") as refusal:
        fetch(f"{url}&token=abcdef", tmp_path / "c.nc", sha256=None, source_page=PAGE)
    told = caplog.text + str(refusal.value)
    assert "downloading" in told
    assert not [secret for secret in ("ter2", "me:", "abcdef") if secret in told]


def test_processes_that_ask_at_once_download_once(publisher: Publisher, tmp_path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    ask = {"sha256": SHA256, "source_page": PAGE}
    ranks = [
        fork.Process(target=fetch, args=(publisher.url, tmp_path / "air.nc"), kwargs=ask) for _ in range(3)
    ]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join(60)
    assert [one.exitcode for one in ranks] == [0, 0, 0]
    assert publisher.ranges == [None]


def test_an_archive_becomes_the_folder_that_it_holds_and_is_not_kept(
    publisher: Publisher, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("clips/a.mp4", b"aaaa")
    publisher.content = packed.getvalue()
    url = publisher.url.replace("air.nc", "clips.zip")
    digest = hashlib.sha256(publisher.content).hexdigest()
    for _ in range(2):
        folder = fetch_unpacked(url, tmp_path / "data", sha256=digest, source_page=PAGE)
        assert (folder / "a.mp4").read_bytes() == b"aaaa"
    assert len(publisher.ranges) == 1
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["data"]
