"""Pictures that were paid and named by URL outlive a crash: the URLs are kept as secrets, the next run fetches them."""

from __future__ import annotations

import stat
import sys
from collections import Counter
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from penstock.entries import Intent, Lane, Owed, Settled
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.work import Purpose
from penstock_io.batch.owing import fetch_owed
from penstock_io.journal import Journal

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
SECRET = "signature-4711"
KEYS = (Key("a"), Key("b"))


class Pictures(BaseHTTPRequestHandler):
    """Serves a picture at /a the second time that it is asked, and nothing elsewhere."""

    def do_GET(self) -> None:
        """Only with the signature, and without a credential."""
        assert isinstance(self.server, Moody)
        self.server.asked[self.path] += 1
        if self.server.asked[self.path] == 1:
            self.close_connection = True
            return
        good = self.path == f"/a?sig={SECRET}" and "authorization" not in self.headers
        self.send_response(200 if good else 404)
        self.send_header("content-length", str(len(PNG) if good else 0))
        self.end_headers()
        self.wfile.write(PNG if good else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


class Moody(HTTPServer):
    """Counts what it is asked for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.asked = Counter[str]()
        super().__init__(address, Pictures)


@pytest.fixture
def origin() -> Generator[str]:
    """A server of pictures, which breaks the first try of each off."""
    with Moody(("127.0.0.1", 0)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def owe(folder: Path, origin: str) -> None:
    """A run that was charged 81 for two pictures and died before it had them."""
    with Journal.open(folder) as journal:
        parts, lane = ((JobId(1), (0, 1)),), Lane("k", "m")
        made = Intent(AttemptId(1), CallId(1), Purpose.GENERATE, "op", lane, KEYS, parts, (("run",),), 100, 5.0)
        refs = tuple(journal.payloads.keep_url(f"{origin}/{key}?sig={SECRET}") for key in KEYS)
        journal.append([made, Owed(AttemptId(1), KEYS, refs, None, 81, 3600.0, 6.0)])


def test_the_next_run_fetches_what_is_due(tmp_path: Path, origin: str) -> None:
    """What comes is kept at its share of the charge, what does not is lost and charged; then no URL is left."""
    owe(tmp_path, origin)
    told: list[str] = []
    with Journal.open(tmp_path) as journal:
        assert SECRET not in repr(journal.due())
        assert 1 == fetch_owed(journal, f"{origin}/v1", 100.0, told.append)
        found = journal.look_up(KEYS[0])
        assert found is not None
        assert (41, PNG) == (found[0].cost, journal.payloads.read(found[1]))
        assert None is journal.look_up(KEYS[1])
        assert [KEYS[1]] == [one.key for one in journal.due()]
        journal.resolve(1, AttemptId(1))
        assert ([], 81, 0) == (journal.due(), journal.balances().total.charged, journal.balances().total.maybe)
        assert {KEYS[0]: 41} == journal.account().prices
    assert ["1 picture that a run before had paid and not fetched: downloaded now, 1 other could not be had"] == told
    assert [] == [path.name for path in tmp_path.iterdir() if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("why", ["expired", "elsewhere"])
def test_what_cannot_be_fetched_is_charged_and_lost(tmp_path: Path, origin: str, why: str) -> None:
    """An expired URL, or one of another origin, is not asked for."""
    owe(tmp_path, origin if why == "expired" else "http://127.0.0.1:9")
    with Journal.open(tmp_path) as journal:
        assert 0 == fetch_owed(journal, origin, 3601.0 if why == "expired" else 1.0, lambda _: pytest.fail("told"))
        journal.resolve(1, AttemptId(1))
        assert ([], 81) == (journal.due(), journal.balances().total.charged)


def test_a_url_is_forgotten_with_its_attempt(tmp_path: Path) -> None:
    """What was downloaded in time leaves no URL."""
    owe(tmp_path, "http://127.0.0.1:9")
    with Journal.open(tmp_path) as journal:
        refs = (journal.payloads.keep_url("http://127.0.0.1:9/x"),)
        journal.append([Owed(AttemptId(9), (Key("c"),), refs, None, 5, 3600.0, 6.0)])
        journal.append([Settled(AttemptId(9), (Key("c"),), (Ref(""),), None, 5, 7.0)])
        assert 0 == journal._db.execute("SELECT count(*) FROM due WHERE attempt = 9").fetchone()[0]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are Unix's")
def test_only_its_owner_reads_the_database(tmp_path: Path) -> None:
    """The database and its log are of mode 0600, and the mirror holds no URL."""
    owe(tmp_path, "http://127.0.0.1:9")
    with Journal.open(tmp_path):
        for name in ("journal.sqlite", "journal.sqlite-wal"):
            assert 0o600 == stat.S_IMODE((tmp_path / name).stat().st_mode)
        assert SECRET.encode() not in (tmp_path / "journal.mirror").read_bytes()
