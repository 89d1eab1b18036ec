"""A server on loopback that says the same to everything, and remembers what it heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from attrs import define, field


@define
class Heard:
    """What a server heard: path with query, headers in lower case, body."""

    path: str
    headers: dict[str, str]
    body: bytes


@define
class Scripted:
    """A server that says `answer` to everything and remembers what it heard."""

    answer: object
    status: int = 200
    heard: list[Heard] = field(factory=list[Heard])
    origin: str = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Who answers."""
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.heard.append(Heard(self.path, headers, body))
                said = json.dumps(script.answer).encode()
                self.send_response(script.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Nothing is printed."""

        return Handler


@contextmanager
def scripted(answer: object, status: int = 200) -> Iterator[Scripted]:
    """Such a server on a port of its own."""
    script = Scripted(answer, status)
    server = ThreadingHTTPServer(("127.0.0.1", 0), script.handler())
    server.daemon_threads = True
    script.origin = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
