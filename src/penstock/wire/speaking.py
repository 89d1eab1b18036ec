"""The doors of the wire: which dialect and which operation it is decides who writes and who reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, quote, urlencode

from attrs import evolve

from penstock.errors import UsageError
from penstock.events import Headers
from penstock.http import HttpCall
from penstock.requests import Prepared, Request, Said
from penstock.wire import edits, images
from penstock.wire.dialects import DIALECTS, Dialect, Named, Way
from penstock.wire.hearing import unknown_url
from penstock.wire.plain import PLAIN_DECODERS
from penstock.wire.reader import CAP, Opening, Reader, Stream
from penstock.wire.sink import Sink

DECODERS: dict[str, Callable[[HttpCall], Request]] = {
    images.PATH: images.decode,
    edits.PATH: edits.decode,
    **PLAIN_DECODERS,
}
"""Who reads the calls to each path of OpenAI's API."""


def dialect(name: str) -> Dialect:
    """The dialect of this name. Raises UsageError where there is none."""
    found = DIALECTS.get(name)
    if found is None:
        raise UsageError(f"no dialect {name!r}; there are {', '.join(DIALECTS)}")
    return found


def encode(prepared: Prepared, target: int, samples: int, first: int = 0, *, without: tuple[str, ...] = ()) -> HttpCall:
    """The HTTP call that buys `samples` of `prepared` at its target number `target`; without a credential.

    `first` is which of the request's pictures the first of them is: its seed goes on from call to call.
    `without` are words that its server refuses to be told (`Said.otherwise`).
    Raises UsageError for a target that is not there, more samples than it takes at a time, or what its dialect cannot
    say.
    """
    if not 0 <= target < len(prepared.said):
        raise UsageError(f"the request has no target {target}")
    said = prepared.said[target]
    if not 1 <= samples <= said.most:
        raise UsageError(f"{said.model} makes 1 to {said.most} pictures a call, not {samples}")
    way = _way(said.dialect, prepared.request.operation)
    return way.write(prepared, _seeded(prepared, target, way, first).without(without), samples)


def locate(name: str, base_url: str, path: str, model: str, query: Sequence[tuple[str, str]] = ()) -> str:
    """The URL of a call in the dialect `name`, for a path that `encode` gave; `query` is the caller's own.

    A name of the caller's replaces the dialect's own. Raises UsageError for no dialect.
    """
    url, _, own = dialect(name).locate(base_url, path, model).partition("?")
    given = {one for one, _ in query}
    pairs = [pair for pair in parse_qsl(own, keep_blank_values=True) if pair[0] not in given]
    told = urlencode([*pairs, *query], quote_via=quote)
    return f"{url}?{told}" if told else url


def reader(
    operation: str,
    sink: Sink,
    *,
    dialect: str = "openai",
    status: int,
    content_type: str = "",
    redact: Sequence[str] = (),
    cap: int = CAP,
    answers: int = 1,
    dimensions: int = 0,
    headers: Headers = (),
) -> Reader:
    """A reader for the reply to `operation` ("images.generate") with this `status`; pictures go to `sink`.

    `redact` lists what must never be told (credentials). Above `cap` bytes, or fewer where its kind is never so large,
    the reader marks itself `too_large`. `answers` results were asked for, vectors of so many `dimensions` (0: any).
    `headers` are those of the reply, their names in lower case: some say there how it ended.
    Raises UsageError for an operation that the dialect does not have.
    """
    opening = Opening(status, content_type, tuple(redact), cap, answers, dimensions, headers)
    return _way(dialect, operation).read(sink, opening)


def listener(
    operation: str,
    sink: Sink,
    *,
    dialect: str = "openai",
    status: int,
    content_type: str = "",
    redact: Sequence[str] = (),
    cap: int = CAP,
    answers: int = 1,
) -> Stream:
    """The same for a reply that was asked for as a stream.

    Raises UsageError also where the dialect has no streams.
    """
    listen = _way(dialect, operation).listen
    if listen is None:
        raise UsageError(f"no streams of {operation} in the dialect {dialect!r}")
    return listen(sink, Opening(status, content_type, tuple(redact), cap, answers))


def decode(call: HttpCall) -> Request:
    """The request that a call to OpenAI's API asks for. Raises Undecodable as the API would answer."""
    known = DECODERS.get(call.path.partition("?")[0])
    if known is None or call.method != "POST":
        raise unknown_url(call)
    return known(call)


def _seeded(prepared: Prepared, target: int, way: Way, first: int) -> Said:
    """What is said, with the seed of the first of the pictures: servers count on from it within a call."""
    said, rule = prepared.said[target], way.says.get("seed")
    if not isinstance(rule, Named):
        return said
    pairs = dict(said.parameters)
    seed = pairs.get(rule.name)
    if isinstance(seed, int) and seed >= 0:
        pairs[rule.name] = seed + said.sample + first
    elif seed is None and way.derives:
        keys = prepared.work.targets[target].keys
        pairs[rule.name] = int(keys[first][:8], 16) >> 1 if first < len(keys) else first
    return evolve(said, parameters=tuple(pairs.items()))


def _way(name: str, operation: str) -> Way:
    found = dialect(name).ways.get(operation)
    if found is None:
        raise UsageError(f"no way to say {operation} in the dialect {name!r}")
    return found
