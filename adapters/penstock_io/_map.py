"""Many requests at a time: input drawn as far as the engine has an appetite, results as they come, memory bounded.

At most `UNREAD` results wait to be read before no more input is drawn; one request is always out, so that a line filled
by others does not stop this one for good. The iterator that a user holds is apart from what the client holds, so that
dropping it (leaving a `for` loop early) is noticed and gives up what is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from enum import Enum
from queue import SimpleQueue
from typing import Protocol, Self, cast

from attrs import frozen

from penstock.errors import InvalidRequest, UsageError
from penstock.events import Cancelled, Event, Submitted
from penstock.ids import JobId
from penstock.requests import ImageRequest, Options
from penstock_io._ends import Done
from penstock_io.refining import AsyncResult, SyncResult
from penstock_io.resources import Result, refused

UNREAD = 64
"""How many results may wait to be read before no more input is drawn."""

Item = ImageRequest | tuple[ImageRequest, Options]
"""What the input of a `map` gives: a request, or a request with options of its own."""


class End(Enum):
    """The input is over; no input can give this."""

    END = "end"


class Bell(Protocol):
    """An event of either library."""

    def set(self) -> object: ...

    async def wait(self) -> object: ...


Feed = Callable[[], Coroutine[object, object, None]]
"""A task to be run beside its caller's."""


@frozen
class Port:
    """What a `map` needs of a client: to make a job ready, to tell of it from any thread, how many more are wanted.

    `made` is a result as the client gives it.
    """

    join: Callable[[ImageRequest, Options, Done, int], Submitted]
    post: Callable[[Event], None]
    appetite: Callable[[], int]
    made: Callable[[Result], SyncResult]


@frozen
class AsyncPort:
    """The same on a loop, where `step` tells at once. `spawn` starts a task and returns what cancels it.

    `bells` are rung whenever a job has ended, `event` makes an event, `breathe` lets others run.
    """

    join: Callable[[ImageRequest, Options, Done, int], Submitted]
    step: Callable[[Event], None]
    post: Callable[[Event], None]
    appetite: Callable[[], int]
    bells: set[Callable[[], object]]
    event: Callable[[], Bell]
    spawn: Callable[[Feed], Callable[[], object]]
    breathe: Callable[[], Awaitable[object]]
    made: Callable[[Result], AsyncResult]


class _Line:
    """The feeder's side of an asynchronous `map`."""

    def __init__(self, port: AsyncPort, requests: Iterable[Item] | AsyncIterable[Item], options: Options) -> None:
        self.port, self.options = port, options
        self.source: Iterator[Item] | AsyncIterator[Item]
        self.source = aiter(requests) if isinstance(requests, AsyncIterable) else iter(requests)
        self.ready: deque[Result | BaseException] = deque()
        self.open: set[JobId] = set()
        self.bell = port.event()
        self.index = 0
        self.fed = self.left = False
        self.fault: Exception | None = None
        self.stop: Callable[[], object] | None = None

    def ring(self) -> None:
        bell, self.bell = self.bell, self.port.event()
        bell.set()

    def begin(self) -> None:
        self.port.bells.add(self.ring)
        self.stop = self.port.spawn(self.feed)

    async def feed(self) -> None:
        try:
            while True:
                while not self.left and (len(self.ready) >= UNREAD or (self.open and self.port.appetite() <= 0)):
                    await self.bell.wait()
                item = End.END if self.left else await self.draw()  # trio cancels nobody who was just woken
                if item is End.END or self.left:
                    return
                self.submit(item)
                await self.port.breathe()
        except Exception as fault:  # noqa: BLE001 - a user's input may raise anything: it is raised where it is read
            self.fault = fault
        finally:
            self.fed = True
            self.port.bells.discard(self.ring)
            self.ring()

    async def draw(self) -> Item | End:
        if isinstance(self.source, AsyncIterator):
            return await anext(self.source, End.END)
        return next(self.source, End.END)

    def submit(self, item: Item) -> None:
        index, self.index = self.index, self.index + 1
        job: list[JobId] = []

        def done(result: Result | BaseException) -> None:
            self.open.discard(job[0])
            self.ready.append(result)
            self.ring()

        try:
            submitted = self.port.join(*proper(item, self.options), done, index)
        except InvalidRequest as error:
            self.ready.append(refused(asked(item), error, index))
            self.ring()
            return
        job.append(submitted.job)
        self.open.add(submitted.job)
        self.port.step(submitted)

    def leave(self) -> None:
        self.left = True
        if self.stop is not None:
            self.stop()
        for job in list(self.open):
            self.port.post(Cancelled(job))
        self.port.bells.discard(self.ring)
        self.open.clear()
        self.ready.clear()


class AsyncResults:
    """`async for result in client.images.map(requests)`. Dropping it, or `aclose`, gives up what is left."""

    def __init__(
        self,
        port: AsyncPort,
        requests: Iterable[Item] | AsyncIterable[Item],
        options: Options,
    ) -> None:
        self._line = _Line(port, requests, options)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncResult:
        line = self._line
        if line.stop is None:
            line.begin()
        while not line.ready:
            if line.fed and not line.open:
                if line.fault is not None:
                    raise line.fault
                raise StopAsyncIteration
            await line.bell.wait()
        result = line.ready.popleft()
        line.ring()
        if isinstance(result, BaseException):
            raise result
        return line.port.made(result)

    async def aclose(self) -> None:
        """Give up what is left; paid pictures still arrive in the store."""
        self._line.leave()
        self._line.fed = True

    def __del__(self) -> None:
        self._line.leave()


class _Heap:
    """What the client holds of a synchronous `map`."""

    def __init__(self) -> None:
        self.ready: SimpleQueue[Result | BaseException] = SimpleQueue()
        self.open: set[JobId] = set()


class Results:
    """`for result in client.images.map(requests)`. Dropping it, or `close`, gives up what is left. Of one thread."""

    def __init__(self, port: Port, requests: Iterable[Item], options: Options) -> None:
        self._port, self._options = port, options
        self._heap = _Heap()
        self._source: Iterator[Item] = iter(requests)
        self._index = 0
        self._taken = 0
        self._fed = False
        self._fault: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SyncResult:
        try:
            self._feed()
        except UsageError:  # the client was left, or broke: what it ended before is still to be had
            if self._heap.ready.empty():
                raise
        if self._taken == self._index:  # what the client's thread holds at this moment is no measure of what is to come
            if self._fault is not None:
                raise self._fault
            raise StopIteration
        result = self._heap.ready.get()
        self._taken += 1
        if isinstance(result, BaseException):
            raise result
        return self._port.made(result)

    def _feed(self) -> None:
        heap = self._heap
        while not self._fed and heap.ready.qsize() < UNREAD and (self._taken == self._index or self._hungry()):
            try:
                item = next(self._source, End.END)
            except Exception as fault:  # noqa: BLE001 - a user's input may raise anything: it is raised last
                self._fault, self._fed = fault, True
                return
            if item is End.END:
                self._fed = True
                return
            self._submit(item)

    def _hungry(self) -> bool:
        return self._port.appetite() > 0

    def _submit(self, item: Item) -> None:
        heap, index = self._heap, self._index
        job: list[JobId] = []

        def done(result: Result | BaseException) -> None:
            heap.ready.put(result)
            heap.open.discard(job[0])

        try:
            submitted = self._port.join(*proper(item, self._options), done, index)
        except InvalidRequest as error:
            self._index += 1
            heap.ready.put(refused(asked(item), error, index))
            return
        self._index += 1
        job.append(submitted.job)
        heap.open.add(submitted.job)
        self._port.post(submitted)

    def close(self) -> None:
        """Give up what is left; paid pictures still arrive in the store."""
        for job in list(self._heap.open):
            self._port.post(Cancelled(job))
        self._heap = _Heap()
        self._taken = self._index
        self._fed = True

    def __del__(self) -> None:
        self.close()


def proper(item: object, options: Options) -> tuple[ImageRequest, Options]:
    """What was drawn from the input, with its own options or these. Raises `InvalidRequest`, which is its result."""
    parts = _parts(item)
    request, own = (*parts, options)[:2] if len(parts) in {1, 2} else (None, None)
    if isinstance(request, ImageRequest) and isinstance(own, Options):
        return request, own
    what = ", ".join([type(part).__name__ for part in parts[:3]])
    what = f"({what})" if isinstance(item, tuple) else what
    raise InvalidRequest(f"an ImageRequest, or (ImageRequest, Options), was expected, and the input gave {what}")


def asked(item: object) -> ImageRequest:
    """The request of an item for its result. What is none stands for itself: whoever gave it knows it again."""
    first = next(iter(_parts(item)), item)
    return first if isinstance(first, ImageRequest) else cast("ImageRequest", item)


def _parts(item: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", item) if isinstance(item, tuple) else (item,)
