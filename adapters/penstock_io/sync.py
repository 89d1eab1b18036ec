"""The driver for plain threads: one owner thread whose queue is timer, wake-up and exclusion at once.

Callers wait on futures; the owner alone touches the engine. Each exchange has a thread of a pool and a connection of
its own, so that an Abort can shut its socket down from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from penstock.events import Cancelled, Event, Mode, Submitted
from penstock.ids import AttemptId
from penstock_io._asking import SyncBase
from penstock_io._futures import Gone, answer, settle, wait
from penstock_io._http import Exchange, open_client

T = TypeVar("T")

LONGEST = 3600.0  # seconds after which the owner looks up even if nothing is due: a queue cannot wait for ever
THREADS = 1024  # how many exchanges can be out at a time; what the engine sends beyond that waits for a thread


class Client(SyncBase):
    """A client for plain threads: `with Client(base_url=..., api_keys=[...]) as client`. Any thread may use it.

    Leaving normally waits for what is out, leaving with an exception breaks it off.
    """

    alone = True
    entered = "with Client(...) as client"

    def __enter__(self) -> Self:
        self._queue: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._due: float | None = None
        self._gone = False
        self._done: SimpleQueue[None] = SimpleQueue()
        self._futures: dict[AttemptId, Future[Event]] = {}
        self._http = self._ready(open_client)
        try:
            self._open()
        except BaseException:
            if self._given is None:
                self._http.close()
            raise
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="penstock-exchange")
        self._owner = Thread(target=self._own, name="penstock", daemon=True)
        self._owner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._queue.put(partial(self._close, Mode.DRAIN if error is None else Mode.ABORT))
            # not join(): interrupted once, it takes a living thread for a stopped one; no event: see _futures
            self._done.get()
        except KeyboardInterrupt:  # while draining
            self._queue.put(partial(self._close, Mode.ABORT))
            self._done.get()
            raise
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)
            try:
                self._shut()
            finally:
                if self._given is None:
                    self._http.close()

    def _waited(self, join: Callable[[Callable[[T | BaseException], object]], Submitted]) -> T:
        waiter: SimpleQueue[T | BaseException] = SimpleQueue()
        submitted = join(partial(settle, waiter))
        self._post(submitted)
        try:
            return self._wait(waiter)
        except KeyboardInterrupt:
            self._post(Cancelled(submitted.job))
            raise

    def _ask(self, question: Callable[[], T]) -> T:
        self._unless_broken()
        waiter: SimpleQueue[T | BaseException] = SimpleQueue()
        self._queue.put(partial(answer, waiter, question))
        return self._wait(waiter)

    def _wait(self, waiter: SimpleQueue[T | BaseException]) -> T:
        """Wait for the owner. Raises `UsageError` where it left without an answer, with the cause if there is one."""
        try:
            return wait(waiter, self._owner)
        except Gone:
            self._unless_broken()
            raise

    # The driver

    def _own(self) -> None:
        try:
            while not self._gone:
                left = LONGEST if self._due is None else min(LONGEST, max(0.0, self._due - monotonic()))
                try:
                    told = self._queue.get(timeout=left)
                except Empty:
                    told = self._tick
                told()
            while not self._queue.empty():
                self._queue.get()()
        finally:
            self._done.put(None)
            self._done.put(None)  # who was interrupted just when he took the first looks once more

    def _now(self) -> float:
        return monotonic()

    def _post(self, event: Event) -> None:
        self._queue.put(partial(self._step, event))

    def _send(self, attempt: AttemptId, exchange: Exchange) -> None:
        def heard(event: Event) -> None:
            self._queue.put(partial(self._heard, attempt, event))

        future = self._futures[attempt] = self._threads.submit(exchange.run, self._http, heard)
        future.add_done_callback(lambda _: self._queue.put(partial(self._ended, attempt)))

    def _ended(self, attempt: AttemptId) -> None:
        self._futures.pop(attempt, None)
        self._over(attempt)

    def _abort(self, attempt: AttemptId) -> None:
        exchange = self._out.get(attempt)
        if exchange is None or self._futures[attempt].cancel():
            return  # never begun: its done callback says so
        if exchange.progress.stop():
            self._queue.put(partial(self._over, attempt))

    def _wake_at(self, deadline: float | None) -> None:
        self._due = deadline

    def _leave(self) -> None:
        self._gone = True
