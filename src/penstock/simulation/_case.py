"""What the simulated provider must know of a request of any kind; one module a kind of request answers it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from attrs import frozen

from penstock.http import HttpReply
from penstock.work import Demand, Rates

UNLISTED = Rates(text=5_000_000, image=8_000_000, image_out=30_000_000, text_out=15_000_000)
"""What a model costs whose price nobody published: the provider bills it all the same."""


@frozen
class Telling:
    """What is told with an answer that was admitted.

    `call` is the call's name (each makes pictures of its own), `created` Unix seconds, `headers` go with the reply.
    A picture has at least `picture_bytes`. `word` is what moderation refuses, "" for nothing.
    """

    call: str
    created: int
    headers: tuple[tuple[str, str], ...] = ()
    picture_bytes: int = 0
    word: str = ""


class Case(Protocol):
    """One request as its provider sees it."""

    @property
    def model(self) -> str:
        """Who is asked."""
        ...

    @property
    def quality(self) -> str:
        """How well it shall be done, which decides how long it takes; "" where that is no question."""
        ...

    @property
    def words(self) -> str:
        """What moderation looks at before anything is made."""
        ...

    def check(self) -> None:
        """Raise Undecodable for what is not done here."""

    def demand(self) -> Demand:
        """What it takes from its quotas."""
        ...

    def cost(self, unix: float) -> int:
        """What it is billed when it is executed, picodollars, at the prices of that day."""
        ...

    def reply(self, telling: Telling) -> HttpReply:
        """The answer."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A request that may ask for a stream."""

    @property
    def streams(self) -> bool:
        """Whether it does."""
        ...

    def events(self, telling: Telling) -> list[bytes]:
        """Its answer as server-sent events, in order; the last of them brings what is billed."""
        ...


def flags(word: str, words: str) -> bool:
    """Whether moderation refuses `words` because of `word` (none: it refuses nothing)."""
    return bool(word) and word in words.lower()
