"""The public API as its users see it: checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import httpx2

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock.commands import Notice
from penstock.config import Limits
from penstock.engine import Snapshot
from penstock.errors import (
    ContentRefused,
    Halted,
    InvalidRequest,
    JobError,
    NotStored,
    PenstockError,
    QueueFull,
    ScreenFailed,
)
from penstock.events import Event
from penstock.outcomes import Outcome, Route, Trouble
from penstock.readings import Usage, Verdict
from penstock.requests import ImageRequest, InputImage, Options
from penstock.work import OnAmbiguous, Screen
from penstock_io._perform import Question
from penstock_io.journal import Journal
from penstock_io.previews import Preview, TextDelta
from penstock_io.resources import Image, Result
from penstock_io.stores.memory import MemoryStore


def use(*things: object) -> None:
    """Whatever a program does with it."""


def no_cats(question: Question) -> Verdict:
    """A screen."""
    return Verdict(passed=question.request is not None and "cat" not in question.request.prompt)


def hear(event: Event, now: float) -> None:
    """A trace."""
    use(event, now)


def told(notice: Notice) -> None:
    """A subscriber."""
    use(notice)


def read(result: Result) -> None:
    """All that a result says."""
    images: tuple[Image, ...] = result.images
    data: bytes = images[0].data
    path: Path = images[0].save("a.png")
    cost: Decimal | None = result.cost
    usage: Usage | None = result.usage
    outcome: Outcome = result.outcome
    error: PenstockError | None = result.error
    place: tuple[int, ImageRequest] = (result.index, result.request)
    flags: tuple[bool, int, tuple[str, ...]] = (result.cached, result.attempts, result.warnings)
    route: Route | None = result.route
    where: tuple[str, str, int] | None = None if route is None else (route.provider, route.model, route.place)
    use(data, path, cost, usage, outcome, error, place, flags, where)


def help_out(error: PenstockError) -> str:
    """What a program may read of an error."""
    if not isinstance(error, InvalidRequest | JobError) or error.outcome is None or error.outcome.error is None:
        return str(error)
    trouble: Trouble = error.outcome.error
    request_id: str | None = trouble.request_id
    named = isinstance(error, Halted | ScreenFailed | NotStored | QueueFull)
    return f"{trouble.text} {trouble.message} {trouble.remedy} {request_id} {named}"


def threads(folder: Path) -> None:
    """The client for threads."""
    request = ImageRequest(prompt="a cat", model="gpt-image-2")
    with (
        Journal.open(folder) as journal,
        httpx.Client() as http,
        penstock_io.sync.Client(
            base_url="https://api.openai.com/v1",
            api_keys={"mine": "sk-1"},
            http_client=http,
            journal=journal,
            limits=Limits(rpm=5, ipm=5),
            hooks={"no cats": no_cats},
            budget=Decimal(200),
            on_ambiguous=OnAmbiguous.SKIP,
            record_trace=hear,
            notices=told,
            headers={"OpenAI-Organization": "org-1"},
        ) as client,
    ):
        try:
            read(client.images.generate(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low", n=2))
        except ContentRefused as refused:
            use(refused.outcome)
        except JobError as error:
            use(error.outcome.error)
        for result in client.images.map([request], Options(screens=(Screen("cats 1", hook="no cats"),))):
            read(result)
        for result in client.images.map([request, (request, Options(sample=1))]):
            read(result)
        for result in client.images.map((request, Options(sample=number)) for number in range(2)):
            read(result)
        edited = client.images.edit(image=[Path("a.png"), b"", "b.png"], prompt="red", model="gpt-image-2")
        read(edited.edit("make the sky red", mask="mask.png").edit("and add a boat"))
        read(client.images.edit(image=edited.images[0], mask=InputImage.of(b""), prompt="red", model="gpt-image-2"))
        for item in client.images.stream(prompt="a cat", model="gpt-image-2", partial_images=1, image=Path("a.png")):
            if isinstance(item, Preview):
                use(item.index, item.partial_index, item.data, item.format, item.save("a.png"))
            else:
                read(item.edit("make the sky red"))
        for piece in client.chat.stream(messages="hello", model="gpt-4o-mini"):
            use((piece.index, piece.text) if isinstance(piece, TextDelta) else piece.text)
        snapshot: Snapshot = client.snapshot()
        for asked, waiting in client.explain():
            use(asked.operation, waiting.reason, waiting.until)
        client.reconfigure(api_keys=["sk-2"], resume=True)
        client.reconfigure(without={"mine": "sk-1"}, limits=Limits(rpm=50, ipm=5))
        use(snapshot.at_rest)


async def source() -> AsyncIterator[ImageRequest]:
    """An asynchronous input."""
    yield ImageRequest(prompt="a cat", model="gpt-image-2")


async def pairs() -> AsyncIterator[tuple[ImageRequest, Options]]:
    """An asynchronous input of requests with options of their own."""
    yield ImageRequest(prompt="a cat", model="gpt-image-2"), Options(sample=1)


async def asyncio() -> None:
    """The client for asyncio."""
    async with (
        httpx2.AsyncClient() as http,
        penstock_io.asyncio.Client("https://api.openai.com/v1", ["sk-1"], http_client=http) as client,
    ):
        read(await client.images.generate(prompt="a cat", model="gpt-image-2"))
        async for result in client.images.map(source()):
            read(result)
        async for result in client.images.map(pairs()):
            read(result)
        edited = await client.images.edit(image="https://x.example/a.png", prompt="red", model="gpt-image-2")
        read(await (await edited.edit("make the sky red")).edit("and add a boat", options=Options(tenant="acme")))
        coming = client.images.stream(prompt="a cat", model="gpt-image-2")
        async for item in coming:
            use(item.save("a.png") if isinstance(item, Preview) else await item.edit("make the sky red"))
        dropped: int = coming.dropped
        await coming.aclose()
        async for piece in client.chat.stream(messages="hello", model="gpt-4o-mini"):
            use(dropped, (piece.index, piece.text) if isinstance(piece, TextDelta) else piece.choices)
        results = client.images.map(iter([ImageRequest(prompt="a cat", model="gpt-image-2")]))
        await results.aclose()
        use((await client.snapshot()).money, await client.explain(10))
        await client.reconfigure(client.config, resume=True)
        await client.reconfigure(api_keys=["sk-2"], without=["sk-1"], limits=Limits(ipm=20))


async def trio() -> None:
    """The client for trio."""
    async with penstock_io.trio.Client("https://api.openai.com/v1", ["sk-1"], store=MemoryStore()) as client:
        read(await client.images.generate(prompt="a cat", model="gpt-image-2", options=Options(tenant="acme")))
        async for result in client.images.map([ImageRequest(prompt="a cat", model="gpt-image-2")]):
            read(result)
