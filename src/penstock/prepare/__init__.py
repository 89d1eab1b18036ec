"""Turns a request into what decisions need, as figures and digests: `prepare(request, options, config, ...)`.

The whole chain is prepared at once, so that a fallback that cannot be said is refused before the first choice is paid.
One module a kind of request makes the targets; what they share is here.
"""

from __future__ import annotations

from attrs import evolve

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.config import Config
from penstock.ids import Handle
from penstock.prepare._place import Place
from penstock.prepare.chat import chat_target
from penstock.prepare.embeddings import embedding_target
from penstock.prepare.images import image_target
from penstock.prepare.moderations import moderation_target
from penstock.prepare.raw import raw_target
from penstock.requests import (
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    ModerationRequest,
    Options,
    Prepared,
    RawRequest,
    Refusal,
    Request,
    Said,
)
from penstock.wire import dialect
from penstock.wire.dialects import speakers
from penstock.work import Target, Work

__all__ = ["Prepared", "Refusal", "prepare"]


def prepare(
    request: Request,
    options: Options,
    config: Config,
    *,
    handle: Handle,
    unix: float,
    provider: str = "default",
    dialect: str = "openai",
    prices: Overrides = NO_OVERRIDES,
    server: str = "",
) -> Prepared | Refusal:
    """`request` made ready for the engine under `handle`, or what its model (or a fallback's) does not take of it.

    `unix` (seconds) picks the published prices of the day, on which `prices` of your own lie. Quotes are upper bounds
    a picture in picodollars, None where the price or the token formula is not known; demands are tokens and pictures
    a sample. `server` is the base URL of who makes the pictures, as far as their keys tell (`penstock.cache.places`).
    """
    chain = ((provider, request.model), *options.fallbacks)
    targets: list[Target] = []
    said: list[Said] = []
    for place, (name, model) in enumerate(chain):
        asked = request if place == 0 else evolve(request, model=model)
        made = _target(asked, Place(name, dialect, unix, options, prices, config, server))
        if isinstance(made, Refusal):
            return made if place == 0 else evolve(made, message=f"(fallback {place}: {name}/{model}) {made.message}")
        targets.append(made[0])
        said.append(made[1])
    work = Work(
        targets=tuple(targets),
        handle=handle,
        tenant=options.tenant,
        tags=options.tags,
        priority=options.priority,
        deadline=options.deadline,
        on_ambiguous=options.on_ambiguous,
        cache=options.cache,
        near=options.near and config.near is not None and isinstance(request, ImageRequest),
        ttl=None if _named(request) else options.ttl,  # what a seed names is to stay what it is
        screens=options.screens,
        defer=options.defer,
    )
    return Prepared(handle, request, work, tuple(said))


def _target(request: Request, at: Place) -> tuple[Target, Said] | Refusal:
    """One target, by the kind of request."""
    if request.operation not in dialect(at.dialect).ways:
        said = f"the dialect {at.dialect!r} has no words for {request.operation}: ask a provider that speaks one of"
        return Refusal("dialect", f"{said} {speakers(request.operation)}")
    if (refusal := _elsewhere(request, at)) is not None:
        return refusal
    match request:
        case ImageRequest():
            return image_target(request, at)
        case ChatRequest():
            return chat_target(request, at)
        case EmbeddingRequest():
            return embedding_target(request, at)
        case ModerationRequest():
            return moderation_target(request, at)
        case _:
            return raw_target(request, at)


def _elsewhere(request: Request, at: Place) -> Refusal | None:
    """Why a model cannot be asked for at a base URL that leads to another one."""
    serves = dialect(at.dialect).serves
    only = "" if serves is None or not at.server or isinstance(request, RawRequest) else serves(at.server)
    if only in ("", request.model):
        return None
    wanted = f"ask for {only}, or take /deployments/{only} out of the base URL"
    return Refusal("model", f"model: the base URL leads to the deployment {only}, whatever is asked for: {wanted}")


def _named(request: Request) -> bool:
    return isinstance(request, ImageRequest) and request.seed is not None
