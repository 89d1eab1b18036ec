"""What every client does, against the simulated provider over loopback: one suite, each driver over each library."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.config import Ambiguity, Config, Limits, Retry
from penstock.errors import (
    Ambiguous,
    BudgetExceeded,
    ContentRefused,
    CredentialRejected,
    Halted,
    InvalidRequest,
    JobError,
    ProviderError,
    ScreenFailed,
)
from penstock.events import Event, Failed, Mode, Opened, Responded
from penstock.outcomes import Source, Status
from penstock.readings import Kind, Reached, Verdict
from penstock.requests import ImageRequest, Options
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock.work import CachePolicy, OnAmbiguous, Screen, Timeouts
from penstock_io._access import named
from penstock_io._perform import Question
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from tests.batching import meanwhile
from tests.drivers.harness import WAIT, Side, running

QUICK = ServerSettings(latency=Latency(0.02, 0.1), refusal_delay=0.001)
CONFIG = Config(retry=Retry(base=0.005))
KEY = "sk-very-secret-key-of-mine"
PROMPT = "a lighthouse that nobody may read about"
ASKED: dict[str, Any] = {"prompt": PROMPT, "model": "gpt-image-1.5", "size": "1024x1024", "quality": "low"}


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A quick provider without limits."""
    with serving(QUICK) as server:
        yield server


def given(sim: SimServer, **more: Any) -> dict[str, Any]:
    """A client's arguments."""
    return {"base_url": sim.base_url, "api_keys": [KEY], "config": CONFIG, "store": MemoryStore(), **more}


def inject(sim: SimServer, *faults: str) -> None:
    """Say what happens to the next calls."""
    sim.call(lambda server: server.inject(*faults))


def requests(count: int) -> Iterator[ImageRequest]:
    """So many different requests."""
    for number in range(count):
        yield ImageRequest(prompt=f"{PROMPT} {number}", model="gpt-image-1.5", size="1024x1024", quality="low")


def left_empty(side: Side) -> bool:
    """Nothing is held any more, by the engine or the driver."""
    client = side.client
    return side.engine.snapshot().at_rest and not (client._jobs or client._prepared or client._out or client._inbox)


def test_generate(driver: str, library: str, sim: SimServer, tmp_path: Path) -> None:
    """One picture: its bytes, its cost as the provider bills it, and nothing left over."""
    with running(driver, library, **given(sim)) as side:
        result = side.generate(**ASKED)
    (image,) = result.images
    assert image.data.startswith(b"\x89PNG")
    assert image.data == image.save(tmp_path / "a.png").read_bytes()
    assert ("png", "1024x1024", 0) == (image.format, image.size, image.index)
    assert Decimal(sim.stats()["billed"]) / 10**12 == result.cost
    assert (1, False, None, 0) == (result.attempts, result.cached, result.error, result.index)
    assert left_empty(side)


def test_several_pictures_are_split(driver: str, library: str, sim: SimServer) -> None:
    """More pictures than a call may bring come from several calls, each in its place and different."""
    with running(driver, library, **given(sim)) as side:
        result = side.generate(**ASKED, n=12)
    assert list(range(12)) == [image.index for image in result.images]
    assert 12 == len({image.data for image in result.images})
    assert 2 == sim.stats()["executed"]
    assert left_empty(side)


def test_the_store_is_asked_first(driver: str, library: str, sim: SimServer) -> None:
    """The same request again costs nothing."""
    with running(driver, library, **given(sim)) as side:
        first, second = side.generate(**ASKED), side.generate(**ASKED)
    assert (True, Decimal(0)) == (second.cached, second.cost)
    assert first.images[0].data == second.images[0].data
    assert 1 == sim.stats()["executed"]


def test_two_at_once_share_a_call(driver: str, library: str, sim: SimServer) -> None:
    """Two who ask for the same picture at the same moment pay for one."""
    with running(driver, library, **given(sim)) as side:
        sim.hold()
        waiting = [side.start(**ASKED), side.start(**ASKED)]
        waiting_for(lambda: side.snapshot().unfinished == 2)
        sim.release()
        results = [pending.result() for pending in waiting]
    assert 1 == sim.stats()["executed"]
    assert results[0].images[0].data == results[1].images[0].data
    assert {Source.BOUGHT, Source.SHARED} == {result.images[0].source for result in results}
    assert sorted([Decimal(0), Decimal(sim.stats()["billed"]) / 10**12]) == sorted(
        r.cost or Decimal(0) for r in results
    )


def test_map(driver: str, library: str, sim: SimServer) -> None:
    """500 requests: each result once, with its index and request, and never many in hand at a time."""
    drawn: list[int] = []
    seen = 0
    most = 0

    def source() -> Iterator[ImageRequest]:
        for number, request in enumerate(requests(500)):
            drawn.append(number)
            yield request

    class Counting(MemoryStore):
        """A store that notes how much input was drawn when a picture arrives."""

        def write(self, key: Any, meta: Any, data: bytes, ttl: float | None = None) -> None:
            nonlocal seen, most
            seen += 1
            most = max(most, len(drawn) - seen)
            super().write(key, meta, data, ttl)

    with running(driver, library, **given(sim, store=Counting(), limits=Limits(concurrency=16))) as side:
        results = side.collect(source())
    assert list(range(500)) == sorted(result.index for result in results)
    assert all(result.request.prompt == f"{PROMPT} {result.index}" for result in results)
    assert [None] * 500 == [result.error for result in results]
    assert 500 == sim.stats()["executed"]
    assert most <= 2 * 16 + 16 + 64
    assert left_empty(side)


def test_map_left_early(driver: str, library: str, sim: SimServer) -> None:
    """Dropping the iterator gives up what is left: hardly more is drawn or bought, and nothing is held."""
    drawn: list[ImageRequest] = []

    def source() -> Iterator[ImageRequest]:
        for request in requests(10_000):
            drawn.append(request)
            yield request

    def answer() -> None:
        waiting_for(lambda: len(drawn) > 15)
        sim.release(3)

    store = MemoryStore()
    with running(driver, library, **given(sim, store=store, limits=Limits(concurrency=2))) as side:
        sim.hold()
        with meanwhile(answer):
            results = side.collect(source(), most=3)
        waiting_for(lambda: side.snapshot().unfinished == 0)
        sim.release()
    assert 3 == len(results)
    assert 15 < len(drawn) < 40
    assert 3 <= sim.stats()["executed"] == len(store) <= 5
    assert left_empty(side)


def test_a_cancelled_request_is_not_bought(driver: str, library: str, sim: SimServer) -> None:
    """Whoever leaves while he waits in line costs nothing."""
    with running(driver, library, **given(sim, limits=Limits(concurrency=1))) as side:
        leaving, staying = side.pending(), side.pending()
        inject(sim, "stall")
        side.begin(leaving, {**ASKED, "options": Options(on_ambiguous=OnAmbiguous.SKIP)})
        waiting_for(lambda: sim.stats()["received"] == 1)
        side.begin(staying, {**ASKED, "prompt": "another"})
        waiting_for(lambda: side.snapshot().unfinished == 2)
        side.on_owner(lambda: staying.cancel_job(2))
        with pytest.raises((JobError, CancelledError)):
            staying.result()
        side.pass_time(Timeouts().total)
        with pytest.raises(Ambiguous):
            leaving.result()
    assert 1 == sim.stats()["received"]
    assert left_empty(side)


def test_map_raises_for_none(driver: str, library: str, sim: SimServer) -> None:
    """A request that cannot be sent and one that is refused say so in their result; the others are made."""
    mixed = [
        *requests(2),
        ImageRequest(prompt=PROMPT, model="gpt-image-1.5", size="17x3"),
        ImageRequest(prompt="something forbidden", model="gpt-image-1.5", size="1024x1024", quality="low"),
    ]
    with running(driver, library, **given(sim)) as side:
        results = sorted(side.collect(mixed), key=lambda result: result.index)
    assert [None, None, InvalidRequest, ContentRefused] == [r.error and type(r.error) for r in results]
    assert "size" == getattr(results[2].error, "field", None)
    assert results[2].outcome is getattr(results[2].error, "outcome", None)
    assert Status.REFUSED is results[3].outcome.status


def test_what_the_input_raises(driver: str, library: str, sim: SimServer) -> None:
    """An input that fails is heard of, and leaves nothing behind."""

    def source() -> Iterator[ImageRequest]:
        yield from requests(3)
        raise ZeroDivisionError

    with running(driver, library, **given(sim)) as side, pytest.raises(ZeroDivisionError):
        side.collect(source())
    assert 3 == sim.stats()["executed"]
    assert left_empty(side)


@pytest.mark.parametrize("fault", ["500", "503", "reset_early"])
def test_it_is_tried_again(driver: str, library: str, sim: SimServer, fault: str) -> None:
    """What was certainly not executed, or may be tried again within the allowance, is."""
    inject(sim, fault)
    with running(driver, library, **given(sim)) as side:
        result = side.generate(**ASKED)
    assert 2 == result.attempts
    assert 1 == sim.stats()["executed"]
    assert left_empty(side)


def test_a_rate_limit_is_waited_for(driver: str, library: str) -> None:
    """What is refused with 429 comes after the wait that the refusal names, and all of it comes."""
    with serving(ServerSettings(ServerLimits(ipm=300, burst=1 / 60), Latency(0.01, 0.1), refusal_delay=0.001)) as sim:
        with running(driver, library, **given(sim)) as side:
            results = side.collect(requests(12))
        assert 12 == sim.stats()["executed"]
    assert [None] * 12 == [result.error for result in results]
    assert left_empty(side)


def test_a_reset_after_the_request(driver: str, library: str, sim: SimServer) -> None:
    """What may have been executed is tried again once within the allowance, and both are in the books."""
    inject(sim, "reset")
    with running(driver, library, **given(sim)) as side:
        result = side.generate(**ASKED)
    total = side.engine.snapshot().money.total
    assert 2 == sim.stats()["executed"]
    assert 2 == result.attempts
    assert result.outcome.maybe > 0
    assert sim.stats()["billed"] <= total.charged + total.maybe


def test_a_reset_that_is_not_to_be_tried_again(driver: str, library: str, sim: SimServer) -> None:
    """With `skip` the caller hears that it is ambiguous, and how much it may have cost."""
    inject(sim, "reset")
    with (
        running(driver, library, **given(sim, on_ambiguous=OnAmbiguous.SKIP)) as side,
        pytest.raises(Ambiguous) as caught,
    ):
        side.generate(**ASKED)
    assert caught.value.outcome.maybe >= sim.stats()["billed"] > 0
    assert left_empty(side)


def test_a_stall_is_broken_off(driver: str, library: str, sim: SimServer) -> None:
    """The total time-out ends an exchange whose answer never comes; before it was sent it is only tried again."""
    sim.call(lambda server: server.set_faults((("stall", 1.0),)))
    options = Options(timeouts=Timeouts(total=0.4), on_ambiguous=OnAmbiguous.SKIP)
    config = Config(retry=Retry(attempts=1000, base=0.005, most=1000))
    told: list[Event] = []
    arguments = given(sim, config=config, record_trace=lambda event, _: told.append(event))
    with running(driver, library, **arguments) as side, pytest.raises(Ambiguous):
        side.generate(**ASKED, options=options)
    *before, last = [event for event in told if isinstance(event, Failed)]
    assert {Kind.ABORTED} == {event.kind for event in (*before, last)}
    assert {Reached.NOTHING, Reached.CONNECTED} >= {event.reached for event in before}  # on a busy machine
    assert last.reached not in {Reached.NOTHING, Reached.CONNECTED}
    assert left_empty(side)


def test_leaving_with_an_exception(driver: str, library: str, sim: SimServer) -> None:
    """What is out is broken off at once, and whoever waited hears of it."""
    inject(sim, "stall")
    told: list[Event] = []
    arguments = given(sim, record_trace=lambda event, _: told.append(event))
    with running(driver, library, abort=True, **arguments) as side:
        pending = side.start(**ASKED)
        waiting_for(lambda: sim.stats()["received"] == 1)
    assert [Kind.ABORTED] == [event.kind for event in told if isinstance(event, Failed)]
    with pytest.raises((JobError, CancelledError)):
        pending.result()
    assert left_empty(side)


def test_leaving_normally(driver: str, library: str, sim: SimServer) -> None:
    """What is out is waited for and stored."""
    store = MemoryStore()
    side_store = given(sim, store=store)
    with running(driver, library, **side_store) as side:
        pending = side.start(**ASKED)
        waiting_for(lambda: sim.stats()["received"] == 1)
        if driver == "asyncio":  # its caller runs beside the client's context here
            assert pending.result().images
    assert 1 == len(store)
    assert pending.result().images
    assert left_empty(side)


def waiting_for(what: Any) -> None:
    """Wait until something outside is so; fails after `WAIT` seconds."""
    until = time.monotonic() + WAIT
    gate = threading.Event()
    while not what():
        assert time.monotonic() < until
        gate.wait(0.005)


def test_a_rejected_key(driver: str, library: str, sim: SimServer) -> None:
    """A key that the provider does not take closes its lanes; with no other left the caller hears it."""
    sim.call(lambda server: server.revoke(KEY))
    with running(driver, library, **given(sim)) as side, pytest.raises(CredentialRejected) as caught:
        side.generate(**ASKED)
    assert KEY not in str(caught.value)
    assert "Incorrect API key" in str(caught.value)
    assert "; set a valid key (credential, 401, invalid_api_key, req_" in str(caught.value)


def test_a_client_that_halts_says_so(driver: str, library: str, sim: SimServer) -> None:
    """Whoever waits when a halted client is left hears `Halted`, and why."""
    sim.call(lambda server: server.revoke(KEY))
    config = Config(retry=Retry(base=0.005), halts=True)
    with running(driver, library, **given(sim, config=config)) as side:
        pending = side.start(**ASKED)
        waiting_for(lambda: side.snapshot().halted is not None)
        side.on_owner(lambda: side.client._close(Mode.DRAIN))
        with pytest.raises(Halted, match=r"Incorrect API key.*; set a valid key") as caught:
            pending.result()
    assert Status.CANCELLED is caught.value.outcome.status


def test_a_wrong_address(driver: str, library: str, sim: SimServer) -> None:
    """A page that is not the API's says so at once and closes nothing; a port where nobody listens is named."""
    with running(driver, library, **given(sim, base_url=sim.base_url + "/elsewhere")) as side:
        for _ in range(2):
            with pytest.raises(ProviderError, match="check the base URL") as caught:
                side.generate(**ASKED)
            assert (1, "no_endpoint") == (
                caught.value.outcome.attempts,
                getattr(caught.value.outcome.error, "kind", ""),
            )
    nobody = {"base_url": "http://127.0.0.1:1/v1", "config": Config(retry=Retry(attempts=2, base=0.005))}
    with running(driver, library, **given(sim, **nobody)) as side:
        with pytest.raises(ProviderError, match=r"127\.0\.0\.1:1: .*; check the network and the base URL") as caught:
            side.generate(**ASKED)
        assert "unsent" == getattr(caught.value.outcome.error, "kind", "")


def test_another_key_takes_over(driver: str, library: str, sim: SimServer) -> None:
    """A revoked key costs nothing but an attempt."""
    sim.call(lambda server: server.revoke(KEY))
    with running(driver, library, **given(sim, api_keys=[KEY, "sk-another-one"])) as side:
        results = side.collect(requests(8))
    assert [None] * 8 == [result.error for result in results]


def test_a_budget_is_kept(driver: str, library: str, sim: SimServer) -> None:
    """No call goes that could take the sum above the cap."""
    with running(driver, library, **given(sim, budget=Decimal("0.0001"))) as side, pytest.raises(BudgetExceeded):
        side.generate(**ASKED)
    assert 0 == sim.stats()["received"]


def test_a_provider_that_keeps_failing(driver: str, library: str, sim: SimServer) -> None:
    """After the last attempt the caller hears what the provider said."""
    inject(sim, "500", "500")
    config = Config(retry=Retry(attempts=2, base=0.005), ambiguity=Ambiguity(OnAmbiguous.SKIP))
    with running(driver, library, **given(sim, config=config)) as side, pytest.raises(ProviderError) as caught:
        side.generate(**ASKED)
    assert 500 == (caught.value.outcome.error and caught.value.outcome.error.status)


def test_screens(driver: str, library: str, sim: SimServer) -> None:
    """Hooks as screens pass, refuse, fault and stay silent; on a fault the screen says what counts."""
    hold = threading.Event()
    refusals: list[JobError] = []

    def look(question: Question) -> Verdict:
        assert question.request is not None
        return Verdict(passed="cat" not in question.request.prompt, reason="no cats")

    def fails(_: Question) -> Verdict:
        raise RuntimeError(PROMPT)

    def silent(_: Question) -> Verdict:
        hold.wait(WAIT)
        return Verdict(passed=True)

    def asked(side: Side, prompt: str, screen: Screen) -> bool:
        try:
            side.generate(**{**ASKED, "prompt": prompt}, options=Options(screens=(screen,)))
        except JobError as error:
            refusals.append(error)
            return False
        return True

    hooks = {"look": look, "fails": fails, "silent": silent}
    try:
        with running(driver, library, **given(sim, hooks=hooks)) as side:
            assert asked(side, "a dog", Screen("look 1", hook="look"))
            assert not asked(side, "a cat", Screen("look 1", hook="look"))
            assert not asked(side, "a cat in a hat", Screen("look 1", hook="look", picture=True))
            assert not asked(side, "a cow", Screen("fails 1", hook="fails"))
            assert asked(side, "a cow", Screen("fails 2", hook="fails", passes_on_fault=True))
            assert not asked(side, "a pig", Screen("silent 1", hook="silent", patience=0.05))
            assert not asked(side, "a hen", Screen("nobody 1", hook="nobody"))
    finally:
        hold.set()
    assert [ContentRefused, ContentRefused, *[ScreenFailed] * 3] == [type(error) for error in refusals]
    assert PROMPT not in "".join(map(str, refusals))
    assert 3 == sim.stats()["executed"]


def test_secrets_are_not_told(driver: str, library: str, sim: SimServer) -> None:
    """Neither the trace, nor an error, nor anything's repr has a key or the prompt in it."""
    told: list[Event] = []
    inject(sim, "moderation", "502")
    with running(
        driver, library, **given(sim, api_keys={"mine": KEY}, record_trace=lambda event, _: told.append(event))
    ) as side:
        with pytest.raises(ContentRefused) as caught:
            side.generate(**ASKED)
        result = side.generate(**ASKED, options=Options(cache=CachePolicy.REFRESH))
        shown = "".join(map(repr, (told, side.client, side.client._setup, side.snapshot(), caught.value, result)))
        shown += repr(list(side.client._out.values()))
    assert KEY not in shown
    assert PROMPT not in shown
    assert named({"mine": KEY}).keys() == {key for key in side.client._keys if key in shown}


def test_the_call_is_named(driver: str, library: str, sim: SimServer) -> None:
    """Each exchange carries its call's id in the header that the simulated provider keeps its books by."""
    with running(driver, library, **given(sim)) as side:
        side.generate(**ASKED)
    (line,) = sim.stats()["requests"].values()
    assert 1 == len(line["calls"])
    assert "" not in line["calls"]


def test_a_request_that_no_model_takes(driver: str, library: str, sim: SimServer) -> None:
    """It is refused before anything is sent, and says what is wrong."""
    with running(driver, library, **given(sim)) as side, pytest.raises(InvalidRequest) as caught:
        side.generate(prompt=PROMPT, model="gpt-image-1.5", size="17x3")
    assert "size" == caught.value.field
    assert "size" == getattr(caught.value.outcome and caught.value.outcome.error, "code", None)
    assert left_empty(side)


def test_with_a_journal(driver: str, library: str, sim: SimServer, tmp_path: Path) -> None:
    """With a journal the pictures are files, the books are on the disk, and the next run buys nothing again."""
    with Journal.open(tmp_path) as journal, running(driver, library, **given(sim, store=None, journal=journal)) as side:
        results = side.collect(requests(5))
        assert [None] * 5 == [result.error for result in results]
        assert all(result.images[0].data.startswith(b"\x89PNG") for result in results)
    billed = sim.stats()["billed"]
    with Journal.open(tmp_path) as journal:
        assert billed == journal.balances().total.charged
        with running(driver, library, **given(sim, store=None, journal=journal)) as side:
            again = side.collect(requests(5))
    assert [True] * 5 == [result.cached for result in again]
    assert billed == sim.stats()["billed"]


def test_a_new_configuration(driver: str, library: str, sim: SimServer) -> None:
    """A halted client goes on with a new key where it stopped."""
    sim.call(lambda server: server.revoke(KEY))
    config = Config(retry=Retry(base=0.005), halts=True)
    with running(driver, library, **given(sim, config=config)) as side:
        pending = side.start(**ASKED)
        waiting_for(lambda: side.snapshot().halted is not None)
        side.on_owner(lambda: renew(side))
        assert pending.result().images
    assert left_empty(side)


def renew(side: Side) -> None:
    """What `reconfigure` does, on the driver's own thread."""
    client = side.client
    client._step(client._reconfigured(None, ["sk-another-one"], resume=True))


def test_each_answer_is_told_once(driver: str, library: str, sim: SimServer) -> None:
    """Every exchange is opened once and ends once, in this order."""
    told: list[Event] = []
    with running(driver, library, **given(sim, record_trace=lambda event, _: told.append(event))) as side:
        side.collect(requests(30))
    opened = [event.attempt for event in told if isinstance(event, Opened)]
    ended = [event.attempt for event in told if isinstance(event, Responded)]
    assert sorted(opened) == sorted(ended)
    assert 30 == len(ended) == len(set(ended))
    places = {
        (type(event), event.attempt): place for place, event in enumerate(told) if isinstance(event, Opened | Responded)
    }
    assert all(places[Opened, attempt] < places[Responded, attempt] for attempt in ended)


def test_an_input_that_gives_what_is_no_request(driver: str, library: str, sim: SimServer) -> None:
    """It is the error of its own place; the others are served."""
    request = ImageRequest(**ASKED)
    odd: list[Any] = ["text", None, (), (request,), (request, "late"), (request, Options(), 1), {}]
    asked = [*odd, ImageRequest(**{**ASKED, "prompt": "another"})]
    with running(driver, library, **given(sim)) as side:
        results = sorted(side.collect(asked), key=lambda result: result.index)
    kinds = [type(one.error) if one.error else None for one in results]
    assert [*[InvalidRequest] * 3, None, *[InvalidRequest] * 3, None] == kinds
    assert ["text", None, (), request, request, request, {}] == [one.request for one in results[:7]]
    assert "ImageRequest, str)" in str(results[4].error)


def test_options_of_ones_own(driver: str, library: str, sim: SimServer) -> None:
    """A pair of the input has options of its own; what has none takes those of the whole."""
    request = ImageRequest(**ASKED)
    asked = [(request, Options(sample=number)) for number in (0, 1, 1)]
    with running(driver, library, **given(sim)) as side:
        results = sorted(side.collect([*asked, request], options=Options(sample=1)), key=lambda result: result.index)
    first, *others = [result.images[0].data for result in results]
    assert [others[0]] * 3 == others
    assert first != others[0]
    assert 2 == sim.stats()["executed"]
