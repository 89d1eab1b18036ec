"""From a Send to an exchange: the URL, the request with its credential, and who reads the reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from urllib.parse import urlsplit

from attrs import evolve

from penstock.commands import Send
from penstock.errors import InvalidRequest
from penstock.events import Fetched
from penstock.http import CALL_HEADER, HttpCall
from penstock.ids import Ref
from penstock.requests import ImageRequest, Prepared, Request
from penstock.wire import dialect, encode, locate
from penstock_io._http import Exchange, Order, Progress
from penstock_io._payloads import Payloads
from penstock_io._receive import Download, Reply
from penstock_io._setup import Setup
from penstock_io._sink import FileSink, MemorySink

SHORTEST = 4
"""Characters below which a prompt is not taken out of what a reply says: there would be nothing left to read."""


TELLING = 8
"""Characters from which the value of a user's header may be a secret; "true" and "v2" are none."""


class Orders:
    """Makes exchanges for one client. `keys` are credentials by name, `alone` gives each a connection of its own.

    The setup's headers and query are the user's own and go with what is paid for, not with downloads.
    """

    def __init__(self, setup: Setup, keys: Mapping[str, str], payloads: Payloads, *, alone: bool) -> None:
        self._base_url, self._keys, self._payloads, self._alone = setup.base_url, keys, payloads, alone
        self._headers, self._query = setup.headers, setup.query
        self._values = tuple([value for _, value in (*setup.headers, *setup.query) if len(value) >= TELLING])
        self._traced = [False]

    def generate(self, send: Send, prepared: Prepared) -> Exchange:
        """A paid request."""
        first = min(send.parts[0][1]) if send.parts and send.parts[0][1] else 0
        call = encode(prepared, send.target, send.samples, first, without=send.without)
        call = evolve(call, headers=(*call.headers, (CALL_HEADER, str(send.call))))
        secret = self._keys[send.lane.credential]
        said = prepared.said[send.target]
        spoken = dialect(said.dialect)
        url = locate(spoken.name, self._base_url, call.path, said.model, self._query)
        order = Order(
            url, call, secret, self._headers, auth=spoken.auth, connect=send.timeouts.connect, alone=self._alone
        )
        sink = MemorySink(self._payloads) if self._payloads.root is None else FileSink(self._payloads)
        secrets = self._secrets(prepared.request)
        samples = tuple([sample for _, own in send.parts for sample in own]) if send.stream else ()
        receiver = Reply(
            send.attempt, send.operation, sink, secrets, dialect=spoken.name, stream=send.stream, samples=samples
        )
        return Exchange(order, receiver, Progress(self._traced))

    def fetch(self, send: Send) -> Exchange | Fetched:
        """A download without a credential; refused at once where it would lead to somebody else."""
        source = send.source or Ref("")
        url = self._payloads.url(source)
        if not same_origin(url, self._base_url):
            return Fetched(send.attempt, fault="the picture's URL is not of the provider's own origin")
        order = Order(url, HttpCall("GET", ""), connect=send.timeouts.connect, alone=self._alone)
        taker = Download(send.attempt, self._payloads, note=self._payloads.note(source))
        return Exchange(order, taker, Progress(self._traced))

    def _secrets(self, request: Request) -> tuple[str, ...]:
        """What must not be told of a reply: keys, the user's headers, what is private, also as JSON writes it."""
        said: set[str] = set()
        for text in request.private:
            if len(text) >= SHORTEST:
                said |= {text, escape(text), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        return (*self._keys.values(), *self._values, *sorted(said))


def whole(request: Request) -> None:
    """Raise `InvalidRequest` for images whose bytes are not here: they can be planned with, and not be sent."""
    if isinstance(request, ImageRequest) and not all(one.sendable for one in request.inputs):
        raise InvalidRequest(
            "the bytes of an image are not here: penstock_io.inputs.read_image has them", field="images"
        )


def same_origin(url: str, base_url: str) -> bool:
    """Whether a URL leads to where the API is, and not to somebody else."""
    try:
        return _origin(url) == _origin(base_url)
    except ValueError:  # "https://host:99999/", "https://[::1": what a server calls a URL
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme)
