"""What ends a run before its rows do: keys, credit, models, disks, nobody there, deadlines, too many failures."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import OnAmbiguous
from penstock_io._access import fingerprint
from penstock_io.batch.rows import Defaults
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, FullDisk, folder_for, meanwhile, table
from tests.clocks import Ahead

AGAIN = " The same command goes on from here."
RETRY = Choices(on_ambiguous=OnAmbiguous.RETRY)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return folder_for(tmp_path / "out", sim)


def test_a_revoked_key_halts_and_the_same_command_goes_on(folder: Folder, sim: SimServer) -> None:
    """Rows not sent are pending, one message names cause and remedy, and a good key finishes them."""
    rows = table(60)
    sim.call(lambda server: server.revoke("key-a"))
    folder.concurrency = 2
    ended = folder.run(rows)
    assert Exit.HALTED == ended.code
    assert "Incorrect API key provided" in ended.message
    assert ended.message.endswith(f"Put a valid key into A.{AGAIN}")
    assert ".." not in ended.message
    assert ["pending"] * 60 == folder.statuses()
    assert len(folder.sql("SELECT 0, 0, row FROM rows")) < 40  # the input is not drawn to its end for nothing
    assert Exit.ALL == folder.run(rows, keys={"B": "key-b"}).code
    assert 60 == sim.stats()["executed"]


def test_a_key_revoked_on_the_way_halts_with_what_is_done(folder: Folder, sim: SimServer) -> None:
    """What was made stays, the rest is pending, and nothing is bought twice when the key is good again."""
    rows = table(40)
    folder.concurrency = 2
    sim.call(lambda server: server.set_credit("key-a", 20 * 5_916_000_000))
    ended = folder.run(rows)
    assert Exit.HALTED == ended.code
    done = folder.statuses().count("completed")
    assert (40 - done, True) == (folder.statuses().count("pending"), 0 < done < 40)
    sim.call(lambda server: server.set_credit("key-a", None))
    assert Exit.ALL == folder.run(rows).code
    assert 40 == sim.stats()["executed"]


def test_one_revoked_key_of_two_is_told_and_left_alone(folder: Folder, sim: SimServer) -> None:
    """The other key does the work."""
    sim.call(lambda server: server.revoke("key-a"))
    assert Exit.ALL == folder.run(table(20), keys={"A": "key-a", "B": "key-b"}).code
    closed = [text for text in folder.told if "is not used for gpt-image-2 any more" in text]
    assert 1 == len(closed)
    assert "key-a" not in "".join(folder.told)


def test_keys_that_fail_for_different_reasons_are_all_told(folder: Folder, sim: SimServer) -> None:
    """A key that is refused and one without credit: each is warned of in its own way, the halt names both causes."""
    sim.call(lambda server: server.revoke("key-a"))
    sim.call(lambda server: server.set_credit("key-b", 0))
    ended = folder.run(table(5), keys={"A": "key-a", "B": "key-b"})
    assert Exit.HALTED == ended.code
    assert "Incorrect API key provided" in ended.message
    assert "You exceeded your current quota" in ended.message
    keys = [f"(key {fingerprint(key, label)})" for label, key in (("A", "key-a"), ("B", "key-b"))]
    assert [1, 1] == [ended.message.count(key) for key in keys]
    assert ended.message.index("Incorrect") < ended.message.index(keys[0]) < ended.message.index("You exceeded")
    told = "\n".join(folder.told)
    assert "A is not used for gpt-image-2 any more: Incorrect API key provided" in told
    assert "B is not used for gpt-image-2 for 15 min, then tried again: You exceeded your current quota" in told


def test_a_model_that_is_gone_halts_and_another_goes_on(tmp_path: Path) -> None:
    """Done rows stay, the rest is made with the other model of the command line."""
    with serving(ServerSettings(models=("gpt-image-1-mini",), latency=Latency(0.02))) as sim:
        folder = folder_for(tmp_path / "out", sim)
        ended = folder.run(table(5))
        assert (Exit.HALTED, True) == (ended.code, "hoose another model" in ended.message)
        assert Exit.ALL == folder.run(table(5, Defaults("gpt-image-1-mini", "1024x1024", "low"))).code
        assert {"gpt-image-1-mini"} == {line["model"] for line in folder.lines()}


@pytest.mark.parametrize(
    ("number", "words", "said", "remedy"),
    [
        (errno.ENOSPC, "No space left on device", "there is no room left on the disk of", "Make room on it."),
        (errno.EROFS, "Read-only file system", "is on a read-only disk", "Make it writable."),
    ],
)
def test_a_disk_that_takes_nothing_more_halts(
    folder: Folder, sim: SimServer, number: int, words: str, said: str, remedy: str
) -> None:
    """Nothing more is sent, the message says why and what to do, and with room again the same command completes it."""
    rows = table(60)
    folder.concurrency = 4
    ended = folder.run(rows, disk=FullDisk(10, number, words))
    assert Exit.HALTED == ended.code
    assert said in ended.message
    assert ended.message.endswith(remedy + AGAIN)
    assert words not in ended.message
    assert sim.stats()["received"] < 60
    sums = ended.summary
    assert sums is not None
    assert sums.cost is not None
    assert sums.cost <= sim.stats()["billed"] <= sums.cost + sums.maybe
    assert Exit.ALL == folder.run(rows, choices=RETRY).code
    assert ["completed"] * 60 == folder.statuses()


def test_results_that_cannot_be_written_halt(folder: Folder, sim: SimServer) -> None:
    """The pictures and the journal are there all the same: with the obstacle gone the same command buys nothing."""
    (folder.path / "results.jsonl").mkdir(parents=True)
    ended = folder.run(table(3))
    assert Exit.HALTED == ended.code
    assert "another of another kind is in its place" in ended.message
    assert ended.message.endswith(AGAIN)
    assert ended.summary is not None
    assert 3 == ended.summary.counts["completed"]
    (folder.path / "results.jsonl").rmdir()
    assert Exit.ALL == folder.run(table(3)).code
    assert 3 == sim.stats()["received"]


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_nobody_there_halts_with_all_rows_pending(folder: Folder, sim: SimServer) -> None:
    """Three rows that reach nobody are enough; one message names the URL; the same command completes all of them."""
    rows = table(80)
    url = f"http://127.0.0.1:{closed_port()}/v1"
    ended = folder.run(rows, base_url=url)
    assert Exit.HALTED == ended.code
    assert f"{url} could not be reached" in ended.message
    assert ended.message.endswith(f"Check the network, and --base-url.{AGAIN}")
    assert ["pending"] * 80 == folder.statuses()
    assert "0" == folder.sums()["cost_usd"]
    assert Exit.ALL == folder.run(rows).code
    assert 80 == sim.stats()["executed"]


@contextmanager
def page() -> Generator[str]:
    """The address of somebody else's server."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
            del format, args

    class Roomy(ThreadingHTTPServer):
        request_queue_size = 128

    with Roomy(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_url_that_is_not_the_api_halts(folder: Folder, sim: SimServer) -> None:
    """A page that knows nothing of images is told with what to check, no row has failed, and all can be sent."""
    with page() as url:
        ended = folder.run(table(40), base_url=url)
    assert [] == [line["error"] for line in folder.lines() if line["status"] != "pending"]
    assert Exit.HALTED == ended.code
    assert f"{url} does not answer as an images API does" in ended.message
    assert "Check --base-url" in ended.message
    assert Exit.ALL == folder.run(table(40)).code
    assert 40 == sim.stats()["executed"]


def test_as_many_failures_as_are_bearable_end_it(folder: Folder, sim: SimServer) -> None:
    """The rest is pending, exit 4; what failed for good stays so, and the same command does the rest."""
    rows = table([f"forbidden {n}" if n < 3 else f"kettle {n}" for n in range(300)])
    folder.concurrency = 1
    ended = folder.run(rows, max_failures=3)
    assert Exit.HALTED == ended.code
    assert "3 rows did not succeed, which is as many as --max-failures bears" in ended.message
    assert (3, True) == (folder.statuses().count("failed"), folder.statuses().count("pending") > 200)
    folder.concurrency = 64
    assert Exit.SOME == folder.run(rows, max_failures=3).code
    assert 297 == folder.statuses().count("completed")
    assert 297 == sim.stats()["executed"]


def test_failures_in_the_last_rows_are_no_halt(folder: Folder) -> None:
    """Where nothing was left to be sent, the run ends as one in which rows failed."""
    ended = folder.run(table(["forbidden a", "forbidden b"]), max_failures=2)
    assert (Exit.SOME, ["failed", "failed"]) == (ended.code, folder.statuses())


def test_a_deadline_lets_what_is_out_arrive(folder: Folder, sim: SimServer, clock: Ahead) -> None:
    """After it nothing new is sent, the rest is pending, exit 4; the same command goes on."""
    folder.concurrency = 2

    def pass_time() -> None:
        assert sim.wait(lambda stats: stats["received"] == 2)
        sim.release(2)
        assert sim.wait(lambda stats: stats["received"] == 4)
        clock.pass_time(300.0)
        folder.listener.wait("nothing more is sent", 1)
        sim.release()

    sim.hold()
    with meanwhile(pass_time):
        ended = folder.run(table(40), deadline=300.0)
    assert Exit.HALTED == ended.code
    assert "the deadline of 300 s is over" in ended.message
    assert 4 == sim.stats()["executed"]
    assert ["completed"] * 4 + ["pending"] * 36 == sorted(folder.statuses())
    folder.concurrency = 64
    assert Exit.ALL == folder.run(table(40), deadline=300.0).code
    assert 40 == sim.stats()["executed"]


def test_a_deadline_in_a_wait_says_what_was_waited_for(folder: Folder, sim: SimServer, clock: Ahead) -> None:
    """A limit of a day lets nothing go for hours: whoever reads it in the morning sees that it is not the deadline."""

    def pass_time() -> None:
        folder.listener.wait_figures(lambda figures: figures.done == 2 and "images a day" in figures.waiting)
        clock.pass_time(300.0)

    folder.limits = Limits(ipd=2, ceiling=True)
    with meanwhile(pass_time):
        ended = folder.run(table(5), deadline=300.0)
    assert Exit.HALTED == ended.code
    assert "the deadline of 300 s is over, while it waited for images a day of A for gpt-image-2, " in ended.message
    assert 2 == sim.stats()["executed"]


def test_how_the_last_run_ended_is_kept(folder: Folder, sim: SimServer) -> None:
    """Its code and message stand in the journal, for whoever asks how the folder stands."""
    sim.call(lambda server: server.revoke("key-a"))
    ended = folder.run(table(2))
    ((_, _, text),) = folder.sql("SELECT 0, 0, state FROM rows WHERE row LIKE '%runs'")
    assert (4, ended.message) == (json.loads(text)["code"], json.loads(text)["message"])


def test_a_halt_is_told_as_it_happens(tmp_path: Path) -> None:
    """Whoever watches hears at once, and once, that nothing more is sent and what is waited for."""
    with serving(evolve(FAST, refusal_delay=0.0)) as sim:  # the refusal alone is not held
        folder = folder_for(tmp_path / "out", sim)
        folder.concurrency = 4
        sim.call(lambda server: server.inject("", "", "", "moderation"))

        def answer() -> None:
            folder.listener.wait("nothing more is sent", 1)
            sim.release()

        sim.hold()
        with meanwhile(answer):
            folder.run(table(60), max_failures=1)
    (told,) = [text for text in folder.told if text.startswith("nothing more is sent")]
    assert "(1 row did not succeed, which is as many as --max-failures bears); waiting for " in told
