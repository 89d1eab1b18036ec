"""Moderations as the engine is told of them: a key a text, or one for a content of several parts."""

from __future__ import annotations

from penstock.cache.plain import plain_keys
from penstock.prepare._place import Place
from penstock.prepare._plain import bound, guess, likely, timeouts, together, whose
from penstock.requests import Content, ModerationRequest, Refusal, Said
from penstock.work import Demand, Item, Rates, Target

MOST = 32
"""Texts of one call; nobody says how many a moderation takes."""


def moderation_target(request: ModerationRequest, at: Place) -> tuple[Target, Said] | Refusal:
    """The target that looks at what `request` has, and how it is told."""
    rates = at.prices.price(at.provider, at.dialect, request.model, at.unix).rates
    lengths = _lengths(request)
    pictures = sum(not isinstance(part, str) for part in request.content)
    items = tuple([_item(length, rates, pictures) for length in lengths])
    quotes = [item.quote for item in items if item.quote is not None]
    most = MOST if request.texts else 1
    target = Target(
        provider=at.provider,
        model=request.model,
        keys=plain_keys(request.operation, whose(request.model, at), {}, _inputs(request), at.options.sample),
        demand=Demand(tokens=max(item.demand.tokens for item in items)),
        quote=max(quotes) if len(quotes) == len(items) else None,
        expected=likely(max(lengths), rates) if not pictures else _free(rates),
        rates=rates,
        dialect=at.dialect,
        operation=request.operation,
        pool=request.model,
        most=most,
        gather=together(at, {"moderations": request.model}) if request.texts else None,
        array=items if request.texts else (),
        timeouts=timeouts(at),
    )
    return target, Said(request.model, at.dialect, (), most)


def _inputs(request: ModerationRequest) -> list[object]:
    if request.texts:
        return list(request.texts)
    return [[part if isinstance(part, str) else {"image": part.digest} for part in request.content]]


def _lengths(request: ModerationRequest) -> list[int]:
    if request.texts:
        return [len(one.encode()) for one in request.texts]
    return [sum(_length(part) for part in request.content)]


def _length(part: Content) -> int:
    return len(part.encode()) if isinstance(part, str) else 0


def _item(nbytes: int, rates: Rates | None, pictures: int) -> Item:
    return Item(Demand(tokens=guess(nbytes)), _free(rates) if pictures else bound(nbytes, rates))


def _free(rates: Rates | None) -> int | None:
    """What pictures cost here: nothing, or nobody knows."""
    return 0 if rates is not None and rates.text == 0 and rates.image == 0 else None
