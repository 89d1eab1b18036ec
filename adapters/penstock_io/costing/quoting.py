"""What an input would cost, as it stands and otherwise: sums of published formulas and prices, nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from attrs import evolve, field, frozen

from penstock import catalog
from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.money.quote import Quote, quote, shape_of
from penstock.requests import ImageRequest

STANDARD, BATCH = "standard", "batch"
"""How a request is processed, as the catalog names it."""

Change = Callable[[ImageRequest], ImageRequest | None]
"""Makes another request of one; None where nothing would change."""


@frozen
class Ask:
    """So many pictures of requests that cost the same: `request` stands for all of them."""

    request: ImageRequest = field(repr=False)
    pictures: int


@frozen
class Amount:
    """What pictures cost in picodollars: at most `bound`, probably `expected`.

    Neither has the `unbounded` or `unguessed` pictures of which nobody knows it: both are of the others alone then.
    """

    pictures: int = 0
    bound: int = 0
    expected: int = 0
    unbounded: int = 0
    unguessed: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.pictures + other.pictures,
            self.bound + other.bound,
            self.expected + other.expected,
            self.unbounded + other.unbounded,
            self.unguessed + other.unguessed,
        )

    @property
    def most(self) -> int | None:
        """The bound of all of them; None where it is not known."""
        return None if self.unbounded else self.bound

    @property
    def likely(self) -> int | None:
        """What all of them probably cost; None where it is not known."""
        return None if self.unguessed else self.expected


@frozen
class Option:
    """The same rows with another `setting`, for `amount` in all; `pictures` of them change, the others stay.

    `saves` is by how much the bound falls, `probably` by how much the expected cost does (None: nobody knows). `ends`
    is when the model that it names is shut down (YYYY-MM-DD; "": nobody said).
    """

    setting: str
    value: str
    pictures: int
    amount: Amount
    saves: int | None
    probably: int | None
    ends: str = ""


def group(wants: Iterable[tuple[ImageRequest, int]]) -> tuple[Ask, ...]:
    """Requests with their pictures, those together that cost the same: of a prompt only its length counts.

    Of images it is their pixels and bytes.
    """
    found: dict[tuple[object, ...], tuple[ImageRequest, int]] = {}
    for request, pictures in wants:
        nbytes = len(request.prompt) if request.prompt.isascii() else len(request.prompt.encode())
        plain = evolve(request, prompt="-", n=1, seed=None, user=None, images=(), mask=None, input_fidelity=None)
        heads = [(one.width, one.height, one.nbytes, one.format, one.has_alpha) for one in request.inputs]
        shape = (len(request.prompt), nbytes, plain, tuple(heads), request.mask is None, request.input_fidelity)
        first, before = found.get(shape, (request, 0))
        found[shape] = (first, before + pictures)
    return tuple(Ask(request, pictures) for request, pictures in found.values() if pictures)


class Quoter:
    """Quotes asks at the prices of a day. `unix` is seconds; `prices` are the user's own."""

    def __init__(
        self, unix: float, prices: Overrides = NO_OVERRIDES, *, provider: str = "default", dialect: str = "openai"
    ) -> None:
        self._unix = unix
        self._prices = prices
        self._provider = provider
        self._dialect = dialect
        self._known: dict[tuple[str, str], catalog.Price] = {}

    def price(self, model: str, processing: str = STANDARD) -> catalog.Price:
        """What a model costs."""
        found = self._known.get((model, processing))
        if found is None:
            found = self._prices.price(self._provider, self._dialect, model, self._unix, processing)
            self._known[model, processing] = found
        return found

    def amount(self, asks: Iterable[Ask], processing: str = STANDARD) -> Amount:
        """What they cost together."""
        return sum((self._each(ask, processing) for ask in asks), Amount())

    def _each(self, ask: Ask, processing: str) -> Amount:
        one: Quote = quote(ask.request, self.price(ask.request.model, processing), shape_of(ask.request))
        all_of_them = one.times(ask.pictures)
        return Amount(
            ask.pictures,
            all_of_them.bound or 0,
            all_of_them.expected or 0,
            ask.pictures if one.bound is None else 0,
            ask.pictures if one.expected is None else 0,
        )

    def there(self, model: str) -> bool:
        """Whether a model of the catalog can be had on the day, and has a price."""
        known = catalog.model(model)
        if known is None or self.price(model).rates is None:
            return False
        gone = bool(known.shutdown) and self._unix >= catalog.moment(known.shutdown)
        return catalog.moment(known.released) <= self._unix and not gone


def by_setting(quoter: Quoter, asks: Iterable[Ask]) -> dict[tuple[str, str, str], Amount]:
    """What they cost by model, size and quality ("": left to the model), sorted."""
    found: dict[tuple[str, str, str], Amount] = {}
    for ask in asks:
        place = (ask.request.model, ask.request.size or "", ask.request.quality or "")
        found[place] = found.get(place, Amount()) + quoter.amount([ask])
    return dict(sorted(found.items()))


def by_batch(quoter: Quoter, asks: Sequence[Ask]) -> Option | None:
    """What the provider's own batch API takes for those whose model has a price there; None where none has."""
    covered = [ask for ask in asks if quoter.price(ask.request.model, BATCH).rates is not None]
    if not covered:
        return None
    others = [ask for ask in asks if quoter.price(ask.request.model, BATCH).rates is None]
    return _option("batch", "", quoter.amount(covered), quoter.amount(covered, BATCH), quoter.amount(others))


def cheaper(quoter: Quoter, asks: Sequence[Ask]) -> list[Option]:
    """Other settings that cost less, each alone, the cheapest first: lower qualities, other sizes, other models.

    Only what models take: where one does not take a row otherwise, that row stays as it is.
    """
    models = [known for known in map(catalog.model, catalog.names()) if known is not None]
    words = dict.fromkeys(word for known in models for word in known.qualities if word != "auto")
    sizes = dict.fromkeys(size for known in models for size in known.sizes)
    changes: list[tuple[str, str, Change]] = [
        *[("quality", word, partial(_lower, quality=word)) for word in words],
        *[("size", size, partial(_sized, size=size)) for size in sizes],
        *[("model", name, partial(_other, name=name)) for name in catalog.names() if quoter.there(name)],
    ]
    found = [_changed(quoter, asks, setting, value, change) for setting, value, change in changes]
    worth = [one for one in found if one is not None and _is_cheaper(one)]
    return sorted(worth, key=lambda one: (-(one.probably or 0), -(one.saves or 0)))


def _lower(request: ImageRequest, quality: str) -> ImageRequest | None:
    """The request in a quality below its own; None where it is not below. What the model chooses may be the highest."""
    known = catalog.model(request.model)
    if known is None or quality not in known.qualities:
        return None
    mine = request.quality
    if mine not in (None, "auto") and known.qualities.index(mine) <= known.qualities.index(quality):
        return None
    return evolve(request, quality=quality)


def _sized(request: ImageRequest, size: str) -> ImageRequest | None:
    return None if catalog.model(request.model) is None or request.size == size else evolve(request, size=size)


def _other(request: ImageRequest, name: str) -> ImageRequest | None:
    known, other = catalog.model(request.model), catalog.model(name)
    return None if known is not None and known is other else evolve(request, model=name)


def _changed(
    quoter: Quoter,
    asks: Sequence[Ask],
    setting: str,
    value: str,
    change: Change,
) -> Option | None:
    """All asks with a change, where it is one and their model takes it; None where nothing would change."""
    before: list[Ask] = []
    after: list[Ask] = []
    same: list[Ask] = []
    for ask in asks:
        made = change(ask.request)
        if made is None or not _takes(made):
            same.append(ask)
        else:
            before.append(ask)
            after.append(Ask(made, ask.pictures))
    if not after:
        return None
    return _option(setting, value, quoter.amount(before), quoter.amount(after), quoter.amount(same))


def _takes(request: ImageRequest) -> bool:
    known = catalog.model(request.model)
    return known is not None and catalog.objection(known, request) is None


def _option(setting: str, value: str, before: Amount, after: Amount, same: Amount) -> Option:
    saves = None if before.most is None or after.most is None else before.most - after.most
    probably = None if before.likely is None or after.likely is None else before.likely - after.likely
    end = catalog.ending(value) if setting == "model" else None
    return Option(setting, value, after.pictures, after + same, saves, probably, "" if end is None else end.shutdown)


def _is_cheaper(one: Option) -> bool:
    """Whether it saves something by one figure, and costs more by none."""
    saved = [figure for figure in (one.saves, one.probably) if figure is not None]
    return any(figure > 0 for figure in saved) and all(figure >= 0 for figure in saved)
