"""A world whose provider answers with bytes that somebody thought up: what they come to, and what they may cost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import frozen

from penstock.catalog import Overrides
from penstock.catalog.overrides import Override
from penstock.commands import Send
from penstock.config import Config, Credential
from penstock.events import Event, Responded, Streamed
from penstock.ids import Handle
from penstock.judging.judge import TABLE
from penstock.outcomes import Outcome
from penstock.prepare import prepare
from penstock.readings import Item, Malformed, Problem, Reading, Success
from penstock.requests import (
    CHAT,
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    InputImage,
    Message,
    ModerationRequest,
    Options,
    Prepared,
    RawRequest,
    Request,
)
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Admission, Latency, Server, ServerSettings
from penstock.simulation.world import World
from penstock.three import Three
from penstock.wire import MemorySink, reader
from penstock.wire.speaking import listener
from penstock.work import Demand, Rates
from tests.transcripts import PNG, STANDS_FOR

PNG64 = STANDS_FOR["{{PNG64}}"]
SECRET = "zebra of mine 0815"
"""What is asked: it is to be told by nothing that comes out."""

KEY = "sk-of-mine-0815-and-longer"

UNIX = 1_795_300_000.0
PRICES = Overrides(
    (
        Override("m", Rates(picture=40_000_000_000)),
        Override("talker", Rates(text=2_000_000, text_out=8_000_000)),
        Override("vectors", Rates(text=20_000)),
        Override("judge", Rates(text=1_000)),
    )
)
FREE = frozenset(name for name, table in TABLE.items() if table["ok"].billed is Three.NO)
"""Dialects of servers that bill nothing."""

GATEWAYS = frozenset({408, 502, 504, 530, *range(520, 529)})
"""Statuses of who stands between: the provider may have done it, and billed it."""


def asked(operation: str, *, streams: bool = False) -> Request:
    """A request of each kind, with a price in every dialect."""
    previews = 2 if streams else None
    match operation:
        case "images.generate":
            return ImageRequest(prompt=SECRET, model="m", n=1 if streams else 2, partial_images=previews)
        case "images.edit":
            images = (InputImage.of(PNG),)
            return ImageRequest(prompt=SECRET, model="m", images=images, strength=0.5, partial_images=previews)
        case "chat.completions":
            return ChatRequest(
                messages=(Message("user", SECRET),), model="talker", max_completion_tokens=50, stream=streams
            )
        case "embeddings":
            return EmbeddingRequest(inputs=(SECRET, "another text"), model="vectors")
        case "moderations":
            return ModerationRequest(texts=(SECRET, "another text"), model="judge")
        case "moderations.content":
            return ModerationRequest(content=(SECRET, "another text"), model="judge")
        case _:
            return RawRequest(path="/videos", json={"model": "films", "prompt": SECRET}, quote=400_000_000_000)


@frozen
class Reply:
    """What the provider says to every request."""

    body: bytes
    status: int = 200
    type: str = "application/json"


@frozen
class Told:
    """What came of it: the job's end, what the provider billed, and what is on the ledger. Picodollars."""

    outcome: Outcome
    readings: tuple[Reading, ...]
    billed: int
    charged: int
    maybe: int
    reserved: int
    unknown: int
    at_rest: bool
    bound: int
    words: str

    @property
    def kept(self) -> bool:
        """Whether what it may have cost is on the ledger, and nothing is set aside any more."""
        return self.charged + self.maybe >= self.billed and not self.reserved and self.at_rest


class Answering(World):
    """The engine under its monitor, and a provider that says the same to everything and bills as it may."""

    def __init__(self, prepared: Prepared, reply: Reply, bills: Callable[[Reading, int], bool]) -> None:
        config = Config((Credential("a"),))
        server = Server(ServerSettings(latency=Latency(1.0, 0.0)), rng=Random(1))
        super().__init__(config, server, rng=Random(2), wrap=lambda engine: Monitor(engine, config=config))
        self._prepared, self._reply, self._bills = prepared, reply, bills
        self.readings: list[Reading] = []

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """Everything is let in, done, and billed at its bound if such an answer may be billed at all."""
        del cost
        target = self.target(send)
        bound = sum(one.quote or 0 for one in target.array) or (target.quote or 0) * max(1, send.samples)
        reading, _ = self.read(send)
        return super().admit(send, demand, identity, bound if self._bills(reading, self._reply.status) else 0)

    def reported(self, send: Send, admission: Admission, cost: int) -> Event:
        """What a driver makes of these bytes."""
        del cost
        reading, items = self.read(send)
        self.readings.append(reading)
        for item in items:
            self.tell(Streamed(send.attempt, item))
        return Responded(send.attempt, self._reply.status, admission.headers, reading)

    def read(self, send: Send) -> tuple[Reading, list[Item]]:
        """What the wire makes of them."""
        sink, reply, samples = MemorySink(f"{send.attempt}"), self._reply, max(1, send.samples)
        spoken, kind = self._prepared.said[0].dialect, reply.type
        if send.stream:
            taker = listener(
                send.operation,
                sink,
                dialect=spoken,
                status=reply.status,
                content_type=kind,
                redact=(KEY, SECRET),
            )
            taker.feed(reply.body)
            items = taker.take()
            return taker.close(), items
        plain = reader(
            send.operation,
            sink,
            dialect=spoken,
            status=reply.status,
            content_type=kind,
            redact=(KEY, SECRET),
            answers=1 if send.operation == CHAT else samples,
        )
        plain.feed(reply.body)
        return plain.close(), []


def bills(dialect: str) -> Callable[[Reading, int], bool]:
    """Whether a provider of this kind may have billed what it answered so.

    What its reply says itself (its tokens, its cost) is its bill, and no other is known of it.
    """

    def may(reading: Reading, status: int) -> bool:
        if dialect in FREE or (isinstance(reading, Success | Problem) and reading.usage is not None):
            return False
        if isinstance(reading, Malformed):
            return status < 300
        if isinstance(reading, Success):
            return status < 300
        refused = 300 <= status < 500 and status not in GATEWAYS  # a sure refusal, whoever says it
        sure = reading.own and status >= 400 and status not in GATEWAYS  # and its own word at a status of its own
        at_once = reading.stage == "input"
        return not (refused or sure or at_once or dialect == "openrouter")

    return may


def answered(dialect: str, operation: str, reply: Reply, *, streams: bool = False) -> Told:
    """What comes of a request to which this is the answer."""
    made = prepare(
        asked(operation, streams=streams),
        Options(),
        Config(),
        handle=Handle(1),
        unix=UNIX,
        dialect=dialect,
        prices=PRICES,
    )
    assert isinstance(made, Prepared), made
    target = made.work.targets[0]
    assert target.quote is not None, "it has a price"
    world = Answering(made, reply, bills(dialect))
    (outcome,) = world.run([made.work]).values()
    snapshot = world.engine.snapshot()
    total = snapshot.money.total
    return Told(
        outcome=outcome,
        readings=tuple(world.readings),
        billed=world.server.books.billed,
        charged=total.charged,
        maybe=total.maybe,
        reserved=total.reserved,
        unknown=total.unknown,
        at_rest=snapshot.at_rest,
        bound=target.quote,
        words=repr((outcome, world.readings, world.notices, world.entries, snapshot)),
    )
