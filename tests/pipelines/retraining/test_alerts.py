"""A decision reaches a command, a file and a webhook; none of them holds a shot up or tells a secret."""

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from pipelines.retraining import webhook
from pipelines.retraining.alerts import AlertOptions, Sent, send
from pipelines.retraining.ledger_file import as_text
from tests.pipelines.retraining.decisions import decision

SECRET = "T0000-B0000-s3cr3tpath"


class Server(ThreadingHTTPServer):
    """Answers each POST with the next of `answers`, then 200, and keeps what came."""

    def __init__(self, *answers: int, drip: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.drip = list(answers), drip
        self.got: list[Any] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))
        self.server.paths.append(self.path)
        for letter in b"HTTP/1.1 200 OK\r\n" if self.server.drip else b"":
            self.wfile.write(bytes([letter]))
            time.sleep(self.server.drip)
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


def serving(server: Server) -> Server:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        yield serving(found)
        found.shutdown()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PAUSE", 0.05)


def alert(kind: str, **more: Any) -> AlertOptions:
    return AlertOptions.model_validate({"kind": kind, **more})


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_a_command_gets_the_decision_in_its_environment_and_on_its_input(tmp_path: Path) -> None:
    code = (
        "import json, os, sys; told = json.load(sys.stdin);"
        "told['environment'] = {k: v for k, v in os.environ.items() if k.startswith('SKYREEL_')};"
        "json.dump(told, open(sys.argv[1], 'w'))"
    )
    target = tmp_path / "a file; with spaces $HOME"
    one = decision(4, champion=2, challenger=3, reason="better; $(touch x) `touch y`", verdict={"cases": 9})
    assert send([alert("command", command=python(code, str(target)))], one) == [Sent("command", True)]
    told = json.loads(target.read_text())
    assert (told["outcome"], told["challenger"], told["decision"]["verdict"]) == ("promoted", 3, {"cases": 9})
    assert told["environment"]["SKYREEL_REASON"] == one.reason
    assert told["environment"]["SKYREEL_CHAMPION"] == "2"
    assert told["environment"]["SKYREEL_FORMER"] == ""
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_file_gets_a_line_for_each_decision(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "alerts.jsonl"
    one = alert("file", path=str(path), when=["promoted", "refused"])
    for shot, outcome in enumerate(["promoted", "nothing", "refused", "failed"]):
        send([one], decision(shot, outcome))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["shot"], line["outcome"]) for line in lines] == [(0, "promoted"), (2, "refused")]
    assert lines[0]["text"] == "weather, shot 0: promoted: better by 3 %"


def test_a_webhook_gets_json_after_faults_that_pass(server: Server) -> None:
    server.answers += [503, 429]
    assert send([alert("webhook", url=server.url)], decision(1)) == [Sent("webhook", True)]
    assert [one["outcome"] for one in server.got] == ["promoted"] * 3


def test_a_webhook_is_not_tried_again_where_that_is_no_use(server: Server) -> None:
    for status in (404, 302):
        server.got.clear()
        server.answers.append(status)
        (sent,) = send([alert("webhook", url=server.url, tries=5)], decision(1))
        assert not sent.ok
        assert f"answered {status}" in sent.told
        assert len(server.got) == 1


def test_the_address_comes_from_the_environment_and_is_told_to_nobody(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ALERT_URL", server.url)
    server.answers += [200, 500, 500, 500]
    one = alert("webhook", url="${ALERT_URL}")
    assert send([one], decision(1))[0].ok
    assert server.paths == [f"/{SECRET}"]
    found = send([one], decision(2))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ALERT_URL", f"http://127.0.0.1:{free.getsockname()[1]}/{SECRET}?token={SECRET}")
        found += send([one], decision(3))
    monkeypatch.setenv("ALERT_URL", f"http://[{SECRET}/")
    found += send([one], decision(4))
    monkeypatch.setenv("ALERT_URL", f"ftp://{SECRET}")
    found += send([one], decision(5))
    monkeypatch.delenv("ALERT_URL")
    found += send([one], decision(6))
    assert [sent.ok for sent in found] == [False] * 5
    assert SECRET not in caplog.text + repr(found)
    assert "the environment has no ALERT_URL" in found[-1].told


def test_secrets_in_a_reason_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "hunter2hunter2")
    path = tmp_path / "alerts.jsonl"
    send(
        [alert("file", path=str(path))],
        decision(1, "failed", reason="login hunter2hunter2 at http://a:pw@h/"),
    )
    assert "hunter2" not in path.read_text()
    assert "pw@" not in path.read_text()


def test_a_server_that_answers_drop_by_drop_or_never_holds_nobody_up() -> None:
    with Server(drip=0.4) as slow, socket.socket() as silent:
        serving(slow)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        for url in (slow.url, f"http://127.0.0.1:{silent.getsockname()[1]}/"):
            (sent,) = send([alert("webhook", url=url, seconds=0.5)], decision(1))
            assert not sent.ok
        assert time.monotonic() - started < 10
        slow.shutdown()


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(600)"
    )
    path = tmp_path / "pids"
    (sent,) = send([alert("command", command=python(code, str(path)), seconds=3)], decision(1))
    assert "longer than seconds, 3" in sent.told
    until = time.monotonic() + 60
    for pid in map(int, path.read_text().split()):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie":
            assert time.monotonic() < until
            time.sleep(0.05)


def test_alerts_that_fail_are_told_and_the_others_are_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = tmp_path / "alerts.jsonl"
    (tmp_path / "folder").mkdir()
    alerts = [
        alert("command", command=["/no/such/program"]),
        alert("command", command=python("import sys; sys.exit('no connection')")),
        alert("file", path=str(tmp_path / "folder")),
        alert("file", path=str(good)),
    ]
    found = send(alerts, decision(1))
    assert [sent.ok for sent in found] == [False, False, False, True]
    assert "no connection" in found[1].told
    assert caplog.text.count("was not delivered") == 3
    assert len(good.read_text().splitlines()) == 1


def test_an_alert_names_one_target_of_its_kind() -> None:
    for wrong in (
        {"kind": "file"},
        {"kind": "file", "url": "http://a"},
        {"kind": "webhook", "url": "ftp://a"},
        {"kind": "command", "command": []},
        {"kind": "command", "command": ["a"], "path": "b"},
        {"kind": "file", "path": "a", "when": ["lost"]},
        {"kind": "file", "path": "a", "when": []},
    ):
        with pytest.raises(ValidationError):
            AlertOptions.model_validate(wrong)
    assert os.environ.get("ALERT_URL") is None


def test_a_pipe_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (told,) = send([alert("file", path=str(tmp_path / "pipe"))], decision(1, "failed"))
    assert not told.ok


def test_an_address_that_cannot_be_used_is_told_to_nobody() -> None:
    (told,) = send(
        [alert("webhook", url="https://me:hidden2word@host/hook", seconds=5)], decision(1, "failed")
    )
    assert not told.ok
    assert "hidden2word" not in told.told


def test_names_that_are_no_utf8_are_told_as_escapes(tmp_path: Path) -> None:
    odd = replace(decision(1, "failed"), reason="cannot read " + os.fsdecode(b"\xff2.nc"))
    (told,) = send([alert("file", path=str(tmp_path / "told.jsonl"))], odd)
    assert told.ok, told.told
    assert "udcff2.nc" in (tmp_path / "told.jsonl").read_text(encoding="utf-8")
    assert as_text({"reason": odd.reason}).encode()
