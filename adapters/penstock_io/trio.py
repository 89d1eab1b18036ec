"""The trio driver: one nursery, a task an exchange, one nap whose deadline is moved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from types import TracebackType
from typing import Self, TypeVar

import trio

from penstock.errors import UsageError
from penstock.events import Cancelled, Event, Mode, Submitted
from penstock.ids import AttemptId
from penstock_io._asking import AsyncBase
from penstock_io._http import Exchange
from penstock_io._map import Feed

T = TypeVar("T")
_BESIDE = partial(trio.to_thread.run_sync, abandon_on_cancel=True)


class Client(AsyncBase):
    """A client under trio: `async with Client(base_url=..., api_keys=[...]) as client`.

    Leaving normally waits for what is out, leaving with an exception breaks it off.
    """

    async def __aenter__(self) -> Self:
        try:
            self._token = trio.lowlevel.current_trio_token()
        except RuntimeError:
            said = "trio is not running; under asyncio there is penstock_io.asyncio.Client"
            raise UsageError(said) from None
        self._idle = trio.Event()
        self._nap, self._deadline = trio.CancelScope(), inf
        self._scopes: dict[AttemptId, trio.CancelScope] = {}
        await self._set_up()
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(self._watch)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._fault is None:
            self._close(Mode.DRAIN if error is None else Mode.ABORT)
        try:
            await self._idle.wait()
        finally:
            try:
                with trio.CancelScope(shield=True):
                    if not self._idle.is_set():
                        self._close(Mode.ABORT)
                        await self._idle.wait()
                    self._nursery.cancel_scope.cancel()
                    await self._shut_down()
            finally:
                # the nursery is left as if nothing had happened, so that the caller's exception is in no group
                await self._manager.__aexit__(None, None, None)

    async def _waited(self, join: Callable[[Callable[[T | BaseException], object]], Submitted]) -> T:
        there, results = trio.Event(), list[T | BaseException]()

        def done(result: T | BaseException) -> None:
            results.append(result)
            there.set()

        submitted = join(done)
        self._step(submitted)
        try:
            await there.wait()
        except trio.Cancelled:
            self._step(Cancelled(submitted.job))
            raise
        if isinstance(results[0], BaseException):
            raise results[0]
        return results[0]

    # The driver

    async def _watch(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._deadline) as self._nap:
                await trio.sleep_forever()
            self._deadline = inf
            self._tick()

    def _now(self) -> float:
        return trio.current_time()

    def _post(self, event: Event) -> None:
        with suppress(trio.RunFinishedError):  # nobody is there to be told
            self._token.run_sync_soon(self._step, event)

    def _send(self, attempt: AttemptId, exchange: Exchange) -> None:
        self._scopes[attempt] = trio.CancelScope()
        self._nursery.start_soon(self._fly, attempt, exchange)

    async def _fly(self, attempt: AttemptId, exchange: Exchange) -> None:
        try:
            with self._scopes[attempt]:
                await exchange.arun(self._http, partial(self._heard, attempt), _BESIDE)
        finally:
            del self._scopes[attempt]
            self._over(attempt)

    def _abort(self, attempt: AttemptId) -> None:
        if attempt in self._scopes:
            self._scopes[attempt].cancel()

    def _wake_at(self, deadline: float | None) -> None:
        self._nap.deadline = self._deadline = inf if deadline is None else deadline

    def _leave(self) -> None:
        self._idle.set()

    # The loop

    def _event(self) -> trio.Event:
        return trio.Event()

    async def _breathe(self) -> None:
        await trio.lowlevel.checkpoint()

    async def _beside(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work)

    def _spawn(self, feed: Feed) -> Callable[[], object]:
        scope = trio.CancelScope()

        async def fed() -> None:
            with scope:
                await feed()

        self._nursery.start_soon(fed)
        return scope.cancel
