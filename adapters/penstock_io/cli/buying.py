"""One request through a client, with a Ctrl-C that lets what is paid arrive."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from threading import current_thread, main_thread

from attrs import field, frozen

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.catalog import model as known_model
from penstock.config import Config
from penstock.errors import InvalidRequest, JobError, UsageError
from penstock.events import Mode
from penstock.requests import ImageRequest, Options, Unsaid
from penstock_io.asyncio import Client
from penstock_io.batch.funds import Funds
from penstock_io.batch.progress import Level
from penstock_io.cli.config import Values
from penstock_io.cli.connecting import Connection, model_of
from penstock_io.cli.console import Console
from penstock_io.cli.options import (
    BACKGROUND,
    COMPRESSION,
    GUIDANCE,
    MODERATION,
    NEGATIVE,
    OUTPUT_FORMAT,
    PREVIEWS,
    QUALITY,
    SEED,
    SIZE,
    STEPS,
    N,
)
from penstock_io.cli.saving import Files, save_preview
from penstock_io.lessons import place
from penstock_io.previews import Preview
from penstock_io.resources import Result, refused
from penstock_io.words import count


@frozen
class Bought:
    """What became of a request, after `seconds`; `interrupted` where somebody wanted to end it."""

    result: Result
    seconds: float
    interrupted: bool


def request_of(values: Values, prompt: str, format_: str | None) -> ImageRequest:
    """The request that the options say; `format_` is of the file's name. Raises `InvalidRequest`, `OptionError`."""
    model = model_of(values)
    return ImageRequest(
        prompt=prompt,
        model=model,
        size=values.get(SIZE),
        quality=values.get(QUALITY),
        n=values.get(N) or 1,
        background=values.get(BACKGROUND),
        moderation=values.get(MODERATION),
        output_format=values.get(OUTPUT_FORMAT) or _said(model, format_),
        output_compression=values.get(COMPRESSION),
        seed=values.get(SEED),
        partial_images=values.get(PREVIEWS) or None,
        negative_prompt=values.get(NEGATIVE),
        steps=values.get(STEPS),
        guidance=values.get(GUIDANCE),
    )


def _said(model: str, format_: str | None) -> str | None:
    """The format, where the model can be told. What no catalog knows may not take it: png is what everybody sends."""
    known = known_model(model)
    if known is None:
        return None if format_ == "png" else format_
    return format_ if "output_format" in known.parameters else None


@frozen
class Spending:
    """What may be spent: dollars at most (None: any amount), also on what has no price; and the user's own prices.

    `funds` is what may be spent besides, `unsaid` what is done with what the provider has no words for.
    """

    budget: Decimal | None = None
    unknown: bool = False
    prices: Overrides = NO_OVERRIDES
    funds: Funds = field(factory=Funds)
    unsaid: Unsaid = Unsaid.DROP

    @property
    def bounded(self) -> bool:
        """Whether only what has a known price is sent."""
        return (self.budget is not None or self.funds.capped) and not self.unknown


Ask = Callable[[ImageRequest, Connection, Spending], Bought]
"""Buys a request and waits."""


class Previews:
    """Saves previews while they come, beside where the pictures go; `paths` are those that are there."""

    def __init__(self, files: Files, console: Console) -> None:
        self.files = files
        self.paths: list[Path] = []
        self._console = console

    def came(self, preview: Preview) -> None:
        """One has come."""
        path = save_preview(self.files, preview)
        if path is None:
            self._console.tell("a preview cannot be written beside the picture", Level.WARNING)
        else:
            self.paths.append(path)
            self._console.tell(f"preview: {path}")


Seen = Callable[[Preview], object]
"""Takes a preview when it has come."""


def unseen(preview: Preview) -> None:
    """Takes no preview."""
    del preview


@contextmanager
def asking(console: Console, seen: Seen = unseen) -> Generator[Ask]:
    """Ask for one request within the block, and save there what came: no interrupt loses what is paid.

    Interrupted once, what is out is awaited; interrupted again, it is broken off. The third one ends the process.
    """
    buying = _Buying(console, seen)

    def ask(request: ImageRequest, connection: Connection, spending: Spending) -> Bought:
        return asyncio.run(buying.work(request, connection, spending))

    with _ending(buying.signalled):
        yield ask


class _Buying:
    """One request on its way; the asynchronous client can be told to end while somebody waits for it."""

    def __init__(self, console: Console, seen: Seen) -> None:
        self._console, self._seen = console, seen
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals = self._interrupts = 0

    async def work(self, request: ImageRequest, connection: Connection, spending: Spending) -> Bought:
        """Ask for it, and wait."""
        begun = time.monotonic()
        self._loop = asyncio.get_running_loop()
        client = Client(
            connection.base_url,
            connection.keys,
            headers=connection.headers,
            dialect=connection.dialect,
            query=connection.query,
            ledger=spending.funds.ledger,
            limits=connection.limits,
            config=Config(connection.credentials, budget=spending.funds.budget(unknown=spending.unknown)),
            budget=spending.budget,
            prices=spending.prices,
            lessons=place(os.environ, connection.base_url),
        )
        async with client:
            self._client = client
            if self._signals:  # it came before there was anything to end
                raise KeyboardInterrupt
            options = Options(unsaid=spending.unsaid)
            if request.partial_images is None:
                result: Result = await anext(client.images.map([request], options))
            else:
                result = await self._watched(client, request, options)
            self._client = None
        return Bought(result, time.monotonic() - begun, self._interrupts > 0)

    async def _watched(self, client: Client, request: ImageRequest, options: Options) -> Result:
        """The same with previews while it is made."""
        coming = client.images.stream(
            prompt=request.prompt,
            model=request.model,
            partial_images=request.partial_images or 0,
            image=list(request.images) or None,
            mask=request.mask,
            size=request.size,
            quality=request.quality,
            n=request.n,
            background=request.background,
            moderation=request.moderation,
            input_fidelity=request.input_fidelity,
            output_format=request.output_format,
            output_compression=request.output_compression,
            seed=request.seed,
            negative_prompt=request.negative_prompt,
            steps=request.steps,
            guidance=request.guidance,
            options=options,
        )
        try:
            async for one in coming:
                if isinstance(one, Result):
                    return one
                self._seen(one)
        except JobError as error:
            return Result(request, error.outcome, (), error)
        except InvalidRequest as error:
            return refused(request, error, 0)
        raise UsageError("the stream ended without a result")

    def signalled(self) -> None:
        """A signal came. The third one ends the process as usual."""
        self._signals += 1
        if self._signals > 2:
            raise KeyboardInterrupt
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: there is nothing left to end
                self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        client = self._client
        if client is None:
            return
        self._interrupts += 1
        if self._interrupts == 1:
            out = client.engine.snapshot().in_flight
            what = f"waiting for {count(out, 'request')} on the way and paid for (interrupt again to break off)"
            self._console.tell(f"interrupted: nothing new is sent; {what if out else 'nothing was out'}", Level.WARNING)
            client.end(Mode.DRAIN)
        else:
            self._console.tell("interrupted again: what was out is broken off, and may have been billed", Level.WARNING)
            client.end(Mode.ABORT)


@contextmanager
def _ending(signalled: Callable[[], object]) -> Generator[None]:
    """Have Ctrl-C and a request to end (SIGTERM) tell, not break off. Only the main thread hears of them."""
    if current_thread() is not main_thread():
        yield
        return

    def heard(number: int, frame: object) -> None:
        del number, frame
        signalled()

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
