"""What is peculiar to one driver, or needs no provider: virtual time, odd moments of cancellation, downloads."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx2
import pytest
import trio
import trio.testing
from attrs import evolve

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock.commands import Abort, Send
from penstock.config import Config, Limits
from penstock.entries import Lane
from penstock.errors import ProviderError, UsageError
from penstock.events import Closed, Event, Failed, Fetched, Mode, Opened
from penstock.ids import AttemptId, CallId, Handle
from penstock.money.balances import Balances
from penstock.readings import Kind, Reached
from penstock.requests import ImageRequest
from penstock.simulation.server import Latency, ServerSettings
from penstock.wire import MemorySink
from penstock.work import Purpose, Timeouts
from penstock_io import _asking
from penstock_io._futures import settle, wait
from penstock_io._http import AsyncHttp, Exchange, open_async_client
from penstock_io._payloads import Payloads
from penstock_io._receive import Download, Reply
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore

QUICK = ServerSettings(latency=Latency(0.02, 0.1), refusal_delay=0.001)
ASKED: dict[str, Any] = {"prompt": "a lighthouse", "model": "gpt-image-1.5", "size": "1024x1024", "quality": "low"}
ATTEMPT = AttemptId(7)
PNG = b"\x89PNG\r\n\x1a\n bytes"


def request(number: int) -> ImageRequest:
    """A request like no other."""
    return ImageRequest(prompt=f"a lighthouse {number}", model="gpt-image-1.5", size="1024x1024", quality="low")


Pause = Callable[[float], Coroutine[object, object, object]]


async def slowly(sim: SimServer, pause: Pause) -> AsyncIterator[ImageRequest]:
    """An input that waits for the result of what it gave before."""
    yield request(0)
    while not sim.stats()["executed"]:
        await pause(0.005)
    yield request(1)


def test_an_asynchronous_input() -> None:
    """Results come while the input is still thinking."""
    with serving(QUICK) as sim:

        async def on_asyncio() -> list[int]:
            async with penstock_io.asyncio.Client(sim.base_url, ["sk-1"]) as client:
                return sorted([result.index async for result in client.images.map(slowly(sim, asyncio.sleep))])

        assert [0, 1] == asyncio.run(on_asyncio())
    with serving(QUICK) as sim:

        async def on_trio() -> list[int]:
            async with penstock_io.trio.Client(sim.base_url, ["sk-1"]) as client:
                return sorted([result.index async for result in client.images.map(slowly(sim, trio.sleep))])

        assert [0, 1] == trio.run(on_trio)


def test_a_loop_is_not_held_up_at_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an asynchronous client reads before it begins, the journal and the trust store, is read in a thread."""
    seen: list[tuple[str, bool]] = []
    balances = Journal.balances

    def read(journal: Journal) -> Balances:
        seen.append(("balances", threading.current_thread() is threading.main_thread()))
        return balances(journal)

    def trust(base_url: str) -> AsyncHttp:
        seen.append(("trust", threading.current_thread() is threading.main_thread()))
        return open_async_client(base_url)

    async def enter(client: penstock_io.asyncio.Client | penstock_io.trio.Client) -> None:
        async with client:
            with pytest.raises(UsageError, match="once"):
                await client.__aenter__()

    monkeypatch.setattr(Journal, "balances", read)
    monkeypatch.setattr(_asking, "open_async_client", trust)
    with Journal.open(tmp_path) as journal:
        asyncio.run(enter(penstock_io.asyncio.Client("http://127.0.0.1:1/v1", ["sk-1"], journal=journal)))
        trio.run(enter, penstock_io.trio.Client("http://127.0.0.1:1/v1", ["sk-1"], journal=journal))
    assert [("balances", False)] * 2 + [("trust", False)] * 2 == sorted(seen)


def test_a_time_out_may_be_the_answer() -> None:
    """A TimeoutError that the owner answers with is raised, not taken for one more second without an answer."""
    waiter: SimpleQueue[BaseException | None] = SimpleQueue()
    settle(waiter, TimeoutError("the answer itself"))
    over = threading.Event()
    owner = threading.Thread(target=over.wait, daemon=True)
    owner.start()
    with pytest.raises(TimeoutError, match="the answer itself"):
        wait(waiter, owner)
    assert owner.is_alive()
    over.set()
    owner.join()


def test_closing_a_map() -> None:
    """`aclose` and `close` end an iteration."""

    async def on_asyncio(sim: SimServer) -> None:
        async with penstock_io.asyncio.Client(sim.base_url, ["sk-1"]) as client:
            results = client.images.map(map(request, range(1000)))
            await anext(results)
            await results.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(results)

    with serving(QUICK) as sim:
        asyncio.run(on_asyncio(sim))
        with penstock_io.sync.Client(sim.base_url, ["sk-1"]) as client:
            results = client.images.map(map(request, range(1000, 2000)))
            next(results)
            results.close()
            with pytest.raises(StopIteration):
                next(results)


def test_a_map_that_is_left_just_as_its_feeder_was_woken_draws_nothing_more() -> None:
    """Nobody would read what is drawn then, and it would be bought all the same."""
    drawn: list[int] = []

    def source() -> Iterator[ImageRequest]:
        for number in range(1000):
            drawn.append(number)
            yield request(number)

    async def use(client: penstock_io.asyncio.Client | penstock_io.trio.Client, pause: Pause) -> tuple[int, int]:
        async with client:
            results = client.images.map(source())
            await anext(results)
            before = 0
            while before < len(drawn):  # until its feeder waits
                before = len(drawn)
                for _ in range(100):
                    await pause(0)
            results._line.ring()
            await results.aclose()
            for _ in range(100):
                await pause(0)
            unfinished = (await client.snapshot()).unfinished
            sim.release()
            return len(drawn) - before, unfinished

    limits = Limits(concurrency=1)
    with serving(QUICK) as sim:
        for kind in (penstock_io.asyncio.Client, penstock_io.trio.Client):
            sim.hold()
            sim.release(1)
            client = kind(sim.base_url, ["sk-1"], limits=limits)
            if isinstance(client, penstock_io.trio.Client):
                assert (0, 0) == trio.run(use, client, trio.sleep)
            else:
                assert (0, 0) == asyncio.run(use(client, asyncio.sleep))


def test_a_task_cancelled_before_its_first_step() -> None:
    """Send and Abort in one turn of the loop: the exchange is answered all the same, and reached nothing."""
    told: list[Event] = []

    async def main(sim: SimServer) -> None:
        def trace(event: Event, _: float) -> None:
            told.append(event)

        async with penstock_io.asyncio.Client(sim.base_url, ["sk-1"], record_trace=trace) as client:
            pending = asyncio.ensure_future(client.images.generate(**ASKED))
            await asyncio.sleep(0)
            assert client._tasks
            client._step(Closed(Mode.ABORT))
            with pytest.raises(Exception, match="closed"):
                await pending

    with serving(QUICK) as sim:
        asyncio.run(main(sim))
        assert 0 == sim.stats()["received"]
    assert [(Kind.ABORTED, Reached.NOTHING)] == [(e.kind, e.reached) for e in told if isinstance(e, Failed)]


def test_virtual_time() -> None:
    """Under trio's clock for tests hours of waiting between attempts pass at once: time is trio's own."""
    calls: list[float] = []

    def refuse(_: httpx2.Request) -> httpx2.Response:
        calls.append(trio.current_time())
        if len(calls) == 3:
            return httpx2.Response(400, json={"error": {"message": "No such size", "type": "invalid_request_error"}})
        body = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
        return httpx2.Response(429, json=body, headers={"retry-after": "3600"})

    async def main() -> None:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(refuse))
        url, config = "http://127.0.0.1:1/v1", Config(patience=None)
        async with penstock_io.trio.Client(url, ["sk-1"], http_client=http, config=config) as client:
            with pytest.raises(ProviderError, match="No such size"):
                await client.images.generate(**ASKED)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))
    assert 3 == len(calls)
    assert calls[2] - calls[0] >= 7200


def test_a_loop_that_is_cancelled() -> None:
    """Cancelling all of it from outside breaks off what is out; nothing hangs, under either loop."""

    async def on_asyncio(sim: SimServer) -> None:
        async with penstock_io.asyncio.Client(sim.base_url, ["sk-1"]) as client:
            await client.images.generate(**ASKED)

    async def on_trio(sim: SimServer) -> None:
        async with penstock_io.trio.Client(sim.base_url, ["sk-1"]) as client:
            await client.images.generate(**ASKED)

    async def timed_asyncio(sim: SimServer) -> None:
        async with asyncio.timeout(0.3):
            await on_asyncio(sim)

    async def timed_trio(sim: SimServer) -> None:
        with trio.fail_after(0.3):
            await on_trio(sim)

    with serving(QUICK) as sim:
        sim.call(lambda server: server.inject("stall", "stall"))
        with pytest.raises(TimeoutError):
            asyncio.run(timed_asyncio(sim))
        with pytest.raises(trio.TooSlowError):
            trio.run(timed_trio, sim)


def test_an_exception_leaves_a_trio_client_as_it_is() -> None:
    """The nursery inside is nobody's business: no group is wrapped around the caller's own exception."""

    async def main() -> None:
        async with penstock_io.trio.Client("http://127.0.0.1:1/v1", ["sk-1"]):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trio.run(main)


@pytest.mark.parametrize("driver", [penstock_io.asyncio.Client, penstock_io.trio.Client])
def test_an_engine_that_breaks(driver: type[penstock_io.asyncio.Client | penstock_io.trio.Client]) -> None:
    """A broken engine leaves nobody waiting: whoever waits hears it, once."""
    complaints: list[dict[str, object]] = []

    class Broken(Exception):
        pass

    def trace(event: Event, _: float) -> None:
        if not isinstance(event, Closed):
            raise Broken

    async def main() -> None:
        async with driver("http://127.0.0.1:1/v1", ["sk-1"], record_trace=trace) as client:
            with pytest.raises(Broken):
                await client.images.generate(**ASKED)
            with pytest.raises(UsageError, match="broken"):
                await client.images.generate(**ASKED)

    async def heard() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        await main()
        gc.collect()  # a loop complains when what nobody took is thrown away

    if driver is penstock_io.asyncio.Client:
        asyncio.run(heard())
    else:
        trio.run(main)
    assert [] == complaints


def test_many_threads() -> None:
    """One client serves many threads, and each gets its own."""
    found: dict[int, str] = {}
    with serving(QUICK) as sim, penstock_io.sync.Client(sim.base_url, ["sk-1"], store=MemoryStore()) as client:

        def ask(number: int) -> None:
            result = client.images.generate(**{**ASKED, "prompt": f"boat {number}"})
            found[number] = result.request.prompt

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 20 == client.snapshot().counters["jobs"]
        assert () == client.explain()
    assert {number: f"boat {number}" for number in range(20)} == found


def test_keys_are_used_side_by_side() -> None:
    """Each key has its own lane."""
    with serving(QUICK) as sim:
        with penstock_io.sync.Client(sim.base_url, ["sk-1", "sk-2"], limits=Limits(concurrency=1)) as client:
            assert 6 == len(list(client.images.map(map(request, range(6)))))
        assert 2 == len(sim.stats()["credentials"])


def test_a_client_that_was_left() -> None:
    """Whoever still asks hears it, and does not wait for ever."""
    with serving(QUICK) as sim:
        with penstock_io.sync.Client(sim.base_url, ["sk-1"]) as client:
            pass
        with pytest.raises(UsageError, match="left"):
            client.images.generate(**ASKED)
        with pytest.raises(UsageError, match="left"):
            client.snapshot()


# Downloads


def fetch(url: str) -> Send:
    """What the engine says to download a picture."""
    return Send(
        ATTEMPT, CallId(1), Handle(0), "images.generate", Purpose.FETCH, Lane("", ""), 0, 1, (), Timeouts(),
        source=Payloads().keep_url(url),
    )  # fmt: skip


def test_a_url_that_leads_to_somebody_else() -> None:
    """A picture is downloaded from the provider or a public address, also where what a server calls a URL is none."""
    answers: list[Event] = []
    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    started: list[Exchange] = []
    client._send = lambda attempt, exchange: started.append(exchange)  # type: ignore[method-assign]  # noqa: ARG005 - seen, not sent
    for url in ("http://127.0.0.1:99999/a.png", "http://[::1/a.png", "http://u:p@127.0.0.1:1/a.png", "file:///a.png"):
        client._start(evolve(fetch(url), source=client._payloads.keep_url(url)))
        answers.append(client._inbox.pop())
    assert not started
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: pytest.fail("asked")))
    for url in ("http://127.0.0.1:2/a.png", "https://127.0.0.1:1/a.png", "http://localhost:1/a.png"):
        client._start(evolve(fetch(url), source=client._payloads.keep_url(url)))
        answers.append(started.pop().run(http, lambda _: None))
    assert 7 == sum(isinstance(event, Fetched) and "the picture's URL" in (event.fault or "") for event in answers)
    assert all(isinstance(event, Fetched) and event.final for event in answers)


def test_a_download_goes_without_a_credential() -> None:
    """The bytes become a payload; the key stays at home."""
    heard: list[httpx2.Request] = []

    def give(asked: httpx2.Request) -> httpx2.Response:
        heard.append(asked)
        return httpx2.Response(200, content=PNG)

    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    client._payloads.keep_url("http://127.0.0.1:1/files/a.png?sig=1")
    started: list[Exchange] = []
    client._send = lambda attempt, exchange: started.append(exchange)  # type: ignore[method-assign]  # noqa: ARG005 - seen, not sent
    client._start(fetch("http://127.0.0.1:1/files/a.png?sig=1"))
    (exchange,) = started
    event = exchange.run(httpx2.Client(transport=httpx2.MockTransport(give)), lambda _: None)
    assert isinstance(event, Fetched)
    data = client._payloads.read(event.files[0])
    assert (PNG, "png", len(PNG)) == (data, event.format, event.nbytes)
    assert "authorization" not in heard[0].headers
    assert "GET" == heard[0].method


def test_headers_of_the_users_own() -> None:
    """They go with what is paid for and not with a download, and their values are shown nowhere, echoed or not."""
    heard: list[httpx2.Request] = []
    value = "org-of-mine"

    def refuse(asked: httpx2.Request) -> httpx2.Response:
        heard.append(asked)
        error = {"message": f"no such organization: {value}", "type": "invalid_request_error"}
        return httpx2.Response(400, json={"error": error})

    http = httpx2.Client(transport=httpx2.MockTransport(refuse))
    client = penstock_io.sync.Client(
        "http://127.0.0.1:1/v1", ["sk-1"], http_client=http, headers={"OpenAI-Organization": value, "X-Short": "v2"}
    )
    with client, pytest.raises(ProviderError) as caught:
        client.images.generate(**ASKED)
    assert [value, "v2"] == [heard[0].headers[name] for name in ("openai-organization", "x-short")]
    started: list[Exchange] = []
    client._send = lambda attempt, exchange: started.append(exchange)  # type: ignore[method-assign]  # noqa: ARG005 - seen, not sent
    client._payloads.keep_url("http://127.0.0.1:1/a.png")
    client._start(fetch("http://127.0.0.1:1/a.png"))
    bare = [("user-agent", "penstock"), ("accept-encoding", "identity"), ("connection", "close")]
    assert bare == started[0].order.headers()
    shown = repr((client, client._setup, client._orders, started[0].order, caught.value, str(caught.value)))
    assert value not in shown
    assert "no such organization: ***" in str(caught.value)


def test_what_a_download_refuses() -> None:
    """An error page, nothing, too much, and a page that pretends to be what was asked for are faults."""
    payloads = Payloads()
    page = b"<!DOCTYPE html><title>Log in</title>"
    for status, body, cap in ((404, b"no", 10), (200, b"", 10), (200, b"0123456789a", 10), (200, page, 100)):
        download = Download(ATTEMPT, payloads, cap)
        assert download.opened(status, []) is None
        going = not body or download.feed(body)
        assert going == (body in {b"", page})
        event = download.closed()
        assert isinstance(event, Fetched)
        assert event.fault
    assert Fetched(ATTEMPT, fault="broken (sent)") == Download(ATTEMPT, payloads).failed(Kind.BROKEN, Reached.SENT)


def test_headers_that_repeat_a_secret() -> None:
    """A key in what the provider calls an exchange is struck out; in any other header it takes the header with it."""
    reply = Reply(ATTEMPT, "images.generate", MemorySink(), ("key-of-mine",))
    told = reply.opened(400, [("X-Request-Id", "req for key-of-mine"), ("x-ratelimit-a", "key-of-mine")])
    assert Opened(ATTEMPT, 400, (("x-request-id", "req for ***"),)) == told


def test_a_reply_above_the_cap() -> None:
    """It is TOO_LARGE: paid, and not read to its end; the cap is told."""
    reply = Reply(ATTEMPT, "images.generate", MemorySink(), (), cap=100)
    reply.opened(200, [("Content-Type", "application/json")])
    assert reply.feed(b'{"data": [')
    assert not reply.feed(b" " * 200)
    ended = reply.closed()
    assert isinstance(ended, Failed)
    assert (Kind.TOO_LARGE, Reached.READING) == (ended.kind, ended.reached)
    assert ended.detail.startswith("a reply of more than 100 bytes")


def test_an_order_is_not_shown() -> None:
    """Neither the credential nor a signed URL is in any repr."""
    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    started: list[Exchange] = []
    client._send = lambda attempt, exchange: started.append(exchange)  # type: ignore[method-assign]  # noqa: ARG005 - seen, not sent
    client._payloads.keep_url("http://127.0.0.1:1/a.png?sig=secret")
    client._start(fetch("http://127.0.0.1:1/a.png?sig=secret"))
    assert "secret" not in repr(started[0].order)
    assert "secret" not in repr(started[0])


def test_it_says_nothing_of_what_it_did_not_begin() -> None:
    """An Abort for an attempt that has ended is nothing."""
    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    with client:
        client._ask(lambda: client._perform([Abort(ATTEMPT)]))
        assert client.snapshot().at_rest
