"""An image server of another make: speaks OpenAI's dialect over HTTP, and knows nothing of penstock.

A witness for acceptance. It is built on the standard library's `http.server`, one thread a connection; what it answers
is decided in `witness.py`.

>>> with other_server("key-1") as witness:
...     witness.base_url.startswith("http://127.0.0.1:")
True
"""

from __future__ import annotations

import gzip
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from struct import pack
from urllib.parse import unquote

from tests.acceptance.witness import HTML, Answer, Fault, Habits, Witness, refusal


class Handler(BaseHTTPRequestHandler):
    """Writes what the witness decided."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    @property
    def witness(self) -> Witness:
        """Who decides."""
        assert isinstance(self.server, Listener)
        return self.server.witness

    def do_GET(self) -> None:
        """Serve the pictures that were answered by URL."""
        name = unquote(self.path.partition("?")[0].removeprefix("/files/"))
        data = self.witness.file(name)
        if self.headers.get("Authorization"):
            self.witness.leaks.append(name)
        self._write(Answer(404, b"<h1>Not Found</h1>", HTML) if data is None else Answer(200, data))

    def do_POST(self) -> None:
        """Serve the API."""
        witness = self.witness
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        witness.headers.append({name.lower(): value for name, value in self.headers.items()})
        key = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.path == "/v1/images/generations":
            self._write(witness.generate(key, raw))
        elif self.path == "/images/generations":
            self._write(refusal(404, "Invalid URL (POST /images/generations)"))
        else:
            self._write(Answer(404, b"<html><center><h1>404 Not Found</h1></center><hr>nginx</html>", HTML))

    def _write(self, answer: Answer) -> None:
        if answer.cut == "start":
            self._reset()
            return
        habits, body, headers = self.witness.habits, answer.body, dict(answer.headers)
        if habits.zipped and "gzip" in (self.headers.get("Accept-Encoding") or ""):
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        if habits.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body))
        if habits.closes:
            headers["Connection"] = "close"
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name.upper() if habits.shouting else name, value)
        self.end_headers()
        parts = list(chunks(body)) if habits.chunked else [body]
        if answer.cut:
            self.wfile.write(parts[0][: len(parts[0]) // 2])
            self.wfile.flush()
            self._reset()
            return
        for part in parts:
            self.wfile.write(part)
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection so that the other side is told it was reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives it
        """Say nothing."""


class Listener(ThreadingHTTPServer):
    """Listens on loopback; what goes wrong in the witness itself is kept, not printed."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep what is not merely a client that left."""
        del request, client_address
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.witness.trouble.append(error)


def chunks(body: bytes) -> Iterator[bytes]:
    """A body in chunks of odd lengths."""
    for start in range(0, len(body), 777):
        part = body[start : start + 777]
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"
    yield b"0\r\n\r\n"


@contextmanager
def other_server(*keys: str, habits: Habits | None = None, faults: dict[str, Fault] | None = None) -> Iterator[Witness]:
    """Serve on a free port of loopback until the block is left; a fault of the server itself is raised then."""
    witness = Witness(*keys, habits=habits, faults=faults)
    listener = Listener(witness)
    witness.base_url = f"http://127.0.0.1:{listener.server_address[1]}/v1"
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        witness.closing.set()
        witness.answering.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
    if witness.trouble:
        raise witness.trouble[0]
