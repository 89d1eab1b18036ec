"""A dialect as a value: which operations it has, and how each is written and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from penstock.http import HttpCall
from penstock.requests import Prepared, Said
from penstock.wire.reader import Opening, Reader
from penstock.wire.sink import Sink


@frozen
class Way:
    """How one operation is spoken.

    `write` makes the call for so many samples of a prepared request as one target is told it, without a credential;
    `read` makes what takes its reply.
    """

    write: Callable[[Prepared, Said, int], HttpCall]
    read: Callable[[Sink, Opening], Reader]


@frozen
class Dialect:
    """How a kind of provider is spoken to: its `ways` by operation ("images.generate").

    `auth` is the header that carries the credential, and what stands before it there.
    """

    name: str
    ways: Mapping[str, Way]
    auth: tuple[str, str] = ("authorization", "Bearer ")
