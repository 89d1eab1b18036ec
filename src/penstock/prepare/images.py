"""Pictures as the engine is told of them: keys, demand, quote and warnings of one target."""

from __future__ import annotations

from hashlib import sha256

from attrs import evolve, frozen

from penstock.cache import near, places
from penstock.cache.key import canonical, keys, text
from penstock.catalog import (
    Model,
    Price,
    estimated_image_tokens,
    estimated_tokens,
    input_tokens_bound,
    objection,
    parting,
    preview_tokens,
)
from penstock.catalog import model as lookup
from penstock.money.quote import Quote, quote, shape_of
from penstock.prepare._place import Place
from penstock.requests import ImageRequest, Otherwise, Refusal, Said, Scalar, Unsaid
from penstock.wire import Saying, dialect, edits, say
from penstock.work import Demand, Target, Timeouts

STREAMING = ("stream", "partial_images")
"""The words with which a stream is asked for."""

UNSEEN = (1024, 1024)
"""Pixels of an image that only the provider will see, for its tokens."""


def image_target(request: ImageRequest, at: Place) -> tuple[Target, Said] | Refusal:
    """The target that makes `request` at a place, and how it is told; or what the model does not take of it.

    Raises UsageError for a dialect that nobody speaks.
    """
    known = lookup(request.model)
    if known is not None and (problem := objection(known, request)) is not None:
        return Refusal(problem.field, f"{problem.field} {problem.message}")
    saying = say(request, dialect(at.dialect), known, at.options.unsaid)
    if isinstance(saying, Refusal):
        return saying
    if (unfit := edits.unfit(request, [name for name, _ in saying.parameters])) is not None:
        return unfit
    maker = _Maker(request, at, known, saying)
    if request.partial_images is not None and not maker.streams and at.options.unsaid is Unsaid.REFUSE:
        return Refusal("partial_images", f"partial_images: {maker.mute}; leave it out, or let it be dropped")
    return maker.make()


@frozen
class _Maker:
    """Makes one target of a chain. `known` is None for a model outside the catalog: it is passed on as it is."""

    request: ImageRequest
    at: Place
    known: Model | None
    saying: Saying

    def make(self) -> tuple[Target, Said]:
        request, options, known, saying = self.request, self.at.options, self.known, self.saying
        price = self.at.prices.price(self.at.provider, self.at.dialect, request.model, self.at.unix)
        cost = quote(self._told(), price, evolve(shape_of(self.request), previews=self._previews()))
        timeouts, hurry = self._timeouts()
        most = 1 if self.streams else min(saying.most, known.most if known is not None else saying.most)
        target = Target(
            provider=self.at.provider,
            model=request.model,
            keys=keys(
                saying.keyed,
                provider=self.at.provider,
                dialect=self.at.dialect,
                model=request.model,
                tenant=options.tenant,
                first=options.sample,
                samples=request.n,
                server=places.server(self.at.server, request.model),
            ),
            demand=self._demand(price.output_tokens),
            quote=cost.bound,
            expected=cost.expected,
            rates=price.rates,
            dialect=self.at.dialect,
            operation=request.operation,
            pool=known.pool if known is not None else request.model,
            most=most,
            gather=self._gather(timeouts),
            scope=self._scope(),
            stream=self.streams,
            adapts=tuple([one.name for one in self._otherwise()]),
            timeouts=timeouts,
            size=request.size or "",
            quality=request.quality or "",
            asked=(("seed", str(request.seed)),) if "seed" in saying.unsaid else (),
            unbounded=self._unbounded(cost, price),
            warnings=(*saying.warnings, *self._muted(), *self._unseen(), *self._ending(), *hurry),
        )
        parameters = (*saying.parameters, *self._streamed())
        said = Said(request.model, self.at.dialect, parameters, most, saying.prompt, options.sample, self._otherwise())
        return target, said

    @property
    def streams(self) -> bool:
        """Whether it comes as a stream. How the pictures of one stream are told apart is not known: one each."""
        way = dialect(self.at.dialect).ways[self.request.operation]
        return self.request.partial_images is not None and way.listen is not None

    @property
    def mute(self) -> str:
        """Why there is no stream."""
        return f"{self.at.dialect} has no streams of {self.request.operation}"

    def _muted(self) -> tuple[str, ...]:
        unheard = self.request.partial_images is not None and not self.streams
        return (f"{self.mute}: there are no previews",) if unheard else ()

    def _unbounded(self, cost: Quote, price: Price) -> str:
        """What is missing for a bound where the price is known: tokens of images that nobody has seen."""
        known = cost.bound is None and quote(self._told(), price).bound is not None
        if not known or not any(one.elsewhere for one in self.request.inputs):
            return ""
        return (
            "what an image behind an address or a file_id takes is not known beforehand, so that its cost has no bound"
        )

    def _unseen(self) -> tuple[str, ...]:
        """What is not checked, because it cannot be."""
        files = sum(bool(one.file_id) for one in self.request.inputs)
        what = "an image is an uploaded file" if files == 1 else f"{files} images are uploaded files"
        said = f"{what} (file_id): type, size and transparency are not checked beforehand"
        return (said,) if files else ()

    def _streamed(self) -> tuple[tuple[str, Scalar], ...]:
        """How a stream is asked for."""
        previews = self.request.partial_images
        if not self.streams or previews is None:
            return ()
        return (("stream", True), ("partial_images", previews)) if previews else (("stream", True),)

    def _otherwise(self) -> tuple[Otherwise, ...]:
        """A server that refuses either word is asked for no stream."""
        return tuple([Otherwise(name, STREAMING) for name in STREAMING]) if self.streams else ()

    def _told(self) -> ImageRequest:
        """The request with the prompt that is sent."""
        return evolve(self.request, prompt=self.saying.prompt) if self.saying.prompt else self.request

    def _previews(self) -> int:
        return self.request.partial_images or 0 if self.streams else 0

    def _demand(self, output: int | None) -> Demand:
        """What a picture takes: `output` tokens where no formula says how many. An image nobody saw is a usual one."""
        request, tokens = self.request, input_tokens_bound(self._told().prompt) + preview_tokens(self._previews())
        for one in request.inputs:
            figures = [
                estimated_image_tokens(request.model, *pixels, request.input_fidelity)
                for pixels in ((one.width, one.height), UNSEEN)
            ]
            tokens += next((figure for figure in figures if figure), 0)
        inputs = len(request.images)
        return Demand(1, 1 + inputs, tokens + (self._estimate() or output or 0), inputs)

    def _gather(self, timeouts: Timeouts) -> str | None:
        """What may be bought along with it in one call: whatever is asked for in just the same words, by whomever."""
        if self.at.config.gathering.most <= 1 or self.streams:
            return None
        told = canonical(self.saying.keyed, self.request.model) | {
            "prompt": self.saying.keyed.prompt,
            "user": self.request.user,
            "timeouts": [timeouts.connect, timeouts.total],
        }
        return sha256(text(told)).hexdigest()

    def _scope(self) -> str:
        """Where likes of it are looked for; "" where nobody looks."""
        if not self.at.options.near or self.at.config.near is None:
            return ""
        return near.scope(
            self.saying.keyed,
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

    def _ending(self) -> tuple[str, ...]:
        said = parting(self.request.model, self.at.unix)
        return (said,) if said else ()
