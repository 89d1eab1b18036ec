"""What a user sees of a client: `client.images`, results and pictures.

Shared by the three clients, which differ only in who waits: `generate` returns what the client's own way of waiting
makes of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Generic, TypeVar, cast

from attrs import asdict, field, frozen

from penstock.errors import (
    Ambiguous,
    BudgetExceeded,
    Cancelled,
    ContentRefused,
    CredentialRejected,
    DeadlineExceeded,
    Halted,
    InvalidRequest,
    JobError,
    NotStored,
    PenstockError,
    ProviderError,
    QueueFull,
    ScreenFailed,
    UsageError,
)
from penstock.outcomes import Outcome, Picture, Source, Status, Trouble
from penstock.readings import Usage
from penstock.requests import ImageRequest, Options, Scalar
from penstock_io._ended import PICODOLLARS, Ended
from penstock_io.inputs import ImageSource, read_image, read_images

Returned = TypeVar("Returned")
Requests = TypeVar("Requests")
Results = TypeVar("Results")

DEFAULT = Options()
"""Nothing special: no deadline, no tags, the store is used."""


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


_BY_STATUS: dict[Status, type[JobError]] = {
    Status.REFUSED: ContentRefused,
    Status.EXPIRED: DeadlineExceeded,
    Status.AMBIGUOUS: Ambiguous,
    Status.CANCELLED: Cancelled,
    Status.DEFERRED: JobError,
    Status.FAILED: ProviderError,
    Status.PARTIAL: ProviderError,
}
_BY_KIND: dict[str, type[JobError]] = {
    "budget": BudgetExceeded,
    "unknown_price": BudgetExceeded,
    "account": CredentialRejected,
    "credential": CredentialRejected,
    "no_lane": Halted,
    "patience": DeadlineExceeded,
    "removed": Halted,
    "quota_exhausted": Halted,
    "not_stored": NotStored,
    "queue_full": QueueFull,
    "screen_fault": ScreenFailed,
}
"""Failures that are not the provider's.

`Halted` is what no other request to the same provider would escape either, until somebody does something about it: no
credential for it, no credit. A model that is gone or forbidden is the provider's refusal of what was asked: another
model may go. Whatever had to be given up because the engine was halted is `Halted`, too, whatever halted it.
"""


def error_of(outcome: Outcome) -> JobError | None:
    """The named error of an outcome; None where everything asked for is there.

    It says what happened and what to do, then in brackets the kind, and the provider's status, code and request id.
    """
    kind = _BY_STATUS.get(outcome.status)
    if kind is None:
        return None
    trouble = outcome.error
    if trouble is None:
        return kind(outcome.status.value, outcome)
    if outcome.status in {Status.FAILED, Status.PARTIAL}:
        kind = _BY_KIND.get(trouble.kind, kind)
    elif outcome.status is Status.CANCELLED and trouble.kind != "cancelled":
        kind = Halted
    codes = (trouble.kind, trouble.status, trouble.code, trouble.request_id)
    return kind(f"{trouble.text} ({', '.join(str(code) for code in codes if code is not None)})", outcome)


def refused(request: ImageRequest, error: InvalidRequest, index: int) -> Result:
    """The result of a request that could not be sent; its error carries the outcome, too."""
    outcome = error.outcome = error.outcome or unsendable(str(error), error.field)
    return Result(request, outcome, (), error, index)


def unsendable(message: str, field: str | None) -> Outcome:
    """The outcome of a request that could not be sent; `field` stands where a provider's code would."""
    return Outcome(Status.FAILED, error=Trouble("invalid", message, None, field))


class Images(Generic[Returned, Requests, Results]):
    """`client.images`."""

    def __init__(
        self,
        run: Callable[[ImageRequest, Options], Returned],
        spread: Callable[[Requests, Options], Results],
        later: Callable[[Callable[[], ImageRequest], Options], Returned],
    ) -> None:
        self._run = run
        self._spread = spread
        self._later = later

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
            prompt=prompt,
            model=model,
            size=size,
            quality=quality,
            n=n,
            background=background,
            moderation=moderation,
            output_format=output_format,
            output_compression=output_compression,
            user=user,
            seed=seed,
            negative_prompt=negative_prompt,
            steps=steps,
            guidance=guidance,
            extra=tuple((extra or {}).items()),
        )
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
        seed: int | None = None,
        strength: float | None = None,
        extra: Mapping[str, Scalar] | None = None,
        options: Options = DEFAULT,
    ) -> Returned:
        """Make `n` pictures from one image or several, as the prompt says, and wait for them: a `Result`.

        An image is bytes, a path, an address (https://...), a picture of a result, or an `InputImage`; files are read
        off an event loop. `mask` is a PNG as large as the first image, transparent where that is to change. Raises as
        `generate` does; `InvalidRequest` also for what is no image, or none that the model takes.
        """

        def made() -> ImageRequest:
            return ImageRequest(
                prompt=prompt,
                model=model,
                size=size,
                quality=quality,
                n=n,
                background=background,
                moderation=moderation,
                output_format=output_format,
                output_compression=output_compression,
                user=user,
                seed=seed,
                strength=strength,
                images=read_images(image),
                mask=None if mask is None else read_image(mask, "mask"),
                input_fidelity=input_fidelity,
                extra=tuple((extra or {}).items()),
            )

        return self._later(made, options)

    def map(self, requests: Requests, options: Options = DEFAULT) -> Results:
        """Results of many requests as they come, each with its `index` and `request`; the input is drawn lazily.

        The input gives requests, or (request, options) pairs where one has options of its own instead of `options`.
        Raises for none of them: each says its `error`. Leaving early gives up what is left. What the input itself
        raises is raised once all that was drawn before is there.
        """
        return self._spread(requests, options)
