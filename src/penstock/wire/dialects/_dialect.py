"""A dialect as a value: which operations it has, how each is written and read, and what it has no words for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

from penstock.http import HttpCall
from penstock.requests import ImageRequest, Prepared, Refusal, Said, Scalar
from penstock.wire.dialects._saying import EMULATED, Rule, same
from penstock.wire.reader import Opening, Reader, Stream
from penstock.wire.sink import Sink

Write = Callable[[Prepared, Said, int], HttpCall]
"""Makes the call for so many samples of a prepared request as one target is told it, without a credential."""

Read = Callable[[Sink, Opening], Reader]
"""Makes what takes its reply."""

Listen = Callable[[Sink, Opening], Stream]
"""Makes what takes its reply where a stream was asked for, which may be a plain one all the same."""


@frozen
class Way:
    """How one operation is spoken.

    `says` is the table of the neutral fields, `emulated` how those may be said otherwise that it lacks, `implied` what
    a server does anyway, so that it need not be said. `most` bounds the pictures of one call, whatever the model.
    `derives`: a server that makes the same picture again unless it is told a seed is told one. `urls`: images may be
    told by their addresses, `files`: by the names of uploaded files, `masks`: what is to change by a mask. `listen`: it
    can come as a stream, and that is asked for by `stream` (None: it cannot). `objects` says what else of a request it
    has no words for. `chooses`: a model that answers with addresses is told `response_format`.
    """

    write: Write
    read: Read
    says: Mapping[str, Rule] = field(factory=dict[str, Rule])
    emulated: Mapping[str, Rule] = EMULATED
    implied: Mapping[str, tuple[Scalar, ...]] = field(factory=dict[str, tuple[Scalar, ...]])
    most: int = 10
    derives: bool = False
    urls: bool = True
    files: bool = False
    masks: bool = True
    chooses: bool = False
    listen: Listen | None = None
    objects: Callable[[ImageRequest], Refusal | None] | None = None


def joined(base_url: str, path: str, model: str) -> str:
    """The path behind the base URL, which is where most have it."""
    del model
    return base_url + path


@frozen
class Dialect:
    """How a kind of provider is spoken to: its `ways` by operation ("images.generate").

    `auth` is the header that carries the credential, and what stands before it there. `locate` makes the URL of a base
    URL, a path and a model; `serves` says which model alone a base URL leads to ("": any). `query` is what every URL
    has behind it, where the caller says nothing else. `hosts` are those that speak it, by the end of their names.
    `keyless` ones work without a key, `free` ones bill nothing. `captured` is the traffic that it was checked against;
    what rests on none is unverified, whatever `source` says.
    """

    name: str
    title: str
    ways: Mapping[str, Way]
    source: str
    captured: str = ""
    auth: tuple[str, str] = ("authorization", "Bearer ")
    locate: Callable[[str, str, str], str] = joined
    serves: Callable[[str], str] | None = None
    query: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()
    keyless: bool = False
    free: bool = False

    @property
    def verified(self) -> bool:
        """Whether it was checked against captured traffic of a provider."""
        return bool(self.captured)


__all__ = ["Dialect", "Read", "Way", "Write", "joined", "same"]
