"""What a user sees of a client: `client.images`, results and pictures.

Shared by the three clients, which differ only in who waits: `generate` returns what the client's own way of waiting
makes of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Generic, Self, TypeVar, cast

from attrs import asdict, field, frozen

from penstock.errors import (
    InvalidRequest,
    PenstockError,
    UsageError,
)
from penstock.outcomes import Outcome, Picture, Route, Source, Status, Trouble
from penstock.readings import Usage
from penstock.requests import ImageRequest, Options, Scalar
from penstock_io.inputs import ImageSource, read_image, read_images

Returned = TypeVar("Returned")
Requests = TypeVar("Requests")
Results = TypeVar("Results")
Streams = TypeVar("Streams")

PICODOLLARS = Decimal(10) ** 12
"""How many of the engine's integer units make a dollar."""

DEFAULT = Options()
"""Nothing special: no deadline, no tags, the store is used."""


def dollars(picodollars: int | None) -> Decimal | None:
    """An amount as exact dollars; None is unknown and stays so."""
    return None if picodollars is None else Decimal(picodollars) / PICODOLLARS


def tokens_told(usage: Usage | None) -> dict[str, int] | None:
    """The tokens of a usage by class, for programs; None where it is not known. What it cost is said in dollars."""
    return None if usage is None else asdict(usage, filter=lambda one, _: one.name != "cost")


def picodollars(dollars: Decimal) -> int:
    """Dollars as the engine counts them; a fraction of a picodollar is dropped. Raises `UsageError` for no amount."""
    given = cast("object", dollars)
    if not isinstance(given, Decimal) or not given.is_finite():
        raise UsageError(f"dollars are a Decimal, such as Decimal('5.00'), not {given!r}")
    if dollars < 0:
        raise UsageError(f"{dollars} dollars are less than nothing")
    return int(dollars * PICODOLLARS)


@frozen
class Image:
    """One picture. `index` is its place among the samples asked for; its bytes are in memory or in a file."""

    picture: Picture
    content: bytes | Path = field(repr=False)
    revised_prompt: str | None = field(default=None, repr=False)

    @property
    def index(self) -> int:
        """Its place among the samples of the request."""
        return self.picture.index

    @property
    def source(self) -> Source:
        """Bought, shared, stored or similar."""
        return self.picture.source

    @property
    def format(self) -> str:
        """What its first bytes say: "png", "jpeg", "webp"."""
        return self.picture.meta.format

    @property
    def size(self) -> str:
        """What the provider said of its size, e.g. "1024x1024"."""
        return self.picture.meta.size

    @property
    def data(self) -> bytes:
        """Its bytes. Reads the file where it is in one; raises `OSError` then."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def save(self, path: str | Path) -> Path:
        """Write it to `path`. Raises `OSError`."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


class Ended:
    """Something with an `outcome`, and an `error` where not all is there that was asked for."""

    __slots__ = ()

    outcome: Outcome
    error: PenstockError | None

    @property
    def cost(self) -> Decimal | None:
        """What this request was charged, in exact dollars; None where a price is unknown."""
        return dollars(self.outcome.charge)

    @property
    def usage(self) -> Usage | None:
        """Tokens, as the provider counted them."""
        return self.outcome.usage

    @property
    def attempts(self) -> int:
        """Exchanges of the calls that it paid or waited for."""
        return self.outcome.attempts

    @property
    def cached(self) -> bool:
        """Whether all of it came from the store."""
        return self.outcome.status is Status.CACHED

    @property
    def saved(self) -> Decimal | None:
        """What it cost that this request did not pay: it was stored, or another request paid."""
        return dollars(self.outcome.saved)

    @property
    def route(self) -> Route | None:
        """What served it, or was tried last: provider, model, place in its chain. None: it was nobody's turn yet."""
        return self.outcome.route

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was changed or is doubtful about the request."""
        return self.outcome.warnings

    def checked(self) -> Self:
        """Itself, or its error raised where nothing came at all."""
        if self.error is not None and self.outcome.status is not Status.PARTIAL:
            raise self.error
        return self


@frozen
class Result(Ended):
    """What became of one request. `error` is None where all pictures are there.

    A partial result has some of its pictures in `images` and says in `error` why the others are missing. `index` is the
    request's place in the input of `map` (0 for `generate`).
    """

    request: ImageRequest = field(repr=False)
    outcome: Outcome
    images: tuple[Image, ...] = ()
    error: PenstockError | None = None
    index: int = 0

    @property
    def score(self) -> float | None:
        """How near (cosine) a picture is that was found by meaning; None: all are what was asked for."""
        return self.outcome.score

    @property
    def reproducible(self) -> str:
        """What keeps the promise of a seed: "seed" where the provider was told it; "stored" where its model knows none.

        Then the stored copy is that variant. "": none was asked for, or nothing came.
        """
        told = "seed" if self.request.seed is not None and self.outcome.pictures else ""
        return self.outcome.reproducible or told


def refused(request: ImageRequest, error: InvalidRequest, index: int) -> Result:
    """The result of a request that could not be sent; its error carries the outcome, too."""
    outcome = error.outcome = error.outcome or unsendable(str(error), error.field)
    return Result(request, outcome, (), error, index)


def unsendable(message: str, field: str | None) -> Outcome:
    """The outcome of a request that could not be sent; `field` stands where a provider's code would."""
    return Outcome(Status.FAILED, error=Trouble("invalid", message, None, field))


class Images(Generic[Returned, Requests, Results, Streams]):
    """`client.images`."""

    def __init__(
        self,
        run: Callable[[ImageRequest, Options], Returned],
        spread: Callable[[Requests, Options], Results],
        later: Callable[[Callable[[], ImageRequest], Options], Returned],
        listen: Callable[[Callable[[], ImageRequest], Options], Streams],
    ) -> None:
        self._run = run
        self._spread = spread
        self._later = later
        self._listen = listen

    def generate(  # noqa: PLR0913 - the API's own parameters, all by name
        self,
        *,
        prompt: str,
        model: str,
        size: str | None = None,
        quality: str | None = None,
        n: int = 1,
        background: str | None = None,
        moderation: str | None = None,
        output_format: str | None = None,
        output_compression: int | None = None,
        user: str | None = None,
        complexity: str | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        extra: Mapping[str, Scalar] | None = None,
        options: Options = DEFAULT,
    ) -> Returned:
        """Make `n` pictures of a prompt and wait for them: a `Result`.

        Raises `InvalidRequest` for what no server would take, or a `JobError` that carries its `outcome`: one of
        `ContentRefused`, `BudgetExceeded`, `CredentialRejected`, `DeadlineExceeded`, `Ambiguous`, `Halted`,
        `ScreenFailed`, `NotStored`, `QueueFull`, `Cancelled` and `ProviderError`. Giving up waiting lets a picture that
        is being paid for arrive in the store.
        """
        request = ImageRequest(
            prompt=prompt, model=model, size=size, quality=quality, n=n, background=background, moderation=moderation,
            output_format=output_format, output_compression=output_compression, user=user, complexity=complexity,
            seed=seed, negative_prompt=negative_prompt, steps=steps, guidance=guidance,
            extra=tuple((extra or {}).items()),
        )  # fmt: skip
        return self._run(request, options)

    def edit(  # noqa: PLR0913 - the API's own parameters, all by name
        self,
        *,
        image: ImageSource | Sequence[ImageSource],
        prompt: str,
        model: str,
        mask: ImageSource | None = None,
        size: str | None = None,
        quality: str | None = None,
        n: int = 1,
        background: str | None = None,
        moderation: str | None = None,
        input_fidelity: str | None = None,
        output_format: str | None = None,
        output_compression: int | None = None,
        user: str | None = None,
        complexity: str | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        strength: float | None = None,
        extra: Mapping[str, Scalar] | None = None,
        options: Options = DEFAULT,
    ) -> Returned:
        """Make `n` pictures from one image or several, as the prompt says, and wait for them: a `Result`.

        An image is bytes, a path, an address (https://...), a data URL, an open file, a picture of a result, or an
        `InputImage`; files are read off an event loop. `mask` is a PNG as large as the first image, transparent where
        that is to change. Raises as `generate` does; `InvalidRequest` also for what is no image, or none that the model
        takes.
        """

        def made() -> ImageRequest:
            return ImageRequest(
                prompt=prompt, model=model, size=size, quality=quality, n=n, background=background,
                moderation=moderation, input_fidelity=input_fidelity, output_format=output_format,
                output_compression=output_compression, user=user, complexity=complexity, seed=seed,
                negative_prompt=negative_prompt, steps=steps, guidance=guidance, strength=strength,
                images=read_images(image),
                mask=None if mask is None else read_image(mask, "mask"),
                extra=tuple((extra or {}).items()),
            )  # fmt: skip

        return self._later(made, options)

    def stream(  # noqa: PLR0913 - the API's own parameters, all by name
        self,
        *,
        prompt: str,
        model: str,
        partial_images: int = 2,
        image: ImageSource | Sequence[ImageSource] | None = None,
        mask: ImageSource | None = None,
        size: str | None = None,
        quality: str | None = None,
        n: int = 1,
        background: str | None = None,
        moderation: str | None = None,
        input_fidelity: str | None = None,
        output_format: str | None = None,
        output_compression: int | None = None,
        user: str | None = None,
        complexity: str | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        strength: float | None = None,
        extra: Mapping[str, Scalar] | None = None,
        options: Options = DEFAULT,
    ) -> Streams:
        """Make `n` pictures and see them being made: iterate for up to `partial_images` previews each, then the result.

        With `image` they are made from that, as `edit` makes them. Each preview costs 100 tokens; fewer may come, and
        none of what is stored, of what a picture screen must see first, and from a server that has no streams. The last
        item is the `Result`; errors are raised as `generate` and `edit` raise them. Leaving early gives up waiting.
        """

        def made() -> ImageRequest:
            return ImageRequest(
                prompt=prompt, model=model, partial_images=partial_images, size=size, quality=quality, n=n,
                background=background, moderation=moderation, input_fidelity=input_fidelity,
                output_format=output_format, output_compression=output_compression, user=user, complexity=complexity,
                seed=seed, negative_prompt=negative_prompt, steps=steps, guidance=guidance, strength=strength,
                images=() if image is None else read_images(image),
                mask=None if mask is None else read_image(mask, "mask"),
                extra=tuple((extra or {}).items()),
            )  # fmt: skip

        return self._listen(made, options)

    def map(self, requests: Requests, options: Options = DEFAULT) -> Results:
        """Results of many requests as they come, each with its `index` and `request`; the input is drawn lazily.

        The input gives requests, or (request, options) pairs where one has options of its own instead of `options`.
        Raises for none of them: each says its `error`. Leaving early gives up what is left. What the input itself
        raises is raised once all that was drawn before is there.
        """
        return self._spread(requests, options)
