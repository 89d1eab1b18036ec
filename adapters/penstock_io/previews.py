"""What comes before the end: a picture while it is being made, a piece of text; and how one is made of a delivery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from penstock.ids import Ref
from penstock.readings import Delta, Item, Partial
from penstock.wire import sniff
from penstock.wire.sink import HEAD
from penstock_io._payloads import Payloads


@frozen
class Preview:
    """A picture while it is being made. `index` is that of its picture, `partial_index` says which preview (from 0)."""

    index: int
    partial_index: int
    data: bytes = field(repr=False)

    @property
    def format(self) -> str:
        """What its first bytes say: "png", "jpeg", "webp"."""
        return sniff(self.data[:HEAD])

    def save(self, path: str | Path) -> Path:
        """Write it to `path`. Raises `OSError`."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


Hear = Callable[[Preview], object]
"""Hears each preview, on the driver's own thread."""


@frozen
class TextDelta:
    """A piece of answer `index` while it is written."""

    index: int
    text: str = field(repr=False)


HearText = Callable[[TextDelta], object]
"""Hears each piece of text, on the driver's own thread."""


def nobody(item: Item) -> None:
    """Hears nothing of what is delivered."""
    del item


def hearing(payloads: Payloads, hear: Hear) -> Callable[[Item], object]:
    """What makes previews of what is delivered: their bytes are read at once, as they are let go afterwards."""

    def heard(item: Item) -> None:
        data = _bytes(payloads, item.ref) if isinstance(item, Partial) else None
        if isinstance(item, Partial) and data is not None:
            hear(Preview(item.index, item.number, data))

    return heard


def writing(payloads: Payloads, hear: HearText) -> Callable[[Item], object]:
    """The same for pieces of text."""

    def heard(item: Item) -> None:
        data = _bytes(payloads, item.ref) if isinstance(item, Delta) else None
        if isinstance(item, Delta) and data is not None:
            hear(TextDelta(item.index, data.decode("utf-8", "replace")))

    return heard


def _bytes(payloads: Payloads, ref: Ref) -> bytes | None:
    try:
        return payloads.read(ref)
    except OSError:
        return None  # the disk failed under it: one preview less
