"""What `penstock.prepare` makes of a request: work for the engine, and what its driver keeps to say it."""

from __future__ import annotations

from attrs import field, frozen

from penstock.ids import Handle
from penstock.requests._checks import Scalar
from penstock.requests.images import ImageRequest
from penstock.work import Work

Request = ImageRequest
"""Whatever may be asked for."""


@frozen
class Said:
    """A request as one target is told it: `parameters` are what is sent besides model, prompt and number.

    `prompt` is what is said instead of the request's own ("": that). `sample` is the number of its first picture.
    """

    model: str
    dialect: str
    parameters: tuple[tuple[str, Scalar], ...] = field(repr=False)
    most: int = 10
    prompt: str = field(default="", repr=False)
    sample: int = 0


@frozen
class Prepared:
    """A request made ready: `work` goes to the engine, the rest stays with the driver under `handle`.

    `said` has one entry a target of `work.targets`, in their order; `penstock.wire.encode` turns them into HTTP.
    """

    handle: Handle
    request: Request = field(repr=False)
    work: Work
    said: tuple[Said, ...] = field(repr=False)


@frozen
class Refusal:
    """A request that a model does not take: which field, and what it takes instead."""

    field: str
    message: str
