"""Where a reply's pictures go while they arrive: the `Sink` that a driver gives, and one that keeps them in memory."""

from __future__ import annotations

from binascii import Error, a2b_base64
from typing import Protocol

from attrs import frozen

from penstock.ids import Ref

HEAD = 32
"""How many bytes of a picture are looked at to tell its format."""


class BadPayload(ValueError):
    """What stands for a picture is no base64, or nothing at all."""


@frozen
class Stored:
    """A picture that a sink has taken: its reference, its length in bytes and its first `HEAD` bytes."""

    ref: Ref
    nbytes: int
    head: bytes


class Sink(Protocol):
    """Takes the pictures of one exchange, one after another.

    `begin`, any number of `write`s and `end` belong to one picture; `index` is its place in the reply. `write` gets
    base64 text in pieces of any length, without escapes, white space or the beginning of a data URI; it may keep none
    of `data` beyond the call.
    `write` and `end` raise BadPayload; after that only `discard` follows.
    """

    def begin(self, index: int) -> None:
        """A picture begins."""

    def write(self, data: bytes | memoryview) -> None:
        """More base64 text of it."""

    def end(self) -> Stored:
        """It is whole."""
        ...

    def whole(self, index: int, data: bytes) -> Stored:
        """Bytes as they are, at once: a vector, a body."""
        ...

    def url(self, index: int, url: str) -> Ref:
        """A picture lies behind an address, which is a secret."""
        ...

    def note(self, ref: Ref, text: str) -> None:
        """What the provider says of a picture (its revised prompt)."""

    def drop(self, ref: Ref) -> None:
        """Forget one picture of this exchange."""

    def discard(self) -> None:
        """Forget everything of this exchange."""

    def apart(self, *, brief: bool = False) -> Sink:
        """A sink of its own, for a part of the exchange that has its own end: what it takes, only it discards.

        What is `brief` will be let go soon, and need not be put on a disk.
        """
        ...


class Decoder:
    """Decodes base64 that arrives in pieces of any length; strict, with padding, standard alphabet."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes | memoryview) -> bytes:
        """The bytes that are certain now. Raises BadPayload."""
        if self._rest:
            data = self._rest + data
        cut = len(data) - len(data) % 4
        self._rest = bytes(data[cut:])
        return self._decode(data[:cut]) if cut else b""

    def finish(self) -> None:
        """Raises BadPayload where something is left over."""
        if self._rest:
            raise BadPayload("base64 of a wrong length")

    def _decode(self, data: bytes | memoryview) -> bytes:
        if self._ended:
            raise BadPayload("base64 goes on after its padding")
        self._ended = data[-1:] == b"="
        try:
            return a2b_base64(data, strict_mode=True)
        except Error as error:
            raise BadPayload(f"invalid base64: {error}") from None


class MemorySink:
    """Keeps pictures in `pictures` by reference, URLs in `urls`, remarks in `notes`. For tests and virtual runs.

    `prefix` makes the references of this sink ("memory-0", ...) differ from those of others.
    """

    def __init__(self, prefix: str = "memory") -> None:
        self.pictures: dict[Ref, bytes] = {}
        self.urls: dict[Ref, str] = {}
        self.notes: dict[Ref, str] = {}
        self._prefix = prefix
        self._taken = 0
        self._parts = 0
        self._own: list[Ref] = []
        self._decoder = Decoder()
        self._pieces: list[bytes] = []

    def begin(self, index: int) -> None:
        """A picture begins; what was begun and not ended is forgotten."""
        del index
        self._decoder = Decoder()
        self._pieces = []

    def write(self, data: bytes | memoryview) -> None:
        """More base64 text of it. Raises BadPayload."""
        self._pieces.append(self._decoder.feed(data))

    def end(self) -> Stored:
        """The picture is whole. Raises BadPayload, also for an empty one."""
        pieces, self._pieces = self._pieces, []
        self._decoder.finish()
        picture = b"".join(pieces)
        if not picture:
            raise BadPayload("an empty picture")
        ref = self._ref()
        self.pictures[ref] = picture
        return Stored(ref, len(picture), picture[:HEAD])

    def whole(self, index: int, data: bytes) -> Stored:
        """Keep bytes as they are."""
        del index
        ref = self._ref()
        self.pictures[ref] = data
        return Stored(ref, len(data), data[:HEAD])

    def url(self, index: int, url: str) -> Ref:
        """Keep an address; it is a secret."""
        del index
        ref = self._ref()
        self.urls[ref] = url
        return ref

    def note(self, ref: Ref, text: str) -> None:
        """Keep what the provider says of a picture (its revised prompt)."""
        self.notes[ref] = text

    def drop(self, ref: Ref) -> None:
        """Forget one picture."""
        for taken in (self.pictures, self.urls, self.notes):
            taken.pop(ref, None)

    def discard(self) -> None:
        """Forget everything, but for what sinks apart of it took."""
        self._pieces = []
        for ref in self._own:
            self.drop(ref)
        self._own.clear()

    def apart(self, *, brief: bool = False) -> MemorySink:
        """A sink that keeps what it takes in the same dictionaries, and discards only that."""
        del brief
        self._parts += 1
        part = MemorySink(f"{self._prefix}-{self._parts}")
        part.pictures, part.urls, part.notes = self.pictures, self.urls, self.notes
        return part

    def _ref(self) -> Ref:
        ref = Ref(f"{self._prefix}-{self._taken}")
        self._taken += 1
        self._own.append(ref)
        return ref
