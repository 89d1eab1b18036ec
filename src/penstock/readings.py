"""What a reply says once `penstock.wire` has read it: values without payload, prompt or secret."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from attrs import frozen

from penstock.ids import Ref


@frozen
class Usage:
    """Tokens that a reply says it used, for the whole call (all its pictures); a class not itemised is 0.

    `cost` is the provider's own figure in picodollars where it sends one, else None; of a sum where all parts have one.
    """

    input_text: int = 0
    input_cached_text: int = 0
    input_image: int = 0
    input_cached_image: int = 0
    output_image: int = 0
    output_text: int = 0
    cost: int | None = None

    def split(self, parts: int) -> tuple[Usage, ...]:
        """Spread the figures over `parts` pictures in integers; the remainder goes to the first."""
        if parts == 1:
            return (self,)
        rest = self._each(lambda figure: figure // parts)
        first = self._each(lambda figure: figure // parts + figure % parts)
        return (first, *([rest] * (parts - 1)))

    def _each(self, share: Callable[[int], int]) -> Usage:
        return Usage(
            share(self.input_text),
            share(self.input_cached_text),
            share(self.input_image),
            share(self.input_cached_image),
            share(self.output_image),
            share(self.output_text),
            None if self.cost is None else share(self.cost),
        )

    def __add__(self, other: Usage) -> Usage:
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        return Usage(
            self.input_text + other.input_text,
            self.input_cached_text + other.input_cached_text,
            self.input_image + other.input_image,
            self.input_cached_image + other.input_cached_image,
            self.output_image + other.output_image,
            self.output_text + other.output_text,
            cost,
        )


@frozen
class Part:
    """One picture of a reply.

    `index` is its place in the reply, `size` what the provider says ("1024x1024", any string), `format` what the magic
    bytes say ("png"), `nbytes` its length, `url` whether `ref` names a URL that is still to be fetched.
    """

    index: int
    ref: Ref
    size: str = ""
    format: str = ""
    nbytes: int = 0
    url: bool = False


@frozen
class Verdict:
    """What a screen says. `policy` names the screen's policy with its version, `template` what to show instead."""

    passed: bool
    policy: str = ""
    reason: str = ""
    template: Ref | None = None


@frozen
class Vector:
    """An embedding, by reference: the numbers stay with the driver."""

    ref: Ref


@frozen
class Answer:
    """Any other answer of a hook: a short name that the asking stage understands."""

    name: str


@frozen
class Fault:
    """A hook, store or journal that could not answer, and why (one line, no payload)."""

    reason: str


@frozen
class LimitHint:
    """A limit that an error body names: "on input-images per min: Limit 5, Used 5, Requested 1".

    `quantity` is "requests", "tokens", "images" or "concurrency"; `window` the seconds it applies to. `owner` is the
    organization or project whose limit it is, as the provider calls it ("": it does not say).
    """

    quantity: str
    limit: float
    used: float | None = None
    requested: float | None = None
    window: float = 60.0
    owner: str = ""


@frozen
class Success:
    """A reply that was understood: what it used, its pictures, or a screen's or embedder's answer.

    `spoilt` are the places of what is paid and of no use, and would be so again: a vector with numbers that are none,
    or of another length than was asked for. `remarks` are what whoever asked is to be warned of; they repeat no words
    of the reply.
    """

    usage: Usage | None = None
    parts: tuple[Part, ...] = ()
    answer: Verdict | Vector | None = None
    spoilt: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


@frozen
class Problem:
    """An error in the provider's own words.

    `hint` is the wait in seconds that its message names ("try again in 12s"). `own` is False where the body is not of
    the provider's error shape (a proxy's page): then nobody knows whether the request was executed. `stage` is "input",
    "output" or "unknown" for a moderation refusal that says so. `param` is the parameter that it blames.
    """

    code: str | None = None
    type: str | None = None
    message: str = ""
    hint: float | None = None
    limit: LimitHint | None = None
    own: bool = True
    stage: str | None = None
    usage: Usage | None = None
    param: str | None = None


@frozen
class Malformed:
    """A reply that could not be read, and the first bytes of it (printable, at most 120 characters, redacted)."""

    reason: str
    snippet: str = ""


Reading = Success | Problem | Malformed


class Kind(Enum):
    """Why an exchange ended without a reply."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    ABORTED = "aborted"
    TOO_LARGE = "too_large"


class Reached(Enum):
    """How far an exchange got before it failed. Up to CONNECTED no byte of the request had left."""

    NOTHING = "nothing"
    CONNECTED = "connected"
    SENDING = "sending"
    SENT = "sent"
    READING = "reading"


@frozen
class Partial:
    """A preview of picture `index` of a stream, the one with this `number` (from 0)."""

    index: int
    ref: Ref
    number: int = 0


@frozen
class Delta:
    """A piece of the text of answer `index` of a stream, by reference: the text stays with the driver."""

    ref: Ref
    index: int = 0


Item = Partial | Delta
