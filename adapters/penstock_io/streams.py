"""Pictures that come with previews: what a user iterates over, in the two ways of waiting.

A stream is one job. It begins with the first step of the iteration; its previews come as they are made, and what comes
last is its result, or the error is raised that `generate` would have raised. Whoever reads slowly holds up nobody: at
most `WAITING` previews wait to be read, and the oldest is dropped for a newer one. The result never is.

As with `map`, the iterator that a user holds is apart from what the client holds, so that dropping it is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from threading import Condition
from typing import Self

from penstock.events import Cancelled, Submitted
from penstock.ids import JobId
from penstock.requests import ImageRequest, Options
from penstock_io._ends import Done
from penstock_io._map import AsyncPort, Bell, Port
from penstock_io.previews import Hear, Preview
from penstock_io.refining import AsyncResult, Make, SyncResult
from penstock_io.resources import Result

WAITING = 16
"""How many previews may wait to be read."""

GLANCE = 1.0
"""Seconds after which a thread that waits looks whether its client is still there."""

Listen = Callable[[ImageRequest, Options, Done, Hear], Submitted]
"""Makes a job ready of which previews are heard."""


class _Line:
    """What the client holds of a stream: what came and is not read yet. `ring` is called when something came."""

    def __init__(self) -> None:
        self.ready: deque[Preview | Result | BaseException] = deque()
        self.dropped = 0
        self.over = False
        self.bell: Bell | None = None
        self.came = Condition()

    def hear(self, preview: Preview) -> None:
        """A preview came."""
        with self.came:
            if len(self.ready) >= WAITING:
                self.ready.popleft()
                self.dropped += 1
            self.ready.append(preview)
            self._ring()

    def done(self, result: Result | BaseException) -> None:
        """The job ended."""
        with self.came:
            self.ready.append(result)
            self.over = True
            self._ring()

    def _ring(self) -> None:
        self.came.notify_all()
        if self.bell is not None:
            self.bell.set()


class _Stream:
    """What both ways of waiting share. `job` is None before it begins."""

    def __init__(self, listen: Listen, make: Make, options: Options) -> None:
        self._line = _Line()
        self._listen, self._make, self._options = listen, make, options
        self._job: JobId | None = None
        self._ended = False

    @property
    def dropped(self) -> int:
        """How many previews were dropped because nobody read them in time."""
        return self._line.dropped

    def _begun(self, request: ImageRequest) -> Submitted:
        line = self._line
        submitted = self._listen(request, self._options, line.done, line.hear)
        self._job = submitted.job
        return submitted

    def _leaving(self) -> Cancelled | None:
        """What is told by whoever leaves before the end."""
        self._ended = True
        return None if self._job is None or self._line.over else Cancelled(self._job)

    def _told(self, told: Preview | Result | BaseException) -> Preview | Result:
        if isinstance(told, Preview):
            return told
        self._ended = True
        if isinstance(told, BaseException):
            raise told
        return told.checked()


class Stream(_Stream):
    """`for item in client.images.stream(...)`: each a `Preview`, the last the result. Of one thread.

    Dropping it, or `close`, gives it up; a picture that is being paid for still arrives in the store.
    """

    def __init__(self, port: Port, listen: Listen, make: Make, options: Options) -> None:
        self._port = port
        super().__init__(listen, make, options)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Preview | SyncResult:
        if self._ended:
            raise StopIteration
        if self._job is None:
            self._begin()
        told = self._told(self._next())
        return told if isinstance(told, Preview) else self._port.made(told)

    def _begin(self) -> None:
        self._ended = True  # if it cannot begin
        submitted = self._begun(self._make())
        self._ended = False
        self._port.post(submitted)

    def _next(self) -> Preview | Result | BaseException:
        line = self._line
        while True:
            with line.came:
                if line.ready or (line.came.wait(GLANCE) and line.ready):
                    return line.ready.popleft()
            self._port.appetite()  # raises where the client is gone

    def close(self) -> None:
        """Give it up."""
        left = self._leaving()
        if left is not None:
            self._port.post(left)

    def __del__(self) -> None:
        self.close()


class AsyncStream(_Stream):
    """`async for item in client.images.stream(...)`: each a `Preview`, the last the result.

    Dropping it, or `aclose`, gives it up; a picture that is being paid for still arrives in the store.
    """

    def __init__(
        self,
        port: AsyncPort,
        listen: Listen,
        beside: Callable[[Make], Awaitable[ImageRequest]],
        make: Make,
        options: Options,
    ) -> None:
        self._port, self._beside = port, beside
        super().__init__(listen, make, options)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Preview | AsyncResult:
        if self._ended:
            raise StopAsyncIteration
        if self._job is None:
            await self._begin()
        line = self._line
        while not line.ready:
            line.bell = self._port.event()
            await line.bell.wait()
        told = self._told(line.ready.popleft())
        return told if isinstance(told, Preview) else self._port.made(told)

    async def _begin(self) -> None:
        self._ended = True  # if it cannot begin
        submitted = self._begun(await self._beside(self._make))
        self._ended = False
        self._port.step(submitted)

    async def aclose(self) -> None:
        """Give it up."""
        self._leave()

    def _leave(self) -> None:
        left = self._leaving()
        if left is not None:
            self._port.post(left)

    def __del__(self) -> None:
        self._leave()
