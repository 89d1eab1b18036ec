"""Pictures as the engine is told of them: keys, demand, quote and warnings of one target."""

from __future__ import annotations

from hashlib import sha256

from attrs import frozen

from penstock.cache import near, places
from penstock.cache.key import canonical, keys, text
from penstock.catalog import Model, estimated_tokens, input_tokens_bound, objection, parting
from penstock.catalog import model as lookup
from penstock.money.quote import quote
from penstock.prepare._place import Place
from penstock.requests import PARAMETERS, ImageRequest, Refusal, Said, Scalar
from penstock.work import Demand, Target, Timeouts


def image_target(request: ImageRequest, at: Place) -> tuple[Target, Said] | Refusal:
    """The target that makes `request` at a place, and how it is told; or what the model does not take of it."""
    return _Maker(request, at, lookup(request.model)).make()


@frozen
class _Maker:
    """Makes one target of a chain. `known` is None for a model outside the catalog: it is passed on as it is."""

    request: ImageRequest
    at: Place
    known: Model | None

    def make(self) -> tuple[Target, Said] | Refusal:
        request, options, known = self.request, self.at.options, self.known
        if known is not None and (problem := objection(known, request)) is not None:
            return Refusal(problem.field, f"{problem.field} {problem.message}")
        parameters = self._parameters()
        sent = dict(parameters)
        price = self.at.prices.price(self.at.provider, self.at.dialect, request.model, self.at.unix)
        cost = quote(request, price)
        timeouts, hurry = self._timeouts()
        prompt = input_tokens_bound(request.prompt)
        most = known.most if known is not None else 10
        target = Target(
            provider=self.at.provider,
            model=request.model,
            keys=keys(
                request,
                provider=self.at.provider,
                dialect=self.at.dialect,
                model=request.model,
                tenant=options.tenant,
                first=options.sample,
                samples=request.n,
                server=places.server(self.at.server, request.model),
            ),
            demand=Demand(1, 1, prompt + (self._estimate() or price.output_tokens or 0)),
            quote=cost.bound,
            expected=cost.expected,
            rates=price.rates,
            dialect=self.at.dialect,
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
        return target, Said(request.model, self.at.dialect, parameters, most)

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
        if self.at.config.gathering.most <= 1:
            return None
        told = canonical(self.request, self.request.model) | {
            "prompt": self.request.prompt,
            "user": self.request.user,
            "timeouts": [timeouts.connect, timeouts.total],
        }
        return sha256(text(told)).hexdigest()

    def _scope(self) -> str:
        """Where likes of it are looked for; "" where nobody looks."""
        if not self.at.options.near or self.at.config.near is None:
            return ""
        return near.scope(
            self.request,
            provider=self.at.provider,
            dialect=self.at.dialect,
            model=self.request.model,
            tenant=self.at.options.tenant,
            first=self.at.options.sample,
            server=places.server(self.at.server, self.request.model),
        )

    def _estimate(self) -> int | None:
        return estimated_tokens(self.request.model, self.request.size, self.request.quality)

    def _timeouts(self) -> tuple[Timeouts, tuple[str, ...]]:
        own = self.known.timeouts if self.known is not None else Timeouts()
        chosen = self.at.options.timeouts
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
        said = parting(self.request.model, self.at.unix)
        return (said,) if said else ()
