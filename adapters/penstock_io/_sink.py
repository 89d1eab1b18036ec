"""Where the picture data of a reply goes while it arrives: base64 text in, bytes behind a reference out.

Two sinks for the two kinds of room, one object an exchange. Both decode each chunk as it comes, so that the text is
never whole in memory and the bytes are there once. `pybase64` decodes where it is installed, `binascii` otherwise:
the same bytes, and the same garbage is refused.

A full disk does not lose a paid picture: the file sink takes what it has written back into memory and goes on there;
the journal then reports the fault, and the engine halts with the bytes still in hand.
"""

from __future__ import annotations

import binascii
import os
from pathlib import Path
from typing import Protocol

from penstock.errors import UsageError
from penstock.ids import Ref
from penstock.wire.sink import HEAD, BadPayload, Stored
from penstock_io._payloads import TEMPORARY, Payloads

BLOCK = 1 << 18
"""How many bytes the file sink gathers before it writes."""


def _decode_plain(text: bytes) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


try:
    from pybase64 import b64decode
except ImportError:  # an extra: seven times cheaper, not another result
    _decode_fast = _decode_plain
else:

    def _decode_fast(text: bytes) -> bytes:
        return b64decode(text, validate=True)


class Decoder:
    """Base64 in chunks of any split, strictly: the standard alphabet, padded, nothing after the padding.

    Raises `BadPayload`. The last four characters are always held back, because only they may hold padding.
    """

    def __init__(self, *, fast: bool = True) -> None:
        self._decode = _decode_fast if fast else _decode_plain
        self._rest = b""

    def feed(self, text: bytes | memoryview) -> bytes:
        """What can be decoded so far."""
        rest = self._rest
        whole = rest + text if rest else bytes(text)
        cut = (len(whole) - 1) // 4 * 4
        if cut <= 0:
            self._rest = whole
            return b""
        self._rest = whole[cut:]
        return self._strictly(whole[:cut])

    def finish(self) -> bytes:
        """The end of it."""
        rest, self._rest = self._rest, b""
        if len(rest) % 4:
            raise BadPayload("base64 ends within a group of four")
        padding = len(rest) - len(rest.rstrip(b"="))
        if padding == 0:
            return self._strictly(rest)
        if padding > 2:
            raise BadPayload("base64 with too much padding")
        return self._strictly(rest[:-padding] + b"A" * padding)[:-padding]

    def _strictly(self, text: bytes) -> bytes:
        if b"=" in text:
            raise BadPayload("base64 goes on after its padding")
        try:
            return self._decode(text)
        except ValueError:
            raise BadPayload("not base64") from None


class _Room(Protocol):
    """Where the decoded bytes of one picture go."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> Ref: ...

    def drop(self) -> None: ...


class _Heap:
    """One picture in memory."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def close(self) -> Ref:
        data, self._data = bytes(self._data), bytearray()
        return self._payloads.keep(data)

    def drop(self) -> None:
        self._data = bytearray()


class _File:
    """One picture in a temporary file, or in memory from the moment on when the file takes no more."""

    def __init__(self, payloads: Payloads, folder: Path) -> None:
        self._payloads = payloads
        self._path = folder / f"{TEMPORARY}{os.getpid()}-{payloads.number()}"
        self._block = bytearray()
        self._written = 0
        self._heap: _Heap | None = None
        self._fd = -1
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        except OSError:
            self._retreat()

    def write(self, data: bytes) -> None:
        if self._heap is not None:
            self._heap.write(data)
            return
        self._block += data
        if len(self._block) >= BLOCK:
            self._flush()

    def close(self) -> Ref:
        if self._heap is None:
            self._flush()
        if self._heap is not None:
            return self._heap.close()
        self._shut()
        return self._payloads.keep_file(self._path)

    def drop(self) -> None:
        self._block = bytearray()
        self._heap = None
        self._shut()
        self._remove()

    def _flush(self) -> None:
        sent = 0
        try:
            with memoryview(self._block) as data:
                while sent < len(data):
                    sent += os.write(self._fd, data[sent:])
        except OSError:
            self._retreat()
            return
        self._written += sent
        self._block.clear()

    def _retreat(self) -> None:
        heap = _Heap(self._payloads)
        try:
            for at in range(0, self._written, BLOCK):
                os.lseek(self._fd, at, os.SEEK_SET)
                heap.write(os.read(self._fd, min(BLOCK, self._written - at)))
        except OSError as fault:
            raise BadPayload("the disk failed under a picture") from fault
        heap.write(bytes(self._block))
        self._heap = heap
        self._block = bytearray()
        self._shut()
        self._remove()

    def _shut(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return  # swept away when the folder is opened next


class _Sink:
    """What both sinks share: the protocol of `penstock.wire.sink.Sink`."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._decoder = Decoder()
        self._room: _Room | None = None
        self._refs: list[Ref] = []
        self._head = b""
        self._nbytes = 0

    def _open(self) -> _Room:
        return _Heap(self._payloads)

    def begin(self, index: int) -> None:
        """The data of picture `index` follows; what was begun and not ended is forgotten."""
        del index
        self._forget()
        self._decoder = Decoder()
        self._head = b""
        self._nbytes = 0
        self._room = self._open()

    def write(self, data: bytes | memoryview) -> None:
        """A piece of base64 text, split anywhere. Raises `BadPayload`, and forgets the picture then."""
        try:
            self._take(self._decoder.feed(data))
        except BadPayload:
            self._forget()
            raise

    def end(self) -> Stored:
        """The picture is whole. Raises `BadPayload` for what is not base64, or nothing."""
        try:
            self._take(self._decoder.finish())
            if self._room is None or not self._nbytes:
                raise BadPayload("an empty picture")
            ref = self._room.close()
        except BadPayload:
            self._forget()
            raise
        self._room = None
        self._refs.append(ref)
        return Stored(ref, self._nbytes, self._head)

    def whole(self, index: int, data: bytes) -> Stored:
        """Bytes as they are, at once: a vector, a body. Raises `BadPayload` where they cannot be kept."""
        del index
        room = self._open()
        room.write(data)
        ref = room.close()
        self._refs.append(ref)
        return Stored(ref, len(data), data[:HEAD])

    def url(self, index: int, url: str) -> Ref:
        """Picture `index` is behind a signed URL: the driver keeps it."""
        del index
        ref = self._payloads.keep_url(url)
        self._refs.append(ref)
        return ref

    def note(self, ref: Ref, text: str) -> None:
        """A text about a picture, which stays with the driver."""
        self._payloads.annotate(ref, text)

    def drop(self, ref: Ref) -> None:
        """One picture is not to be had: let it go."""
        self._refs.remove(ref)
        self._payloads.release((ref,))

    def discard(self) -> None:
        """The exchange failed: forget all of it."""
        self._forget()
        self._payloads.release(tuple(self._refs))
        self._refs.clear()

    def apart(self, *, brief: bool = False) -> _Sink:
        """A sink that discards only what it took itself; what is brief stays in memory."""
        del brief
        return _Sink(self._payloads)

    def _forget(self) -> None:
        if self._room is not None:
            self._room.drop()
            self._room = None

    def _take(self, data: bytes) -> None:
        if self._room is None:
            raise BadPayload("no picture was begun")
        if not data:
            return
        if len(self._head) < HEAD:
            self._head = (self._head + data[:HEAD])[:HEAD]
        self._nbytes += len(data)
        self._room.write(data)


class MemorySink(_Sink):
    """Pictures of one exchange in memory."""


class FileSink(_Sink):
    """Pictures of one exchange in temporary files of `folder`, which lies in the payloads' root (default: `held`)."""

    def __init__(self, payloads: Payloads, folder: Path | None = None) -> None:
        super().__init__(payloads)
        if payloads.root is None:
            raise UsageError("a file sink needs payloads with a folder")
        self._folder = payloads.root / "held" if folder is None else folder
        if not self._folder.is_relative_to(payloads.root):
            raise UsageError("a file sink writes below its payloads' folder")

    def apart(self, *, brief: bool = False) -> _Sink:
        """A sink that discards only what it took itself; what is brief stays in memory."""
        return super().apart() if brief else FileSink(self._payloads, self._folder)

    def _open(self) -> _Room:
        return _File(self._payloads, self._folder)
