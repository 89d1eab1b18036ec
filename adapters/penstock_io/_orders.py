"""From a Send to an exchange: the URL, the request with its credential, and who reads the reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from html import escape

from attrs import evolve

from penstock.commands import Send
from penstock.config import Config
from penstock.errors import InvalidRequest
from penstock.events import Event, Fetched
from penstock.http import CALL_HEADER, HttpCall
from penstock.ids import Handle, Ref
from penstock.readings import Problem
from penstock.requests import ChatRequest, EmbeddingRequest, ImageRequest, Prepared, Request, Said
from penstock.wire import dialect, encode, locate
from penstock.work import Purpose
from penstock_io._asides import Aside, question, unasked
from penstock_io._ends import gathered
from penstock_io._fetching import Fetching, Refused
from penstock_io._http import Exchange, Order
from penstock_io._payloads import Payloads
from penstock_io._progress import Progress
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

    def make(self, send: Send, prepared: Mapping[Handle, Prepared], config: Config) -> Exchange | Event:
        """What an order comes to: an exchange, or its end where there is nothing to be sent."""
        match send.purpose:
            case Purpose.FETCH:
                return self.fetch(send)
            case Purpose.GENERATE:
                return self.generate(send, gathered(send, prepared))
            case _:
                return self.ask(send, prepared[send.handle], config)

    def generate(self, send: Send, prepared: Prepared) -> Exchange:
        """A paid request."""
        first = min(send.parts[0][1]) if send.parts and send.parts[0][1] else 0
        call = encode(prepared, send.target, send.samples, first, without=send.without)
        said = prepared.said[send.target]
        secrets = self._secrets(prepared.request)
        samples = tuple([sample for _, own in send.parts for sample in own]) if send.stream else ()
        read = partial(Reply, send.attempt, send.operation, self._sink(), secrets, dialect=said.dialect)
        answers, dimensions = asked_for(prepared.request, send.samples)
        receiver = read(stream=send.stream, samples=samples, answers=answers, dimensions=dimensions)
        return Exchange(self._order(send, call, said), receiver, Progress(self._traced))

    def ask(self, send: Send, prepared: Prepared, config: Config) -> Exchange | Event:
        """A question that the provider answers; its end where it cannot be asked."""
        asked = question(send, prepared, config, self._payloads)
        if isinstance(asked, Problem):
            return unasked(send, asked)
        secrets = self._secrets(asked.request)
        said = asked.said[0]
        answers, dimensions = asked_for(asked.request)
        read = partial(Reply, send.attempt, asked.request.operation, self._sink(), secrets, dialect=said.dialect)
        reply = read(answers=answers, dimensions=dimensions)
        order = self._order(send, encode(asked, 0, 1), said)
        return Exchange(order, Aside(reply, send, self._payloads), Progress(self._traced))

    def _sink(self) -> MemorySink | FileSink:
        return MemorySink(self._payloads) if self._payloads.root is None else FileSink(self._payloads)

    def _order(self, send: Send, call: HttpCall, said: Said) -> Order:
        named = evolve(call, headers=(*call.headers, (CALL_HEADER, str(send.call))))
        secret = self._keys[send.lane.credential]
        spoken = dialect(said.dialect)
        url = locate(spoken.name, self._base_url, call.path, said.model, self._query)
        connect = send.timeouts.connect
        return Order(url, named, secret, self._headers, auth=spoken.auth, connect=connect, alone=self._alone)

    def fetch(self, send: Send) -> Exchange | Fetched:
        """A download without a credential; refused at once where its URL is none to be asked for."""
        source = send.source or Ref("")
        url, taker = (
            self._payloads.url(source),
            Download(send.attempt, self._payloads, note=self._payloads.note(source)),
        )
        progress, connect = Progress(self._traced), send.timeouts.connect
        try:
            return Fetching(url, self._base_url, taker, progress, connect=connect, alone=self._alone)
        except Refused as refusal:
            return Fetched(send.attempt, fault=str(refusal), final=True)

    def _secrets(self, request: Request) -> tuple[str, ...]:
        """What must not be told of a reply: keys, the user's headers, what is private, also as JSON writes it."""
        said: set[str] = set()
        for text in request.private:
            if len(text) >= SHORTEST:
                said |= {text, escape(text), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        return (*self._keys.values(), *self._values, *sorted(said))


def asked_for(request: Request, samples: int = 1) -> tuple[int, int]:
    """How many answers, vectors or pictures a call asks for, and of how many dimensions (0: whatever is made).

    `samples` are those of the call: of pictures it may be fewer than the request is for.
    """
    if isinstance(request, ChatRequest | ImageRequest):
        return request.n if isinstance(request, ChatRequest) else samples, 0
    return request.samples, (request.dimensions or 0) if isinstance(request, EmbeddingRequest) else 0


def whole(request: Request) -> None:
    """Raise `InvalidRequest` for images whose bytes are not here: they can be planned with, and not be sent."""
    if isinstance(request, ImageRequest) and not all(one.sendable for one in request.inputs):
        raise InvalidRequest(
            "the bytes of an image are not here: penstock_io.inputs.read_image has them", field="images"
        )
