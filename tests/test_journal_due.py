"""Pictures that were paid and named by URL outlive a crash: the URLs are kept as secrets, the next run fetches them."""

from __future__ import annotations

import stat
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from penstock.entries import Intent, Lane, Owed, Published, Settled
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.work import Purpose
from penstock_io._owing import AT_A_TIME, VAIN, fetch_due
from penstock_io.batch.folder import give_up
from penstock_io.batch.owing import fetch_owed
from penstock_io.journal import Journal

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
SECRET = "signature-4711"
REVISED = "a red fox, in oil"
KEYS = (Key("a"), Key("b"))
FAR = 4e9
"""An end that no test lives to see."""


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
def server() -> Generator[Moody]:
    """A server of pictures, which breaks the first try of each off."""
    with Moody(("127.0.0.1", 0)) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def origin(server: Moody) -> str:
    """Where it is."""
    return f"http://127.0.0.1:{server.server_port}"


def owe(folder: Path, origin: str, *, ends: float = 3600.0, settled: Sequence[Ref] = ()) -> None:
    """A run that was charged 81 for two pictures and died before it had them, or had but those of `settled`."""
    with Journal.open(folder) as journal:
        parts, lane = ((JobId(1), (0, 1)),), Lane("k", "m")
        made = Intent(AttemptId(1), CallId(1), Purpose.GENERATE, "op", lane, KEYS, parts, (("run",),), 100, 5.0)
        refs = tuple(journal.payloads.keep_url(f"{origin}/{key}?sig={SECRET}") for key in KEYS)
        journal.payloads.annotate(refs[0], REVISED)
        journal.append([made, Owed(AttemptId(1), KEYS, refs, None, 81, ends, 6.0)])
        if settled:
            journal.append([Settled(AttemptId(1), KEYS, tuple(settled), None, 81, 7.0)])


def test_the_next_run_fetches_what_is_due(tmp_path: Path, origin: str) -> None:
    """What comes is kept at its share of the charge, what does not is due until it is given up; then no URL is left."""
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
    first, second = told
    assert "1 picture that a run before had paid and not fetched: downloaded now" == first
    assert second.startswith("1 picture paid and not to be had now, and not bought again: ")
    assert second.endswith("until 01:00 UTC")
    assert [] == [path.name for path in tmp_path.iterdir() if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("why", ["expired", "elsewhere"])
def test_what_cannot_be_fetched_is_charged(tmp_path: Path, origin: str, why: str) -> None:
    """An expired URL, or somebody else's, is not asked for; only what expired is lost, and nobody finds a URL."""
    owe(tmp_path, origin if why == "expired" else "http://127.0.0.1:9")
    now, told = (3601.0 if why == "expired" else 1.0), list[str]()
    with Journal.open(tmp_path) as journal:
        assert 0 == fetch_owed(journal, origin, now, told.append)
        assert (1 if why == "elsewhere" else 0) == len(told)
        assert (2 if why == "expired" else 0) == give_up(journal, now, ())
        assert (0 if why == "expired" else 2) == len(journal.due())
        assert (81, 0) == (journal.balances().total.charged, journal.balances().total.maybe)
        assert frozenset(KEYS) == journal.account().lost


def test_what_a_run_could_not_download_stays_due(tmp_path: Path, origin: str) -> None:
    """A settlement that lacks a picture leaves its URL; fetched later, the attempt has lost nothing."""
    owe(tmp_path, origin, ends=FAR, settled=[Ref(""), Ref("")])
    with Journal.open(tmp_path) as journal:
        assert (dict.fromkeys(KEYS, FAR), frozenset[Key]()) == (journal.account().due, journal.account().lost)
        assert 1 == fetch_owed(journal, origin, 8.0, lambda _: None)
        assert {KEYS[1]: FAR} == journal.account().due
        assert 0 == give_up(journal, 9.0, [KEYS[0]])
        assert 1 == give_up(journal, 9.0, [KEYS[1]])
        assert ({}, frozenset(KEYS[1:])) == (dict(journal.account().due), journal.account().lost)
        assert (81, 0) == (journal.balances().total.charged, journal.balances().total.maybe)
        assert [] == journal.orphans()


def test_what_was_downloaded_or_has_expired_leaves_no_url(tmp_path: Path) -> None:
    """The URL goes with the settlement that has its picture, or that comes too late for another try."""
    owe(tmp_path, "http://127.0.0.1:9")
    with Journal.open(tmp_path) as journal:
        refs = tuple(journal.payloads.keep_url(f"http://127.0.0.1:9/{name}") for name in "cd")
        for attempt, ends, kept in ((8, 3600.0, "d"), (9, 6.5, "")):
            keys = (Key("c"), Key("d"))
            journal.append([Owed(AttemptId(attempt), keys, refs, None, 5, ends, 6.0)])
            came = journal.payloads.keep(PNG)
            journal.append([Settled(AttemptId(attempt), keys, (came, Ref("")), None, 5, 7.0)])
            left = journal._db.execute("SELECT key FROM due WHERE attempt = ?", (attempt,)).fetchall()
            assert [(name,) for name in kept] == left


def test_what_the_provider_made_of_the_prompt_comes_along(tmp_path: Path, origin: str) -> None:
    """The words beside a URL are beside its picture, in the run that fetches it and in all later ones."""
    owe(tmp_path, origin)
    shown = list[str | None]()
    for run in range(2):
        with Journal.open(tmp_path) as journal:
            assert (0 if run else 1) == fetch_owed(journal, f"{origin}/v1", 100.0, lambda _: None)
            found = journal.look_up(KEYS[0])
            assert found is not None
            (written,) = journal.append([Published(JobId(1), KEYS[:1], (found[1],), 8.0)])
            shown.append(journal.payloads.note(written.files[0]))
    assert [REVISED, REVISED] == shown


def test_many_that_cannot_be_had_are_not_all_tried(tmp_path: Path, server: Moody, origin: str) -> None:
    """After some in vain the others wait for the next run: a dead server holds nobody up for hours."""
    keys = tuple(Key(f"k{number}") for number in range(3 * VAIN))
    with Journal.open(tmp_path) as journal:
        refs = tuple(journal.payloads.keep_url(f"{origin}/{key}") for key in keys)
        journal.append([Owed(AttemptId(1), keys, refs, None, 5, FAR, 6.0)])
    with Journal.open(tmp_path) as journal:
        taken = fetch_due(journal, f"{origin}/v1", 1.0)
    assert (0, len(keys), FAR) == (taken.came, taken.due, taken.until)
    assert VAIN <= len(server.asked) < VAIN + AT_A_TIME


@pytest.mark.skipif(sys.platform == "win32", reason="modes are Unix's")
def test_only_its_owner_reads_the_journal(tmp_path: Path) -> None:
    """The database, its log and its mirror are of mode 0600, also one that is written anew; the mirror holds no URL."""
    owe(tmp_path, "http://127.0.0.1:9")
    for _ in range(2):
        with Journal.open(tmp_path):
            for name in ("journal.sqlite", "journal.sqlite-wal", "journal.mirror"):
                assert 0o600 == stat.S_IMODE((tmp_path / name).stat().st_mode)
            assert SECRET.encode() not in (tmp_path / "journal.mirror").read_bytes()
        (tmp_path / "journal.mirror").unlink()
