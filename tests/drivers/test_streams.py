"""Pictures with previews, over every driver and both HTTP libraries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import InvalidRequest, ProviderError
from penstock.outcomes import Source, Status
from penstock.readings import Verdict
from penstock.requests import ImageRequest, Options
from penstock.simulation.painter import paint
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Screen
from penstock_io.journal import Journal
from penstock_io.previews import Preview
from penstock_io.resources import Result
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from tests.drivers.harness import WAIT, Side, running

QUICK = ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0)
CAT = {"prompt": "a cat", "model": "gpt-image-2", "size": "1024x1024", "quality": "low"}
PREVIEW = 100 * 30_000_000
"""What a preview costs, picodollars."""

Between = Callable[[Preview | Result], object]


@pytest.fixture
def provider() -> Iterator[SimServer]:
    """A provider of 20 ms a picture."""
    with serving(QUICK) as sim:
        yield sim


def watch(
    side: Side, driver: str, most: int | None = None, between: Between = lambda _: None, **more: Any
) -> list[Preview | Result]:
    """What a stream brings, at most so many items; `between` sees each before the next is asked for."""

    def read(client: Any) -> list[Preview | Result]:
        found: list[Preview | Result] = []
        for item in islice(client.images.stream(**{**CAT, **more}), most):
            between(item)
            found.append(item)
        return found

    async def aread(client: Any) -> list[Preview | Result]:
        found: list[Preview | Result] = []
        async for item in client.images.stream(**{**CAT, **more}):
            between(item)
            found.append(item)
            if len(found) == most:
                break
        return found

    found: list[Preview | Result] = side.ask(read if driver == "threads" else aread)
    return found


def seen(items: list[Preview | Result]) -> list[tuple[int, int]]:
    """Which previews they begin with."""
    return [(item.index, item.partial_index) for item in items if isinstance(item, Preview)]


def result(items: list[Preview | Result]) -> Result:
    """What they end with."""
    last = items[-1]
    assert isinstance(last, Result)
    assert len(seen(items)) == len(items) - 1
    return last


def left(side: Side) -> int:
    """How many payloads the client still holds."""
    return len(vars(side.client._payloads)["_bytes"])


def test_previews_come_and_then_the_result(driver: str, library: str, provider: SimServer) -> None:
    """Two previews, then the picture with its price; nothing is left of either in the client."""
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        items = watch(side, driver, partial_images=2)
    assert [(0, 0), (0, 1)] == seen(items)
    ended = result(items)
    assert Status.COMPLETED == ended.outcome.status
    (picture,) = ended.images
    previews = [item for item in items if isinstance(item, Preview)]
    assert 3 == len({picture.data, *(preview.data for preview in previews)})
    assert ["png", "png"] == [preview.format for preview in previews]
    plain = 196 * 30_000_000 + (8 + 5 // 4) * 5_000_000
    assert (plain + 2 * PREVIEW, 0) == (ended.outcome.charge, ended.outcome.maybe)
    assert plain + 2 * PREVIEW == provider.stats()["billed"]
    assert 0 == left(side)
    assert side.engine.snapshot().at_rest


def test_a_preview_is_there_before_the_picture_is(driver: str, library: str, provider: SimServer) -> None:
    """The provider sends one event and then nothing, until that one was read."""
    provider.hold()
    provider.release(1)
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        items = watch(side, driver, between=lambda _: provider.release(), partial_images=1)
    assert [(0, 0)] == seen(items)
    assert Status.COMPLETED == result(items).outcome.status


def test_each_picture_has_its_own_previews(driver: str, library: str, provider: SimServer) -> None:
    """Three pictures are three calls; a preview says which picture it is of."""
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        items = watch(side, driver, partial_images=1, n=3)
    assert [(0, 0), (1, 0), (2, 0)] == sorted(seen(items))
    assert 3 == len(result(items).images) == provider.stats()["executed"]


def test_what_nobody_hears_is_not_asked_for(driver: str, library: str, provider: SimServer) -> None:
    """A request with previews in a `map` brings its picture, and costs what a plain one costs."""
    asked = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low", partial_images=3)
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        (done,) = side.collect([asked])
    assert done.usage is not None
    assert (196, asked, 1) == (done.usage.output_image, done.request, len(done.images))


def test_an_edit_streams(driver: str, library: str, provider: SimServer) -> None:
    """From an image as bytes."""
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        items = watch(side, driver, image=paint("a cat", "512x512", "low", 1), partial_images=1)
    assert [(0, 0)] == seen(items)
    assert "images.edit" == result(items).request.operation


def test_a_server_without_streams_is_asked_without(driver: str, library: str) -> None:
    """It refuses once; the same call goes without, and the next does not ask for a stream at all. Both say so."""
    said = "refused to be told stream: it was asked otherwise"
    with (
        serving(ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0, streams=False)) as sim,
        running(driver, library, base_url=sim.base_url, api_keys=["key"]) as side,
    ):
        for prompt in ("a cat", "a dog"):
            items = watch(side, driver, prompt=prompt)
            assert [] == seen(items)
            (warning,) = result(items).warnings
            assert warning.endswith(said)
        stats = sim.stats()
    assert ({"invalid": 1}, 2, 3) == (stats["rejected"], stats["executed"], stats["received"])


@pytest.mark.parametrize("fault", ["stream_error", "stream_cut"])
def test_a_stream_that_breaks_after_a_preview_is_not_bought_again(
    driver: str, library: str, provider: SimServer, fault: str
) -> None:
    """Its caller saw it begin; what it may have cost stays in the books."""
    provider.call(lambda server: server.inject(fault))
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        before: list[Preview | Result] = []
        with pytest.raises(ProviderError) as caught:
            watch(side, driver, between=before.append)
    assert [(0, 0)] == seen(before)
    outcome = caught.value.outcome
    assert outcome is not None
    assert outcome.error is not None
    assert ("broken_stream", True) == (outcome.error.kind, outcome.maybe > 0)
    assert 1 == provider.stats()["received"]
    assert 0 == left(side)


def test_a_stream_that_breaks_before_anything_came_is_tried_again(
    driver: str, library: str, provider: SimServer
) -> None:
    """As any exchange that may have been executed: once more, within the allowance."""
    provider.call(lambda server: server.inject("stream_cut"))
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        items = watch(side, driver, partial_images=0)
    assert [] == seen(items)
    assert (Status.COMPLETED, 2) == (result(items).outcome.status, provider.stats()["received"])


@pytest.mark.parametrize(("fault", "previews"), [("stream_hurry", 0), ("stream_undone", 2)])
def test_fewer_previews_and_no_last_word_are_no_fault(
    driver: str, library: str, provider: SimServer, fault: str, previews: int
) -> None:
    """The picture counts."""
    provider.call(lambda server: server.inject(fault))
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        items = watch(side, driver)
    assert (previews, Status.COMPLETED) == (len(seen(items)), result(items).outcome.status)


def test_who_leaves_early_finds_the_picture_stored(driver: str, library: str, provider: SimServer) -> None:
    """The stream is dropped after its first preview; what is paid arrives, and is not bought again."""
    store = MemoryStore()
    with running(driver, library, base_url=provider.base_url, api_keys=["key"], store=store) as side:
        assert [(0, 0)] == seen(watch(side, driver, most=1))
    with running(driver, library, base_url=provider.base_url, api_keys=["key"], store=store) as side:
        items = watch(side, driver)
    assert ([], Status.CACHED, 1) == (seen(items), result(items).outcome.status, provider.stats()["executed"])


def test_who_asks_for_the_same_plainly_has_what_a_stream_buys(driver: str, library: str, provider: SimServer) -> None:
    """One picture is made; the stream has its previews, the other only the picture."""
    provider.hold()
    provider.release(1)
    begun = threading.Event()
    with (
        running(driver, library, base_url=provider.base_url, api_keys=["key"], store=MemoryStore()) as side,
        ThreadPoolExecutor(1) as pool,
    ):
        watching = pool.submit(watch, side, driver, between=lambda _: begun.set())
        assert begun.wait(WAIT)
        follower = side.start(**CAT)
        provider.release()
        items = watching.result(WAIT)
        (picture,) = follower.result().images
    assert 2 == len(seen(items))
    assert picture.source in {Source.SHARED, Source.STORED}
    assert ([picture.data], 1) == ([image.data for image in result(items).images], provider.stats()["executed"])


def test_what_a_screen_must_see_first_has_no_previews(driver: str, library: str, provider: SimServer) -> None:
    """Nothing unscreened is shown; the previews are let go."""
    screens = (Screen("looks fine", picture=True, hook="look"),)
    with running(
        driver,
        library,
        base_url=provider.base_url,
        api_keys=["key"],
        hooks={"look": lambda _: Verdict(passed=True, policy="looks fine")},
    ) as side:
        items = watch(side, driver, options=Options(screens=screens))
    assert ([], Status.COMPLETED) == (seen(items), result(items).outcome.status)
    assert 0 == left(side)


def test_with_a_journal_previews_leave_no_files(driver: str, library: str, provider: SimServer, tmp_path: Path) -> None:
    """They pass through files that are gone when the client is."""
    with (
        Journal.open(tmp_path) as journal,
        running(driver, library, base_url=provider.base_url, api_keys=["key"], journal=journal) as side,
    ):
        items = watch(side, driver)
        (image,) = result(items).images
        assert 2 == len(seen(items))
        assert image.data.startswith(b"\x89PNG")
    assert [] == list(tmp_path.rglob(".tmp-*"))


def test_what_cannot_be_asked_for_is_said_at_the_first_step(driver: str, library: str, provider: SimServer) -> None:
    """By `InvalidRequest`, and nothing is sent."""
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        with pytest.raises(InvalidRequest, match="partial_images"):
            watch(side, driver, partial_images=4)
        with pytest.raises(InvalidRequest, match="size"):
            watch(side, driver, size="7x7")
        with pytest.raises(InvalidRequest, match="image"):
            watch(side, driver, image=b"no image")
    assert 0 == provider.stats()["received"]
