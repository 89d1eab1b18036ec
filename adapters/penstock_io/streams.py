"""Pictures that come with previews, and answers while they are written: what a user iterates over.

A stream is one job. It begins with the first step of the iteration; what it brings comes as it is made, and what comes
last is its result, or the error is raised that waiting for all of it would have raised. Whoever reads slowly holds up
nobody: at most `WAITING` previews wait to be read, and the oldest is dropped for a newer one. No text is dropped, nor
the result.

As with `map`, the iterator that a user holds is apart from what the client holds, so that dropping it is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from threading import Condition
from typing import Generic, Protocol, Self, TypeVar

from attrs import field, frozen

from penstock.events import Cancelled, Event, Submitted
from penstock.ids import JobId
from penstock_io._map import Bell

WAITING = 16
"""How many previews may wait to be read."""

GLANCE = 1.0
"""Seconds after which a thread that waits looks whether its client is still there."""


class Checked(Protocol):
    """A result."""

    def checked(self) -> Self:
        """Itself, or its error raised."""
        ...


One = TypeVar("One")
Told = TypeVar("Told")
Ended = TypeVar("Ended", bound=Checked)
Hear = Callable[[One], object]
Done = Callable[[Ended | BaseException], object]


@frozen
class Said(Generic[One]):
    """A piece of a stream, apart from its end."""

    what: One


class _Line(Generic[One, Ended]):
    """What the client holds of a stream: what came and is not read yet."""

    def __init__(self, most: int | None) -> None:
        self.ready: deque[Said[One] | Ended | BaseException] = deque()
        self.dropped = 0
        self.over = False
        self.bell: Bell | None = None
        self.came = Condition()
        self._most = most

    def hear(self, one: One) -> None:
        """A piece came."""
        with self.came:
            if self._most is not None and len(self.ready) >= self._most:
                self.ready.popleft()
                self.dropped += 1
            self.ready.append(Said(one))
            self._ring()

    def done(self, end: Ended | BaseException) -> None:
        """The job ended."""
        with self.came:
            self.ready.append(end)
            self.over = True
            self._ring()

    def _ring(self) -> None:
        self.came.notify_all()
        if self.bell is not None:
            self.bell.set()


class _Stream(Generic[One, Ended]):
    """What both ways of waiting share. At most `most` pieces wait to be read (None: any number)."""

    def __init__(self, most: int | None) -> None:
        self._line: _Line[One, Ended] = _Line(most)
        self._job: JobId | None = None
        self._ended = False

    @property
    def dropped(self) -> int:
        """How many previews were dropped because nobody read them in time."""
        return self._line.dropped

    def _begun(self, submitted: Submitted) -> Submitted:
        self._job, self._ended = submitted.job, False
        return submitted

    def _leaving(self) -> Cancelled | None:
        """What is told by whoever leaves before the end."""
        self._ended = True
        return None if self._job is None or self._line.over else Cancelled(self._job)

    def _told(self, told: Said[One] | Ended | BaseException) -> One | Ended:
        if isinstance(told, Said):
            return told.what
        self._ended = True
        if isinstance(told, BaseException):
            raise told
        return told.checked()


class Stream(_Stream[One, Ended]):
    """`for item in client.images.stream(...)`: pieces as they come, the last item is the result. Of one thread.

    Dropping it, or `close`, gives it up; what is being paid for still arrives in the store.
    """

    def __init__(
        self,
        join: Callable[[Hear[One], Done[Ended]], Submitted],
        post: Callable[[Event], None],
        look: Callable[[], object],
        most: int | None = None,
    ) -> None:
        super().__init__(most)
        self._join, self._post, self._look = join, post, look

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> One | Ended:
        if self._ended:
            raise StopIteration
        if self._job is None:
            self._ended = True  # if it cannot begin
            self._post(self._begun(self._join(self._line.hear, self._line.done)))
        return self._told(self._next())

    def _next(self) -> Said[One] | Ended | BaseException:
        line = self._line
        while True:
            with line.came:
                if line.ready or (line.came.wait(GLANCE) and line.ready):
                    return line.ready.popleft()
            self._look()  # raises where the client is gone

    def close(self) -> None:
        """Give it up."""
        left = self._leaving()
        if left is not None:
            self._post(left)

    def __del__(self) -> None:
        self.close()


@frozen
class Loop:
    """What a stream needs of a loop: to tell the client at once, or from anywhere, and to make an event."""

    step: Callable[[Event], None] = field(repr=False)
    post: Callable[[Event], None] = field(repr=False)
    event: Callable[[], Bell] = field(repr=False)


class AsyncStream(_Stream[One, Ended]):
    """`async for item in client.images.stream(...)`: pieces as they come, the last item is the result.

    Dropping it, or `aclose`, gives it up; what is being paid for still arrives in the store.
    """

    def __init__(
        self, join: Callable[[Hear[One], Done[Ended]], Awaitable[Submitted]], loop: Loop, most: int | None = None
    ) -> None:
        super().__init__(most)
        self._join, self._loop = join, loop

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> One | Ended:
        if self._ended:
            raise StopAsyncIteration
        if self._job is None:
            self._ended = True  # if it cannot begin
            self._loop.step(self._begun(await self._join(self._line.hear, self._line.done)))
        line = self._line
        while not line.ready:
            line.bell = self._loop.event()
            await line.bell.wait()
        return self._told(line.ready.popleft())

    async def aclose(self) -> None:
        """Give it up."""
        self._leave()

    def _leave(self) -> None:
        left = self._leaving()
        if left is not None:
            self._loop.post(left)

    def __del__(self) -> None:
        self._leave()


def ended(made: Callable[[Told], Ended], done: Done[Ended]) -> Callable[[Told | BaseException], object]:
    """Who hears the end of a job, and tells the result that is made of it."""

    def heard(told: Told | BaseException) -> None:
        done(told if isinstance(told, BaseException) else made(told))

    return heard
