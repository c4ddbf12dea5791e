"""Secrets reach no log, no message, no MLflow and no provenance: every byte that a run leaves is searched."""

import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.console import attach_log, record
from pipelines.redact import HIDDEN, known_secrets, masked, split_login, without_secrets
from tests.pipelines.small_files import close_logs, start, steps_of, words, write_maps

PATIENCE = 240.0
SECRETS = {
    "login": "Zw7-login-word",
    "MLFLOW_TRACKING_TOKEN": "Zw7-mlflow-token",
    "AWS_SECRET_ACCESS_KEY": "Zw7/aws+secret",
    "AWS_SESSION_TOKEN": "Zw7-aws-session",
    "HF_TOKEN": "Zw7-hf-token",
    "DATABRICKS_TOKEN": "Zw7-databricks",
    "download": "Zw7-download-word",
    "query": "Zw7-signature",
    "HTTPS_PROXY": "http://me:Zw7-proxy-word@127.0.0.1:9",
}
MARK = "Zw7"
"""In every secret: what is searched for."""


@dataclass(frozen=True)
class Left:
    """A tiny run with secrets all around it: its folder, and what it said."""

    folder: Path
    said: str


def dead_port() -> int:
    """A port at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environment() -> dict[str, str]:
    return {name: value for name, value in SECRETS.items() if name.isupper()}


def trained(folder: Path, *more: str) -> tuple[int, str]:
    """Exit status and all that a train with --debug says."""
    write_maps(folder / "air.nc", steps_of(120))
    download = f"https://me:{SECRETS['download']}@example.org/air.nc?X-Amz-Signature={SECRETS['query']}"
    call = words(folder, "trainer.max_epochs=1", "data.download.page=https://example.org", "--debug", *more)
    with start("train", *call, f'data.download.url="{download}"', **environment()) as process:
        try:
            out, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, out + said


@pytest.fixture(scope="module", params=["server", "database"])
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Tracked on a server that is away, its login in the address; and tracked in a database."""
    folder = tmp_path_factory.mktemp(request.param)
    uri = f"tracking.uri=http://me:{SECRETS['login']}@127.0.0.1:{dead_port()}"
    more = (uri, "tracking.timeout=2") if request.param == "server" else ()
    status, said = trained(folder, *more)
    assert status == 0, said
    yield Left(folder, said)
    (folder / "air.nc").unlink()


def traces(folder: Path) -> list[str]:
    """The files below a folder that hold a secret, in themselves or packed in a database."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        text = path.read_bytes()
        if path.suffix == ".db":
            with sqlite3.connect(path) as database:
                text += "\n".join(database.iterdump()).encode()
            database.close()
        if MARK.encode() in text:
            found.append(str(path.relative_to(folder)))
    return found


def test_no_file_of_a_run_and_no_word_of_it_holds_a_secret(left: Left) -> None:
    assert (left.folder / "runs" / "tiny" / "a" / "metrics.json").is_file()
    assert traces(left.folder) == []
    assert MARK not in left.said


def test_the_address_is_told_without_its_login(left: Left) -> None:
    if (left.folder / "runs" / "mlflow.db").exists():
        pytest.skip("a database has no login")
    assert "http://127.0.0.1:" in left.said
    command = (left.folder / "runs" / "tiny" / "a" / "provenance.json").read_text()
    assert f"tracking.uri=http://{HIDDEN}@127.0.0.1" in command


def test_an_address_that_is_refused_is_shown_without_its_password(tmp_path: Path) -> None:
    status, said = trained(tmp_path, f"tracking.uri=postgresql://me:{SECRETS['login']}@host/db")
    assert status == 2
    assert "tracking.uri" in said
    assert MARK not in said


def test_errors_with_their_traceback_lose_secrets_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    attach_log(tmp_path / "log.txt")
    try:
        logging.getLogger("pipelines").error("asked %s", f"http://me:{SECRETS['login']}@host/a")
        try:
            raise RuntimeError(f"no answer to {SECRETS['HF_TOKEN']} of {SECRETS['AWS_SECRET_ACCESS_KEY']}")
        except RuntimeError as error:
            record("it failed", error)
    finally:
        close_logs()
    text = (tmp_path / "log.txt").read_text()
    assert f"asked http://{HIDDEN}@host/a" in text
    assert f"RuntimeError: no answer to {HIDDEN} of {HIDDEN}" in text
    assert MARK not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:p@ss@host/x", "http://***@host/x"),
        ("http://me:p/ss@host/x", "http://***@host/x"),
        ("('http://me:pass@host', 1)", "('http://***@host', 1)"),
        ("http://a:b@c and s3://d:e@f", "http://***@c and s3://***@f"),
        ("https://h/?X-Amz-Credential=a%2Fb&x=1", "https://h/?X-Amz-Credential=***&x=1"),
        ("Authorization: Basic bWU6cGFzcw==", "Authorization: Basic ***"),
        ("'Authorization': 'Bearer abcdefgh'", "'Authorization': 'Bearer ***'"),
        ("see http://host:80/path or me@host", "see http://host:80/path or me@host"),
        ("basic training of the bearer", "basic training of the bearer"),
    ],
)
def test_texts_lose_what_looks_like_a_secret_and_nothing_else(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_the_environment_tells_its_secrets_as_written_and_as_in_an_address() -> None:
    around = {"HF_TOKEN": "abc def@g", "PGPASSWORD": "letmein", "X_TOKEN": "on", "LANG": "en_US.UTF-8"}
    around["DATABASE_URL"] = "postgresql://me:p%40ssword@host/db"
    found = known_secrets(around)
    assert set(found) == {"abc def@g", "abc%20def%40g", "letmein", "p@ssword", "p%40ssword"}
    assert masked("abc%20def%40g p@ssword on en_US.UTF-8 letmein", around) == "*** *** on en_US.UTF-8 ***"


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("http://me:p%40ss@host:5000/a@b", ("http://host:5000/a@b", "me", "p@ss")),
        ("http://host:5000", ("http://host:5000", None, None)),
        (f"http://{HIDDEN}@host:5000", ("http://host:5000", None, None)),
        ("sqlite:////tmp/a@b.db", ("sqlite:////tmp/a@b.db", None, None)),
    ],
)
def test_a_login_is_taken_out_of_an_address(uri: str, parts: tuple[str, str | None, str | None]) -> None:
    assert split_login(uri) == parts


def test_folders_and_paths_of_secrets_are_none(tmp_path: Path) -> None:
    around = {"PWD": "/srv/skyreel", "OLDPWD": "/srv/older", "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path)}
    assert known_secrets(around) == []
    assert known_secrets({"AWS_SECRET_ACCESS_KEY": "/not/a/place"})
    assert str(Path.cwd()) not in known_secrets(os.environ)
