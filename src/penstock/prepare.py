"""Turns a request into what decisions need, as figures and digests: `prepare(request, options, config, ...)`.

The whole chain is prepared at once, so that a fallback that cannot be said is refused before the first choice is paid.
"""

from __future__ import annotations

from hashlib import sha256

from attrs import evolve, frozen

from penstock.cache import near, places
from penstock.cache.key import canonical, keys, text
from penstock.catalog import (
    NO_OVERRIDES,
    Model,
    Overrides,
    estimated_tokens,
    input_tokens_bound,
    objection,
    parting,
)
from penstock.catalog import model as lookup
from penstock.config import Config
from penstock.ids import Handle
from penstock.money.quote import quote
from penstock.requests import PARAMETERS, ImageRequest, Options, Prepared, Refusal, Said, Scalar
from penstock.work import Demand, Target, Timeouts, Work

__all__ = ["Prepared", "Refusal", "prepare"]


def prepare(
    request: ImageRequest,
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
        made = _Maker(asked, options, name, dialect, unix, lookup(model), prices, config, server).make()
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
        near=options.near and config.near is not None,
        ttl=options.ttl if request.seed is None else None,  # what a seed names is to stay what it is
        screens=options.screens,
        defer=options.defer,
    )
    return Prepared(handle, request, work, tuple(said))


@frozen
class _Maker:
    """Makes one target of a chain. `known` is None for a model outside the catalog: it is passed on as it is."""

    request: ImageRequest
    options: Options
    provider: str
    dialect: str
    unix: float
    known: Model | None
    prices: Overrides
    config: Config
    server: str

    def make(self) -> tuple[Target, Said] | Refusal:
        request, options, known = self.request, self.options, self.known
        if known is not None and (problem := objection(known, request)) is not None:
            return Refusal(problem.field, f"{problem.field} {problem.message}")
        parameters = self._parameters()
        sent = dict(parameters)
        price = self.prices.price(self.provider, self.dialect, request.model, self.unix)
        cost = quote(request, price)
        timeouts, hurry = self._timeouts()
        prompt = input_tokens_bound(request.prompt)
        most = known.most if known is not None else 10
        target = Target(
            provider=self.provider,
            model=request.model,
            keys=keys(
                request,
                provider=self.provider,
                dialect=self.dialect,
                model=request.model,
                tenant=options.tenant,
                first=options.sample,
                samples=request.n,
                server=places.server(self.server, request.model),
            ),
            demand=Demand(1, 1, prompt + (self._estimate() or price.output_tokens or 0)),
            quote=cost.bound,
            expected=cost.expected,
            rates=price.rates,
            dialect=self.dialect,
            pool=known.pool if known is not None else request.model,
            most=most,
            gather=self._gather(timeouts),
            scope=self._scope(),
            timeouts=timeouts,
            size=request.size or "",
            quality=request.quality or "",
            asked=self._asked(sent),
            warnings=(*self._dropped(sent), *self._ending(), *hurry),
        )
        return target, Said(request.model, self.dialect, parameters, most)

    def _parameters(self) -> tuple[tuple[str, Scalar], ...]:
        """What is sent besides model, prompt and number: what was given, and what this model must be told."""
        told: list[tuple[str, Scalar]] = []
        for name in PARAMETERS:
            value: Scalar = getattr(self.request, name)
            if self.known is not None:
                if name not in self.known.parameters:
                    continue
                if value is None and name in self.known.always:
                    value = "auto"
            if value is not None:
                told.append((name, value))
        return (*told, *self.request.extra)

    def _gather(self, timeouts: Timeouts) -> str | None:
        """What may be bought along with it in one call: whatever is asked for in just the same words, by whomever."""
        if self.config.gathering.most <= 1:
            return None
        told = canonical(self.request, self.request.model) | {
            "prompt": self.request.prompt,
            "user": self.request.user,
            "timeouts": [timeouts.connect, timeouts.total],
        }
        return sha256(text(told)).hexdigest()

    def _scope(self) -> str:
        """Where likes of it are looked for; "" where nobody looks."""
        if not self.options.near or self.config.near is None:
            return ""
        return near.scope(
            self.request,
            provider=self.provider,
            dialect=self.dialect,
            model=self.request.model,
            tenant=self.options.tenant,
            first=self.options.sample,
            server=places.server(self.server, self.request.model),
        )

    def _estimate(self) -> int | None:
        return estimated_tokens(self.request.model, self.request.size, self.request.quality)

    def _timeouts(self) -> tuple[Timeouts, tuple[str, ...]]:
        own = self.known.timeouts if self.known is not None else Timeouts()
        chosen = self.options.timeouts
        if chosen is None or chosen.total >= own.total:
            return chosen or own, ()
        hurry = f"a total time-out of {chosen.total:g} s is below the {own.total:g} s of {self.request.model}"
        return chosen, (f"{hurry}: a picture that is cut off is still paid",)

    def _asked(self, sent: dict[str, Scalar]) -> tuple[tuple[str, str], ...]:
        seed = self.request.seed
        return (("seed", str(seed)),) if seed is not None and "seed" not in sent else ()

    def _dropped(self, sent: dict[str, Scalar]) -> tuple[str, ...]:
        if self.request.seed is None or "seed" in sent:
            return ()
        return (f"{self.request.model} knows no seed: it is not sent, and only tells this result from others",)

    def _ending(self) -> tuple[str, ...]:
        said = parting(self.request.model, self.unix)
        return (said,) if said else ()
