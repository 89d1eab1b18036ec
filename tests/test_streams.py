"""What a stream's reader gets, however slow he is, and when his client is gone."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import evolve

import penstock_io.sync
from penstock.errors import InvalidRequest, JobError, UsageError
from penstock.events import Cancelled, Event, Submitted
from penstock.ids import Handle, JobId, Ref
from penstock.outcomes import Outcome, Status
from penstock.readings import Delta, Partial
from penstock.requests import ImageRequest
from penstock.simulation.server import Latency, ServerSettings
from penstock_io._payloads import Payloads
from penstock_io.previews import Preview, TextDelta, hearing, writing
from penstock_io.resources import Result
from penstock_io.simserver import serving
from penstock_io.streams import WAITING, Stream
from tests.histories.bench import work

CAT = ImageRequest(prompt="a cat", model="gpt-image-2", partial_images=3)
ENDED = Result(CAT, Outcome(Status.COMPLETED))


class Client:
    """A client that does as it is told."""

    def __init__(self) -> None:
        self.posted: list[Event] = []
        self.done: list[Callable[[Result | BaseException], object]] = []
        self.hear: list[Callable[[Preview], object]] = []
        self.begun = threading.Event()

    def join(self, hear: Callable[[Preview], object], done: Callable[[Result | BaseException], object]) -> Submitted:
        """Keep who is to be told."""
        self.done.append(done)
        self.hear.append(hear)
        self.begun.set()
        return Submitted(JobId(7), evolve(work("a"), handle=Handle(7)))

    def stream(self) -> Stream[Preview, Result]:
        """A stream that has not begun."""
        return Stream(self.join, self.posted.append, self.look, WAITING)

    def look(self) -> object:
        """The client is there."""
        return None


def begin(client: Client, stream: Stream[Preview, Result]) -> None:
    """Take the first step of a stream, which brings a preview."""
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, stream)
        assert client.begun.wait(60)
        client.hear[0](Preview(0, 99, b""))
        assert Preview(0, 99, b"") == first.result(60)


def test_a_slow_reader_misses_old_previews_and_never_the_result() -> None:
    """Of forty previews that wait, the newest are kept; what was dropped is counted."""
    client = Client()
    stream = client.stream()
    assert 0 == stream.dropped
    begin(client, stream)
    for number in range(40):
        client.hear[0](Preview(0, number, b""))
    client.done[0](ENDED)
    found = list(stream)
    numbers = [item.partial_index for item in found if isinstance(item, Preview)]
    assert (list(range(40 - WAITING, 40)), 40 - WAITING) == (numbers, stream.dropped)
    assert ENDED is found[-1]
    assert [] == list(stream)


def test_nothing_is_asked_for_before_the_first_step() -> None:
    """A stream that nobody reads costs nothing, and leaving it says nothing."""
    client = Client()
    client.stream().close()
    assert ([], []) == (client.posted, client.done)


@pytest.mark.parametrize("dropped", [False, True])
def test_leaving_gives_the_job_up_once(dropped: bool) -> None:
    """By `close`, or because nobody holds the iterator any more."""
    client = Client()
    stream = client.stream()
    begin(client, stream)
    if dropped:
        del stream
        gc.collect()
    else:
        stream.close()
        stream.close()
        assert [] == list(stream)
    assert Cancelled(JobId(7)) in client.posted


def test_what_ended_is_not_given_up() -> None:
    """Nobody is told of a stream that is over."""
    client = Client()
    stream = client.stream()
    begin(client, stream)
    client.done[0](ENDED)
    stream.close()
    assert [Submitted, 1] == [type(client.posted[0]), len(client.posted)]


def test_what_cannot_be_made_is_said_once() -> None:
    """The error of the first step is raised, and the iteration is over."""

    class Wrong(Client):
        def join(
            self, hear: Callable[[Preview], object], done: Callable[[Result | BaseException], object]
        ) -> Submitted:
            del hear, done
            raise InvalidRequest("no")

    stream = Wrong().stream()
    with pytest.raises(InvalidRequest):
        next(stream)
    assert [] == list(stream)


def test_a_reader_whose_client_is_gone_hears_so() -> None:
    """Instead of waiting for ever."""

    class Left(Client):
        def look(self) -> object:
            raise UsageError("the client was left")

    with pytest.raises(UsageError, match="was left"):
        next(Left().stream())


def test_what_is_no_preview_or_is_gone_is_not_heard() -> None:
    """A piece of text is none, and bytes that the disk lost are one preview less."""
    heard: list[Preview] = []
    payloads = Payloads()
    texts: list[TextDelta] = []
    hear, write = hearing(payloads, heard.append), writing(payloads, texts.append)
    write(Delta(payloads.keep(b"text"), 2))
    write(Delta(Ref("m:99")))
    write(Partial(0, payloads.keep(b"x")))
    assert [TextDelta(2, "text")] == texts
    hear(Delta(payloads.keep(b"text")))
    hear(Partial(0, Ref("m:99"), 1))
    hear(Partial(2, payloads.keep(b"\x89PNG\r\n\x1a\n..."), 1))
    (preview,) = heard
    assert (2, 1, "png") == (preview.index, preview.partial_index, preview.format)
    assert "PNG" not in repr(preview)


def test_a_preview_is_saved(tmp_path: Path) -> None:
    """As the bytes that it is."""
    assert b"x" == Preview(0, 0, b"x").save(tmp_path / "p.png").read_bytes()


def test_leaving_the_client_ends_its_streams() -> None:
    """Broken off while a stream waits: whoever reads it gets an error, and nobody hangs."""
    steady = ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0)
    with serving(steady) as sim, ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        sim.hold()
        client = stack.enter_context(penstock_io.sync.Client(sim.base_url, ["key"]))
        reading = pool.submit(list, client.images.stream(prompt="a cat", model="gpt-image-2"))
        assert sim.wait(lambda stats: stats["in_flight"] == 1)
        client.__exit__(KeyError, KeyError(), None)
        stack.pop_all()
        with pytest.raises(JobError):
            reading.result(120)
        sim.release()
