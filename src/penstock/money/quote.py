"""What a picture will cost: an upper bound before it is sent, and what is likely.

The bound rests on published formulas alone, with "auto" and silence at their dearest; where one is missing nobody
knows, and that is said. With size and quality fixed it is what the picture will be charged, but for the tokens of the
prompt, of which nobody knows more than that there are no more than its bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from penstock import catalog
from penstock.requests import ImageRequest
from penstock.work import Rates

AROUND = 16
"""Tokens that may stand around a prompt."""

LETTERS = 4
"""Bytes of a prompt that one token usually stands for."""

USUAL_SIZE, USUAL_QUALITY = "1024x1024", "high"
"""What a model usually takes where it may choose."""

Formula = Callable[[str, int, int, str | None], int | None]


@frozen(kw_only=True)
class Shape:
    """What a request's price depends on besides its own fields.

    `previews` are the partial images of a stream; `images` those that the picture is made from, each (width, height)
    in pixels; `fidelity` is how closely they are kept, "low" or "high".
    """

    previews: int = 0
    images: tuple[tuple[int, int], ...] = ()
    fidelity: str | None = None


PLAIN = Shape()
"""A picture of words alone, without previews."""


def shape_of(request: ImageRequest) -> Shape:
    """What the price of a request depends on besides: the mask counts as an image: nobody says that it is free."""
    pixels = tuple([(one.width, one.height) for one in request.inputs])
    return Shape(previews=request.partial_images or 0, images=pixels, fidelity=request.input_fidelity)


@frozen
class Quote:
    """Picodollars, before anything is sent: at most `bound`, probably `expected`. None is unknown, never nothing."""

    bound: int | None
    expected: int | None

    def times(self, pictures: int) -> Quote:
        """The quote of so many pictures."""
        return Quote(
            None if self.bound is None else self.bound * pictures,
            None if self.expected is None else self.expected * pictures,
        )


def quote(request: ImageRequest, price: catalog.Price, shape: Shape = PLAIN) -> Quote:
    """What one picture of `request` will cost at `price` (see `catalog.Overrides.price`); `n` of them: `times(n)`.

    The prompt, and images that it is made from, count for each picture: a call of several may be split.
    """
    rates = price.rates
    if rates is None:
        return Quote(None, None)
    if rates.picture is not None:
        return Quote(rates.picture, rates.picture)
    bound = _cost(
        rates,
        text=catalog.input_tokens_bound(request.prompt),
        image=_images(catalog.image_tokens, request, price, shape),
        output=_output(bound_tokens(request, price), shape),
    )
    expected = _cost(
        rates,
        text=AROUND + len(request.prompt.encode()) // LETTERS,
        image=_images(catalog.estimated_image_tokens, request, price, shape),
        output=_output(expected_tokens(request, price), shape),
    )
    return Quote(bound, expected if bound is None or expected is None else min(bound, expected))


def bound_tokens(request: ImageRequest, price: catalog.Price) -> int | None:
    """The most output tokens of a picture: by the published formula, else what the user says."""
    published = catalog.output_tokens(request.model, request.size, request.quality)
    return price.output_tokens if published is None else published


def expected_tokens(request: ImageRequest, price: catalog.Price) -> int | None:
    """Output tokens that are likely: a square megapixel and high quality where the model may choose."""
    size = USUAL_SIZE if request.size in (None, "auto") else request.size
    quality = USUAL_QUALITY if request.quality in (None, "auto") else request.quality
    likely = catalog.estimated_tokens(request.model, size, quality)
    return price.output_tokens if likely is None else likely


def _images(formula: Formula, request: ImageRequest, price: catalog.Price, shape: Shape) -> int | None:
    """The tokens of all images by a formula, else what the user says of each."""
    figures = [formula(request.model, *pixels, shape.fidelity) for pixels in shape.images]
    known = [one for figure in figures if (one := price.input_tokens if figure is None else figure) is not None]
    return sum(known) if len(known) == len(figures) else None


def _output(tokens: int | None, shape: Shape) -> int | None:
    return None if tokens is None else tokens + catalog.preview_tokens(shape.previews)


def _cost(rates: Rates, *, text: int, image: int | None, output: int | None) -> int | None:
    """Picodollars of tokens by class; None where their number or their price is not known."""
    total = 0
    for tokens, rate in ((text, rates.text), (image, rates.image), (output, rates.image_out)):
        if tokens == 0:
            continue
        if tokens is None or rate is None:
            return None
        total += tokens * rate
    return total
