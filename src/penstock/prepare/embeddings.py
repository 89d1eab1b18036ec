"""Embeddings as the engine is told of them: a key, a demand and a quote an input."""

from __future__ import annotations

from penstock.cache.plain import plain_keys
from penstock.prepare._place import Place
from penstock.prepare._plain import AROUND, bound, guess, likely, timeouts, together, whose
from penstock.requests import EmbeddingRequest, Refusal, Said, Scalar
from penstock.requests.embeddings import EmbeddingInput
from penstock.work import Demand, Item, Rates, Target

MOST = 2_048
"""Inputs of one call (OpenAI API reference, create embeddings, 2026-08)."""

MOST_TOKENS = 300_000
"""Tokens of one call, all its inputs (the same)."""


def embedding_target(request: EmbeddingRequest, at: Place) -> tuple[Target, Said] | Refusal:
    """The target that makes the vectors of `request` at a place, and how it is told."""
    price = at.prices.price(at.provider, at.dialect, request.model, at.unix)
    items = tuple([_item(one, price.rates) for one in request.inputs])
    quotes = [item.quote for item in items if item.quote is not None]
    shape: dict[str, object] = {"dimensions": request.dimensions, "extra": dict(request.extra)}
    likes = [_likely(one, price.rates) for one in request.inputs]
    known = [one for one in likes if one is not None]
    target = Target(
        provider=at.provider,
        model=request.model,
        keys=plain_keys(
            request.operation, whose(request.model, at), shape, _plainly(request.inputs), at.options.sample
        ),
        demand=Demand(tokens=max(item.demand.tokens for item in items)),
        quote=max(quotes) if len(quotes) == len(items) else None,
        expected=max(known) if len(known) == len(likes) else None,
        rates=price.rates,
        dialect=at.dialect,
        operation=request.operation,
        pool=request.model,
        most=MOST,
        most_tokens=MOST_TOKENS,
        gather=together(at, {**shape, "user": request.user, "encoding": request.encoding}),
        array=items,
        timeouts=timeouts(at),
    )
    return target, Said(request.model, at.dialect, _parameters(request), MOST)


def _parameters(request: EmbeddingRequest) -> tuple[tuple[str, Scalar], ...]:
    """What is sent besides model and inputs."""
    told: list[tuple[str, Scalar]] = [("encoding_format", request.encoding)]
    if request.dimensions is not None:
        told.append(("dimensions", request.dimensions))
    if request.user is not None:
        told.append(("user", request.user))
    return (*told, *request.extra)


def _plainly(inputs: tuple[EmbeddingInput, ...]) -> list[object]:
    return [one if isinstance(one, str) else list(one) for one in inputs]


def _item(one: EmbeddingInput, rates: Rates | None) -> Item:
    if isinstance(one, str):
        nbytes = len(one.encode())
        return Item(Demand(tokens=guess(nbytes)), bound(nbytes, rates))
    return Item(Demand(tokens=len(one)), bound(len(one) - AROUND, rates))


def _likely(one: EmbeddingInput, rates: Rates | None) -> int | None:
    if isinstance(one, str):
        return likely(len(one.encode()), rates)
    return bound(len(one) - AROUND, rates)
