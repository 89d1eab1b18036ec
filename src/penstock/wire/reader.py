"""What takes a reply while it arrives: `Reader`. Each kind of reply has its own; the dialect says which.

Bytes go in, in any split; the same reply gives the same reading however it is split. Nothing that a server sends makes
a reader raise. A `Stream` is a reader that has something to give before the end.
"""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from penstock.events import Headers
from penstock.readings import Item, Reading, Success

CAP = 1 << 29
"""How many bytes a reply may have by default: ten 4K pictures as PNG in base64 are less than half of it."""


@frozen
class Opening:
    """The head of a reply, and how it is to be read.

    `redact` lists what must never be told (credentials, prompts). Above `cap` bytes a reader marks itself `too_large`.
    `answers` are how many results were asked for (answers to a conversation, inputs of an array): a conversation with
    fewer is not whole. `dimensions` are those that vectors were asked to have; 0: whatever the model makes.
    `headers` are all of the reply, their names in lower case.
    """

    status: int
    content_type: str = ""
    redact: tuple[str, ...] = field(default=(), repr=False)
    cap: int = CAP
    answers: int = 1
    dimensions: int = 0
    headers: Headers = field(default=(), repr=False)

    @property
    def good(self) -> bool:
        """Whether the status says that the request was done."""
        return 200 <= self.status < 300


class Reader(Protocol):
    """Takes a reply with `feed`, ends with `close`. `too_large` says that it was above the cap: the rest is ignored."""

    too_large: bool

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""

    def close(self) -> Reading:
        """The body is over: what it says. For anything but a Success the sink has been told to discard."""
        ...


class Stream(Reader, Protocol):
    """Takes a reply that comes piece by piece: `take` between two feeds gives what was new.

    What was taken belongs to who took it, whatever the end is. `over` says that the stream has said its last word,
    though the connection may stay open.
    """

    over: bool

    def take(self) -> list[Item]:
        """Previews and pieces of text since the last time, in order."""
        ...

    def broken(self) -> Success | None:
        """The exchange broke off here. What was whole by then, as it is paid; None: nothing, and all is discarded."""
        ...
