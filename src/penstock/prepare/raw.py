"""Any other request as the engine is told of it: what its user says of it."""

from __future__ import annotations

from penstock.cache.plain import plain_keys
from penstock.prepare._place import Place
from penstock.prepare._plain import timeouts, whose
from penstock.requests import RawRequest, Refusal, Said
from penstock.work import Target


def raw_target(request: RawRequest, at: Place) -> tuple[Target, Said] | Refusal:
    """The target of `request` at a place; nothing is known of it but what it says."""
    if at.options.fallbacks:
        return Refusal("fallbacks", "fallbacks are for requests whose model is known: ask the other place yourself")
    rates = at.prices.price(at.provider, at.dialect, request.model, at.unix).rates
    target = Target(
        provider=at.provider,
        model=request.model,
        keys=plain_keys(
            request.operation,
            whose(request.model, at),
            {"path": request.path},
            [request.json.value],
            at.options.sample,
        ),
        demand=request.demand,
        quote=request.quote,
        expected=request.quote,
        rates=rates,
        dialect=at.dialect,
        operation=request.operation,
        pool=request.model,
        most=1,
        divisible=False,
        timeouts=timeouts(at),
    )
    return target, Said(request.model, at.dialect, (), 1)
