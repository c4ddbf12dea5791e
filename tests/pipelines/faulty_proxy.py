"""A real HTTP proxy before a real server that does harm on request; a process of its own.

    python tests/pipelines/faulty_proxy.py PORT SERVER_PORT FOLDER

What it does with a request is what FOLDER/mode.txt says when the request comes, as "MODE [N]":

| mode    | what happens                                                                            |
|---------|-----------------------------------------------------------------------------------------|
| pass    | the answer of the server                                                                |
| slow N  | the same, after N seconds                                                               |
| error   | 500, and the server hears nothing                                                       |
| lost N  | the server does what is asked; of N answers one is lost, at random: the connection ends |
| late N  | the same, and one of N answers becomes a 500                                            |
| full    | no file is taken: 413                                                                   |

Each harm done is a line "MODE METHOD PATH" in FOLDER/harm.txt.
"""

import contextlib
import http.client
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


class FaultyProxy(BaseHTTPRequestHandler):
    """One connection; keeps it open between requests as MLflow's client expects."""

    protocol_version = "HTTP/1.1"
    server_port: int
    folder: Path
    chance = random.Random(0)
    writing = threading.Lock()

    def answer(self) -> None:
        """Forward the request, or do what the mode says."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode, _, text = (self.folder / "mode.txt").read_text().strip().partition(" ")
        number = float(text or 1)
        if mode == "slow":
            self._note(mode)
            time.sleep(number)
        if mode == "error":
            self._note(mode)
            self._reply(500, [], b"<html>out of order</html>")
            return
        if mode == "full" and self.command == "PUT":
            self._note(mode)
            self._reply(413, [], b"<html>too large</html>")
            return
        status, headers, content = self._forward(body)
        if mode in ("lost", "late") and self.chance.random() < 1 / number:
            self._note(mode)
            if mode == "lost":
                self.close_connection = True
                return
            status, headers, content = 500, [], b"<html>too late</html>"
        self._reply(status, headers, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the server answers; 502 where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=120)
        sent = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        sent["Host"] = f"127.0.0.1:{self.server_port}"
        sent["Accept-Encoding"] = "identity"
        try:
            connection.request(self.command, self.path, body or None, sent)
            found = connection.getresponse()
            kept = [(name, value) for name, value in found.getheaders() if name.lower() not in HOP_BY_HOP]
            return found.status, kept, found.read()
        except OSError as error:
            return 502, [], str(error).encode()
        finally:
            connection.close()

    def _reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has given up
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def _note(self, mode: str) -> None:
        with self.writing, (self.folder / "harm.txt").open("a") as file:
            file.write(f"{mode} {self.command} {self.path}\n")


def main() -> None:
    """Serve until killed."""
    port, FaultyProxy.server_port, FaultyProxy.folder = (
        int(sys.argv[1]),
        int(sys.argv[2]),
        Path(sys.argv[3]),
    )
    server = ThreadingHTTPServer(("127.0.0.1", port), FaultyProxy)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
