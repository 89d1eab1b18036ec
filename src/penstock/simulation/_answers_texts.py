"""How the simulated provider answers what is about texts: vectors and verdicts.

Nothing of it is clever, and all of it is the same every time: a vector adds up the words of its text, so that texts
with words in common are near each other; a verdict flags the word that the provider refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from math import sqrt
from struct import pack
from typing import Generic, TypeVar

from attrs import frozen

from penstock.catalog import rates
from penstock.http import HttpReply
from penstock.readings import Usage
from penstock.requests import ChatRequest, Content, EmbeddingInput, EmbeddingRequest, ModerationRequest
from penstock.simulation._case import UNLISTED, Telling, flags
from penstock.wire import embeddings, moderations
from penstock.wire.hearing import refusal
from penstock.work import Demand

LETTERS = 4
"""Bytes of a text that make a token here."""

DIMENSIONS = {"text-embedding-3-large": 3_072}
USUAL_DIMENSIONS = 1_536
MOST_TOKENS, MOST_TOGETHER = 8_192, 300_000
"""Tokens of an input and of a call of embeddings (OpenAI API reference, create embeddings, 2026-08)."""

PLACES = 8
"""In how many dimensions a word shows."""

CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")


_R = TypeVar("_R", bound=ChatRequest | EmbeddingRequest | ModerationRequest)


@frozen
class TextCase(Generic[_R]):
    """What requests about texts have in common unless they say otherwise; see `penstock.simulation._case.Case`."""

    request: _R

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def quality(self) -> str:
        return ""

    @property
    def words(self) -> str:
        return ""

    def check(self) -> None:
        return


@frozen
class EmbeddingCase(TextCase[EmbeddingRequest]):
    """Vectors of inputs."""

    def check(self) -> None:
        tokens = [tokens_of(one) for one in self.request.inputs]
        most = max(tokens)
        if most > MOST_TOKENS:
            said = f"This model's maximum context length is {MOST_TOKENS} tokens, however you requested {most} tokens."
            raise refusal(400, said, "context_length_exceeded", "input")
        if sum(tokens) > MOST_TOGETHER:
            said = f"Requested {sum(tokens)} tokens, max {MOST_TOGETHER} tokens per request"
            raise refusal(400, said, "max_tokens_per_request", "input")

    def usage(self) -> Usage:
        """The tokens of all inputs."""
        return Usage(input_text=sum(tokens_of(one) for one in self.request.inputs))

    def demand(self) -> Demand:
        return Demand(tokens=self.usage().input_text)

    def cost(self, unix: float) -> int:
        return bill(self.usage(), self.model, unix)

    def reply(self, telling: Telling) -> HttpReply:
        size = self.request.dimensions or DIMENSIONS.get(self.model, USUAL_DIMENSIONS)
        vectors = [vector(one, size) for one in self.request.inputs]
        return embeddings.reply(vectors, self.usage(), self.request, telling.headers)


@frozen
class ModerationCase(TextCase[ModerationRequest]):
    """Verdicts on texts, or on one content."""

    def demand(self) -> Demand:
        texts = self.request.texts or tuple([one for one in self.request.content if isinstance(one, str)])
        return Demand(tokens=sum(tokens_of(one) for one in texts))

    def cost(self, unix: float) -> int:
        del unix
        return 0

    def reply(self, telling: Telling) -> HttpReply:
        asked = self.request.texts or (_joined(self.request.content),)
        found = [verdict(one, telling.word) for one in asked]
        return moderations.reply(found, self.model, telling.headers)


def vector(one: EmbeddingInput, size: int) -> bytes:
    """The vector of an input, of length 1: 32-bit floats, little-endian."""
    words = one.lower().split() if isinstance(one, str) else [str(token) for token in one]
    numbers = [0.0] * size
    for word in words or [""]:
        digest = sha256(word.encode("utf-8", "surrogatepass")).digest()
        for place in range(PLACES):
            at = int.from_bytes(digest[3 * place : 3 * place + 3]) % size
            numbers[at] += 1.0 if digest[24 + place % 8] & 1 else -1.0
    length = sqrt(sum(number * number for number in numbers)) or 1.0
    return pack(f"<{size}f", *[number / length for number in numbers])


def verdict(text: str, word: str) -> Mapping[str, object]:
    """What is said of a text where `word` is flagged."""
    flagged = flags(word, text)
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == "violence" for name in CATEGORIES},
        "category_scores": {name: 0.9 if flagged and name == "violence" else 0.01 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def _joined(content: tuple[Content, ...]) -> str:
    return " ".join([one for one in content if isinstance(one, str)])


def tokens_of(one: EmbeddingInput) -> int:
    """How many tokens an input takes here."""
    return 1 + len(one.encode()) // LETTERS if isinstance(one, str) else len(one)


def bill(used: Usage, model: str, unix: float) -> int:
    """What tokens of texts cost on a day, picodollars."""
    price = rates("openai", model, unix) or UNLISTED
    text = UNLISTED.text if price.text is None else price.text
    out = UNLISTED.text_out if price.text_out is None else price.text_out
    return used.input_text * (text or 0) + used.output_text * (out or 0)
