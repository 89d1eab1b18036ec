"""Three drivers behind one face: the same small operations, called from an ordinary thread.

Each asynchronous driver runs in a loop of its own thread; operations are handed over and waited for. Nothing here
decides anything: it is what a user of that driver would write.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import trio

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock.engine import Engine, Snapshot
from penstock.events import Cancelled
from penstock.ids import JobId
from penstock.requests import Options
from penstock_io._map import Item
from penstock_io.resources import Result

DRIVERS = ["threads", "asyncio", "trio"]
LIBRARIES = ["httpx2", "httpx"]
WAIT = 120.0
"""Seconds after which a test that hangs fails, which takes a busy machine no less."""


class LeaveError(Exception):
    """What makes a client be left with an exception."""


class Pending(ABC):
    """A `generate` that is under way."""

    def __init__(self) -> None:
        self.future: Future[Result] = Future()

    def result(self) -> Result:
        """Wait for it."""
        return self.future.result(WAIT)

    @abstractmethod
    def cancel(self) -> None:
        """Cancel whoever awaits it. On the driver's own thread."""

    def cancel_job(self, number: int) -> None:
        """The same where it is not the client's first job."""
        del number
        self.cancel()


class Side(ABC):
    """A client of one driver."""

    client: Any

    @abstractmethod
    def enter(self, arguments: Mapping[str, Any]) -> None:
        """Make a client and enter it."""

    @abstractmethod
    def leave(self, *, abort: bool = False) -> None:
        """Leave it normally, or with an exception."""

    @abstractmethod
    def pending(self) -> Pending:
        """The means to cancel a request that is not there yet."""

    @abstractmethod
    def begin(self, pending: Pending, arguments: Mapping[str, Any]) -> None:
        """Start a `generate`."""

    @abstractmethod
    def collect(
        self,
        requests: Iterable[Item],
        most: int | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> list[Result]:
        """Read at most `most` results of a `map`, then drop it."""

    @abstractmethod
    def on_owner(self, what: Callable[[], None]) -> None:
        """Do something on the driver's own thread."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The engine's figures."""

    @abstractmethod
    def ask(self, what: Callable[[Any], Any]) -> Any:
        """What `what` makes of the client, awaited where that is to be awaited."""

    def pass_time(self, seconds: float) -> None:
        """So many seconds pass at once for the client: what is late by then is broken off, however fast the machine is.

        For its loop and its HTTP client no time passes.
        """

        def jump() -> None:
            client: Any = self.client
            now, wake = client._now, client._wake_at
            client._now = lambda: now() + seconds
            client._wake_at = lambda deadline: wake(None if deadline is None else deadline - seconds)
            client._tick()

        self.on_owner(jump)

    def start(self, **arguments: Any) -> Pending:
        """Start a `generate` and do not wait."""
        pending = self.pending()
        self.begin(pending, arguments)
        return pending

    def generate(self, **arguments: Any) -> Result:
        """`client.images.generate`."""
        return self.start(**arguments).result()

    @property
    def engine(self) -> Engine:
        """The engine, for a look once everything is over."""
        engine: Engine = self.client.engine
        return engine


class ThreadPending(Pending):
    """A `generate` in a thread of its own."""

    def __init__(self, side: ThreadSide) -> None:
        super().__init__()
        self.side = side

    def cancel(self) -> None:
        """As above."""
        # what an interrupt of the waiting thread does; no thread can be interrupted from outside
        self.cancel_job(1)

    def cancel_job(self, number: int) -> None:
        """As above."""
        self.side.client._post(Cancelled(JobId(number)))


class ThreadSide(Side):
    """The driver for threads."""

    def enter(self, arguments: Mapping[str, Any]) -> None:
        """As above."""
        self.http = arguments["http_client"]
        self.client = penstock_io.sync.Client(**arguments).__enter__()

    def leave(self, *, abort: bool = False) -> None:
        """As above."""
        error = LeaveError() if abort else None
        self.client.__exit__(type(error) if error else None, error, None)
        self.http.close()

    def pending(self) -> Pending:
        """As above."""
        return ThreadPending(self)

    def begin(self, pending: Pending, arguments: Mapping[str, Any]) -> None:
        """As above."""

        def run() -> None:
            try:
                pending.future.set_result(self.client.images.generate(**arguments))
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                pending.future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()

    def collect(
        self,
        requests: Iterable[Item],
        most: int | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> list[Result]:
        """As above."""
        found: list[Result] = []
        for result in self.client.images.map(requests, options):
            found.append(result)
            if len(found) == most:
                break
        return found

    def on_owner(self, what: Callable[[], None]) -> None:
        """As above."""
        self.client._ask(what)

    def snapshot(self) -> Snapshot:
        """As above."""
        snapshot: Snapshot = self.client.snapshot()
        return snapshot

    def ask(self, what: Callable[[Any], Any]) -> Any:
        """As above."""
        return what(self.client)


class AsyncioPending(Pending):
    """A task that awaits a `generate`."""

    task: asyncio.Task[Result] | None = None

    def cancel(self) -> None:
        """As above."""
        if self.task is not None:
            self.task.cancel()


class AsyncioSide(Side):
    """The asyncio driver, in a loop of its own thread."""

    loop: asyncio.AbstractEventLoop
    over: asyncio.Event

    def enter(self, arguments: Mapping[str, Any]) -> None:
        """As above."""
        ready: Future[None] = Future()
        self.abort = False

        async def live() -> None:
            self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
            async with arguments["http_client"], penstock_io.asyncio.Client(**arguments) as self.client:
                ready.set_result(None)
                await self.over.wait()
                if self.abort:
                    raise LeaveError

        self.thread, self.ended = in_thread(lambda: asyncio.run(live()))
        ready.result(WAIT)

    def leave(self, *, abort: bool = False) -> None:
        """As above."""
        self.abort = abort
        self.loop.call_soon_threadsafe(self.over.set)
        left(self.ended, abort=abort)
        self.thread.join(WAIT)

    def pending(self) -> Pending:
        """As above."""
        return AsyncioPending()

    def begin(self, pending: Pending, arguments: Mapping[str, Any]) -> None:
        """As above."""
        assert isinstance(pending, AsyncioPending)

        def ended(task: asyncio.Task[Result]) -> None:
            if task.cancelled():
                pending.future.cancel()
            elif (error := task.exception()) is not None:
                pending.future.set_exception(error)
            else:
                pending.future.set_result(task.result())

        async def start() -> None:
            pending.task = asyncio.create_task(self.client.images.generate(**arguments))
            pending.task.add_done_callback(ended)

        asyncio.run_coroutine_threadsafe(start(), self.loop).result(WAIT)

    def collect(
        self,
        requests: Iterable[Item],
        most: int | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> list[Result]:
        """As above."""

        async def read() -> list[Result]:
            found: list[Result] = []
            async for result in self.client.images.map(requests, options):
                found.append(result)
                if len(found) == most:
                    break
            return found

        return asyncio.run_coroutine_threadsafe(read(), self.loop).result(2 * WAIT)

    def on_owner(self, what: Callable[[], None]) -> None:
        """As above."""

        async def do() -> None:
            what()

        asyncio.run_coroutine_threadsafe(do(), self.loop).result(WAIT)

    def snapshot(self) -> Snapshot:
        """As above."""
        snapshot: Snapshot = asyncio.run_coroutine_threadsafe(self.client.snapshot(), self.loop).result(WAIT)
        return snapshot

    def ask(self, what: Callable[[Any], Any]) -> Any:
        """As above."""

        async def wait() -> Any:
            return await what(self.client)

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result(WAIT)


class TrioPending(Pending):
    """A trio task that awaits a `generate`."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = trio.CancelScope()

    def cancel(self) -> None:
        """As above."""
        self.scope.cancel()


class TrioSide(Side):
    """The trio driver, in a run of its own thread."""

    token: trio.lowlevel.TrioToken
    over: trio.Event
    nursery: trio.Nursery

    def enter(self, arguments: Mapping[str, Any]) -> None:
        """As above."""
        ready: Future[None] = Future()
        self.abort = False

        async def live() -> None:
            self.token, self.over = trio.lowlevel.current_trio_token(), trio.Event()
            async with (
                arguments["http_client"],
                penstock_io.trio.Client(**arguments) as self.client,
                trio.open_nursery() as self.nursery,
            ):
                ready.set_result(None)
                await self.over.wait()
                if self.abort:
                    raise LeaveError

        self.thread, self.ended = in_thread(lambda: trio.run(live))
        ready.result(WAIT)

    def leave(self, *, abort: bool = False) -> None:
        """As above."""
        self.abort = abort
        trio.from_thread.run_sync(self.over.set, trio_token=self.token)
        left(self.ended, abort=abort)
        self.thread.join(WAIT)

    def pending(self) -> Pending:
        """As above."""
        return TrioPending()

    def begin(self, pending: Pending, arguments: Mapping[str, Any]) -> None:
        """As above."""
        assert isinstance(pending, TrioPending)

        async def run() -> None:
            try:
                with pending.scope:
                    pending.future.set_result(await self.client.images.generate(**arguments))
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                pending.future.set_exception(error)
            finally:
                if not pending.future.done():
                    pending.future.cancel()

        trio.from_thread.run_sync(self.nursery.start_soon, run, trio_token=self.token)

    def collect(
        self,
        requests: Iterable[Item],
        most: int | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> list[Result]:
        """As above."""

        async def read() -> list[Result]:
            found: list[Result] = []
            with trio.fail_after(2 * WAIT):
                async for result in self.client.images.map(requests, options):
                    found.append(result)
                    if len(found) == most:
                        break
            return found

        return trio.from_thread.run(read, trio_token=self.token)

    def on_owner(self, what: Callable[[], None]) -> None:
        """As above."""
        trio.from_thread.run_sync(what, trio_token=self.token)

    def snapshot(self) -> Snapshot:
        """As above."""
        snapshot: Snapshot = trio.from_thread.run(self.client.snapshot, trio_token=self.token)
        return snapshot

    def ask(self, what: Callable[[Any], Any]) -> Any:
        """As above."""

        async def wait() -> Any:
            with trio.fail_after(WAIT):
                return await what(self.client)

        return trio.from_thread.run(wait, trio_token=self.token)


def in_thread(run: Callable[[], None]) -> tuple[threading.Thread, Future[None]]:
    """A thread, and what became of it."""
    ended: Future[None] = Future()

    def live() -> None:
        try:
            run()
            ended.set_result(None)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            ended.set_exception(error)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    return thread, ended


def left(ended: Future[None], *, abort: bool) -> None:
    """Wait for the end, which is the exception that was raised inside, alone or in the nursery's group."""
    error = ended.exception(WAIT)
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is not None and not (abort and isinstance(error, LeaveError)):
        raise error


SIDES: dict[str, Callable[[], Side]] = {"threads": ThreadSide, "asyncio": AsyncioSide, "trio": TrioSide}


def http_client(driver: str, library: str) -> Any:
    """A client object as a user would pass it."""
    module: Any = {"httpx": httpx, "httpx2": httpx2}[library]
    limits = module.Limits(max_connections=None, keepalive_expiry=4.0)
    kind = module.Client if driver == "threads" else module.AsyncClient
    return kind(verify=False, trust_env=False, limits=limits)


@contextmanager
def running(driver: str, library: str, *, abort: bool = False, **arguments: Any) -> Iterator[Side]:
    """A client inside its context; left normally at the end of the block, or with an exception."""
    side = SIDES[driver]()
    side.enter({"http_client": http_client(driver, library), **arguments})
    try:
        yield side
    except BaseException:
        side.leave(abort=True)
        raise
    side.leave(abort=abort)
