"""One request through the client for threads, with a Ctrl-C that lets what is paid arrive."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from decimal import Decimal
from threading import Thread, current_thread, main_thread

from attrs import frozen

from penstock.catalog import model as known_model
from penstock.config import Config
from penstock.errors import InvalidRequest
from penstock.ids import Handle
from penstock.prepare import prepare
from penstock.requests import ImageRequest, Options, Refusal
from penstock_io._futures import answer
from penstock_io._setup import PROVIDER
from penstock_io.batch.progress import Level
from penstock_io.cli.config import Connection, Values, model_of
from penstock_io.cli.console import Console
from penstock_io.cli.options import (
    BACKGROUND,
    COMPRESSION,
    MODERATION,
    OUTPUT_FORMAT,
    QUALITY,
    SEED,
    SIZE,
    N,
)
from penstock_io.cli.words import count
from penstock_io.resources import Result
from penstock_io.sync import Client

LOOK = 0.2
"""Seconds after which a wait looks up, because on some systems a wait without end hears no Ctrl-C."""


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
    )


def _said(model: str, format_: str | None) -> str | None:
    """The format, where the model can be told. What no catalog knows may not take it: png is what everybody sends."""
    known = known_model(model)
    if known is None:
        return None if format_ == "png" else format_
    return format_ if "output_format" in known.parameters else None


def bound_of(request: ImageRequest) -> int | None:
    """The most that all its pictures cost, in picodollars; None where it is not known. Raises `InvalidRequest`."""
    made = prepare(request, Options(), Config(), handle=Handle(0), unix=time.time(), provider=PROVIDER)
    if isinstance(made, Refusal):
        raise InvalidRequest(made.message, field=made.field)
    quote = made.work.targets[0].quote
    return None if quote is None else quote * request.n


def ask_for(request: ImageRequest, connection: Connection, budget: Decimal | None, console: Console) -> Bought:
    """Buy it and wait. Interrupted once, what is out is awaited; interrupted again, it is broken off."""
    begun = time.monotonic()
    asking = interrupted = False
    waiter: Future[Result] = Future()
    with _ending():
        try:
            client = Client(connection.base_url, connection.keys, headers=connection.headers, budget=budget)
            with client:
                asked = client.images.map([request])
                Thread(target=answer, args=(waiter, asked.__next__), name="penstock-generate", daemon=True).start()
                asking = True
                try:
                    _wait(waiter)
                except KeyboardInterrupt:
                    interrupted = True
                    console.tell(_told(client.snapshot().in_flight), Level.WARNING)
                # leaving the client sends nothing new and waits for what is out; Ctrl-C breaks that off, too
        except KeyboardInterrupt:
            if not asking:
                raise
            interrupted = True
            console.tell("interrupted again: what was out is broken off, and may have been billed", Level.WARNING)
        return Bought(waiter.result(timeout=60), time.monotonic() - begun, interrupted)


def _told(out: int) -> str:
    requests = count(out, "request")
    return (
        f"interrupted: nothing new is sent; waiting for {requests} that {'is' if out == 1 else 'are'} out and paid for "
        "(interrupt again to break off)"
        if out
        else "interrupted: nothing was out"
    )


def _wait(waiter: Future[Result]) -> None:
    while not waiter.done():
        try:
            waiter.exception(timeout=LOOK)
        except TimeoutError:
            continue


@contextmanager
def _ending() -> Generator[None]:
    """Have a request to end (SIGTERM) do what Ctrl-C does. Only the main thread hears of them."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
