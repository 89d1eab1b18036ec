"""The asyncio driver: one loop, a task an exchange, one timer.

What an exchange came to is told by its task's done callback: a task cancelled before its first step runs no code at
all, not even `finally`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from penstock.errors import UsageError
from penstock.events import Cancelled, Event, Mode, Submitted
from penstock.ids import AttemptId
from penstock_io._asking import AsyncBase
from penstock_io._http import Exchange
from penstock_io._map import Feed

T = TypeVar("T")


class Client(AsyncBase):
    """A client under asyncio: `async with Client(base_url=..., api_keys=[...]) as client`.

    Leaving normally waits for what is out, leaving with an exception breaks it off. Used from the loop that entered it.
    """

    async def __aenter__(self) -> Self:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            said = "no loop of asyncio is running; under trio there is penstock_io.trio.Client"
            raise UsageError(said) from None
        self._idle = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: dict[AttemptId, asyncio.Task[Event]] = {}
        self._feeders: set[asyncio.Task[None]] = set()
        await self._set_up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._fault is None:
            self._close(Mode.DRAIN if error is None else Mode.ABORT)
        try:
            await self._idle.wait()
        except asyncio.CancelledError:
            self._close(Mode.ABORT)
            await self._idle.wait()
            raise
        finally:
            self._wake_at(None)
            for task in (*self._feeders, *self._tasks.values()):
                task.cancel()
            await self._shut_down()

    async def _waited(self, join: Callable[[Callable[[T | BaseException], object]], Submitted]) -> T:
        waiter: asyncio.Future[T] = self._loop.create_future()
        submitted = join(partial(_settle, waiter))
        try:
            self._step(submitted)
        except BaseException:
            if waiter.done():
                waiter.exception()  # it is the same; a loop complains of what nobody takes
            raise
        try:
            return await waiter
        except asyncio.CancelledError:
            self._step(Cancelled(submitted.job))
            raise

    # The driver

    def _now(self) -> float:
        return self._loop.time()

    def _post(self, event: Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            self._loop.call_soon_threadsafe(self._step, event)

    def _send(self, attempt: AttemptId, exchange: Exchange) -> None:
        task = self._loop.create_task(exchange.arun(self._http, partial(self._heard, attempt), asyncio.to_thread))
        self._tasks[attempt] = task
        task.add_done_callback(partial(self._ended, attempt))

    def _ended(self, attempt: AttemptId, task: asyncio.Task[Event]) -> None:
        del task, self._tasks[attempt]
        self._over(attempt)

    def _abort(self, attempt: AttemptId) -> None:
        if attempt in self._tasks:
            self._tasks[attempt].cancel()

    def _wake_at(self, deadline: float | None) -> None:
        if self._timer is not None:
            if self._timer.when() == deadline and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._rung)

    def _rung(self) -> None:
        self._timer = None
        self._tick()

    def _leave(self) -> None:
        self._idle.set()

    # The loop

    def _event(self) -> asyncio.Event:
        return asyncio.Event()

    async def _breathe(self) -> None:
        await asyncio.sleep(0)

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def _spawn(self, feed: Feed) -> Callable[[], object]:
        task = self._loop.create_task(feed())
        self._feeders.add(task)
        task.add_done_callback(self._feeders.discard)
        return task.cancel


def _settle(waiter: asyncio.Future[T], result: T | BaseException) -> None:
    if waiter.done():
        return  # whoever waited has left
    if isinstance(result, BaseException):
        waiter.set_exception(result)
    else:
        waiter.set_result(result)
