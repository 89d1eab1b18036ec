"""The doors of the wire: which dialect and which operation it is decides who writes and who reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock.errors import UsageError
from penstock.http import HttpCall
from penstock.requests import Prepared, Request
from penstock.wire import images
from penstock.wire.dialects import DIALECTS, Dialect, Way
from penstock.wire.images import unknown_url
from penstock.wire.reader import CAP, Opening, Reader
from penstock.wire.sink import Sink

DECODERS: dict[str, Callable[[HttpCall], Request]] = {images.PATH: images.decode}
"""Who reads the calls to each path of OpenAI's API."""


def dialect(name: str) -> Dialect:
    """The dialect of this name. Raises UsageError where there is none."""
    found = DIALECTS.get(name)
    if found is None:
        raise UsageError(f"no dialect {name!r}; there are {', '.join(DIALECTS)}")
    return found


def encode(prepared: Prepared, target: int, samples: int) -> HttpCall:
    """The HTTP call that buys `samples` of `prepared` at its target number `target`; without a credential.

    Raises UsageError for a target that is not there, more samples than it takes at a time, or what its dialect cannot
    say.
    """
    if not 0 <= target < len(prepared.said):
        raise UsageError(f"the request has no target {target}")
    said = prepared.said[target]
    if not 1 <= samples <= said.most:
        raise UsageError(f"{said.model} makes 1 to {said.most} pictures a call, not {samples}")
    return _way(said.dialect, prepared.request.operation).write(prepared, said, samples)


def reader(
    operation: str,
    sink: Sink,
    *,
    dialect: str = "openai",
    status: int,
    content_type: str = "",
    redact: Sequence[str] = (),
    cap: int = CAP,
) -> Reader:
    """A reader for the reply to `operation` ("images.generate") with this `status`; pictures go to `sink`.

    `redact` lists what must never be told (credentials). Above `cap` bytes the reader marks itself `too_large`.
    Raises UsageError for an operation that the dialect does not have.
    """
    return _way(dialect, operation).read(sink, Opening(status, content_type, tuple(redact), cap))


def decode(call: HttpCall) -> Request:
    """The request that a call to OpenAI's API asks for. Raises Undecodable as the API would answer."""
    known = DECODERS.get(call.path.partition("?")[0])
    if known is None or call.method != "POST":
        raise unknown_url(call)
    return known(call)


def _way(name: str, operation: str) -> Way:
    found = dialect(name).ways.get(operation)
    if found is None:
        raise UsageError(f"no way to say {operation} in the dialect {name!r}")
    return found
