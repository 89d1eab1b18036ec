"""What a client gives besides pictures: conversations, vectors, verdicts, and replies as they came.

Each result says of its job what a `Result` of pictures says, too: `cost`, `usage`, `cached`, `attempts`, `warnings`,
`outcome`, `error`. What is in a file (a client with a journal) is read when it is looked at, and may raise `OSError`.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Self, cast

from attrs import field, frozen

from penstock.errors import PenstockError
from penstock.outcomes import Outcome, Picture, Source
from penstock.requests import ChatRequest, EmbeddingRequest, ModerationRequest, RawRequest
from penstock_io.resources import Ended

Plain = ChatRequest | EmbeddingRequest | ModerationRequest | RawRequest
"""Whatever is asked for that is no picture."""


@frozen
class Piece:
    """One stored result: sample `index` of its request; its bytes are in memory or in a file."""

    picture: Picture
    content: bytes | Path = field(repr=False)

    @property
    def index(self) -> int:
        """Its place among the inputs of the request."""
        return self.picture.index

    @property
    def source(self) -> Source:
        """Bought, shared or stored."""
        return self.picture.source

    @property
    def data(self) -> bytes:
        """Its bytes. Raises `OSError` where they are in a file that is gone."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@frozen
class Answered(Ended):
    """What became of a request that is not for pictures; `error` is None where all of it is there."""

    request: Plain = field(repr=False)
    outcome: Outcome
    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    error: PenstockError | None = None

    @classmethod
    def of(cls, told: Answered) -> Self:
        """The same as what it is."""
        return cls(told.request, told.outcome, told.pieces, told.error)


@frozen
class Embedding:
    """The vector of one input: `index` is its place, `source` where it came from."""

    index: int
    source: Source
    _piece: Piece = field(repr=False)

    @property
    def vector(self) -> array[float]:
        """Its numbers, 32-bit floats."""
        numbers = array("f")
        numbers.frombytes(self._piece.data)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers


@frozen
class EmbeddingResult(Answered):
    """Vectors of the inputs of an `EmbeddingRequest`, in their order; one that is missing is left out."""

    @property
    def embeddings(self) -> tuple[Embedding, ...]:
        """Each with the place of its input."""
        return tuple([Embedding(one.index, one.source, one) for one in self.pieces])

    @property
    def vectors(self) -> tuple[array[float], ...]:
        """Their numbers alone."""
        return tuple([one.vector for one in self.embeddings])


@frozen
class Moderation:
    """What is said of one text or content. `categories` and `scores` are open: they have what the provider names."""

    index: int
    source: Source
    flagged: bool
    categories: Mapping[str, bool]
    scores: Mapping[str, float]
    body: Mapping[str, object] = field(repr=False)


@frozen
class ModerationResult(Answered):
    """Verdicts on the texts of a `ModerationRequest`, in their order, or on its content."""

    @property
    def results(self) -> tuple[Moderation, ...]:
        """Each with the place of its text."""
        return tuple([_moderation(one) for one in self.pieces])

    @property
    def flagged(self) -> bool:
        """Whether anything is flagged."""
        return any(one.flagged for one in self.results)


@frozen
class Choice:
    """One answer: what was said, the tools that are to be called, and why it ended ("stop", "length", ...)."""

    index: int
    text: str | None = field(repr=False)
    tool_calls: tuple[Mapping[str, object], ...] = field(repr=False)
    finish_reason: str | None
    message: Mapping[str, object] = field(repr=False)


@frozen
class ChatResult(Answered):
    """The answers to a `ChatRequest`."""

    @property
    def body(self) -> Mapping[str, object]:
        """The reply as the provider sent it; empty where none came."""
        return _object(self.pieces[0].data) if self.pieces else {}

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All answers."""
        return tuple([_choice(place, one) for place, one in enumerate(_dicts(self.body.get("choices")))])

    @property
    def text(self) -> str:
        """What the first answer says; "" where it says nothing."""
        choices = self.choices
        return (choices[0].text or "") if choices else ""

    @property
    def tool_calls(self) -> tuple[Mapping[str, object], ...]:
        """The tools that the first answer calls."""
        choices = self.choices
        return choices[0].tool_calls if choices else ()

    @property
    def finish_reason(self) -> str | None:
        """Why the first answer ended."""
        choices = self.choices
        return choices[0].finish_reason if choices else None


@frozen
class RawResult(Answered):
    """The reply to a `RawRequest`, as it came."""

    @property
    def data(self) -> bytes:
        """Its bytes; empty where none came."""
        return self.pieces[0].data if self.pieces else b""

    @property
    def json(self) -> object:
        """What it says in JSON. Raises ValueError for what is none."""
        found: object = json.loads(self.data)
        return found


def _object(data: bytes) -> dict[str, object]:
    found: object = json.loads(data)
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _dicts(value: object) -> list[dict[str, object]]:
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, object]", one) for one in listed if isinstance(one, dict)]


def _choice(place: int, body: dict[str, object]) -> Choice:
    said, reason = body.get("message"), body.get("finish_reason")
    message = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    text = message.get("content")
    calls = tuple(_dicts(message.get("tool_calls")))
    return Choice(
        place,
        text if isinstance(text, str) else None,
        calls,
        reason if isinstance(reason, str) else None,
        message,
    )


def _moderation(piece: Piece) -> Moderation:
    body = _object(piece.data)
    said, given = body.get("categories"), body.get("category_scores")
    categories = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    scores = cast("dict[str, object]", given) if isinstance(given, dict) else {}
    return Moderation(
        piece.index,
        piece.source,
        body.get("flagged") is True,
        {name: value is True for name, value in categories.items()},
        {name: _score(value) for name, value in scores.items() if isinstance(value, int | float)},
        body,
    )


def _score(value: float) -> float:
    """A score, also of a number that no float holds."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
