"""What a typed program writes with the endpoints that make no pictures: a type checker accepts all of it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from decimal import Decimal

import penstock_io.asyncio
import penstock_io.sync
from penstock import Config, InputImage, Options, Screen
from penstock.config import NearCache
from penstock.prepare.questions import embedder, moderator
from penstock.requests import ChatRequest, EmbeddingRequest, Message, ModerationRequest, RawRequest, Request
from penstock.work import Demand
from penstock_io.answers import ChatResult, Choice, Embedding, EmbeddingResult, Moderation, ModerationResult, RawResult


def use(*_: object) -> None:
    """Whatever a program does with it."""


def threads(client: penstock_io.sync.Client) -> None:
    """The client for threads."""
    answer: ChatResult = client.chat.complete(
        messages=[Message("system", "Be kind."), {"role": "user", "content": "hello"}],
        model="gpt-4o",
        max_completion_tokens=50,
        stop="x",
        response_format={"type": "json_object"},
        tools=[{"type": "function"}],
        extra={"logit_bias": {"1": 2}},
        options=Options(screens=(Screen("words/1", target=moderator(0.0)),)),
    )
    choices: tuple[Choice, ...] = answer.choices
    body: Mapping[str, object] = answer.body
    cost: Decimal | None = answer.cost
    use(answer.text, choices[0].finish_reason, answer.tool_calls, body, cost, answer.usage, answer.warnings)
    vectors: EmbeddingResult = client.embeddings.create(input=["a", [1, 2]], model="m", dimensions=4)
    one: Embedding = vectors.embeddings[0]
    numbers: array[float] = one.vector
    use(numbers, one.source, vectors.vectors, client.embeddings.create(input=[1, 2], model="m"))
    checked: ModerationResult = client.moderations.create(content=["a", InputImage.at("https://a.example/a.png")])
    verdict: Moderation = checked.results[0]
    use(checked.flagged, verdict.categories["hate"], verdict.scores["hate"])
    reply: RawResult = client.raw.post("/videos", json={"model": "v"}, demand=Demand(tokens=1), quote=Decimal(1))
    use(reply.json, reply.data)


async def loops(client: penstock_io.asyncio.Client) -> None:
    """The asyncio client; trio's is alike."""
    answer: ChatResult = await client.chat.complete(messages="hello", model="gpt-4o")
    vectors: EmbeddingResult = await client.embeddings.create(input="a", model="m")
    checked: ModerationResult = await client.moderations.create(input=("a", "b"))
    reply: RawResult = await client.raw.post("/videos", json=[])
    use(answer, vectors, checked, reply)


def values() -> list[Request]:
    """Requests without a client."""
    use(Config(near=NearCache(target=embedder(0.0))))
    return [
        ChatRequest(messages=(Message("user", ("a", InputImage.of(b""))),), model="m", tools=[{"a": 1}]),
        EmbeddingRequest(inputs=("a", (1, 2)), model="m"),
        ModerationRequest(texts=("a",)),
        RawRequest(path="/videos", json={"model": "v"}),
    ]
