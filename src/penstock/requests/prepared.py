"""What `penstock.prepare` makes of a request: work for the engine, and what its driver keeps to say it."""

from __future__ import annotations

from attrs import evolve, field, frozen

from penstock.errors import UsageError
from penstock.ids import Handle
from penstock.requests._checks import Scalar
from penstock.requests.chat import ChatRequest
from penstock.requests.embeddings import EmbeddingRequest
from penstock.requests.images import ImageRequest
from penstock.requests.moderations import ModerationRequest
from penstock.requests.raw import RawRequest
from penstock.work import Work

Request = ImageRequest | ChatRequest | EmbeddingRequest | ModerationRequest | RawRequest
"""Whatever may be asked for."""


@frozen
class Otherwise:
    """What is said instead to a server that refuses the word `name`: nothing of `drops`, but `says`."""

    name: str
    drops: tuple[str, ...]
    says: tuple[tuple[str, Scalar], ...] = field(default=(), repr=False)


@frozen
class Said:
    """A request as one target is told it: `parameters` are what is sent besides model, prompt and number.

    `prompt` is what is said instead of the request's own ("": that). `sample` is the number of its first picture.
    `otherwise` is how the target's `adapts` are left out.
    """

    model: str
    dialect: str
    parameters: tuple[tuple[str, Scalar], ...] = field(repr=False)
    most: int = 10
    prompt: str = field(default="", repr=False)
    sample: int = 0
    otherwise: tuple[Otherwise, ...] = ()

    def without(self, names: tuple[str, ...]) -> Said:
        """The same for a server that refuses these words."""
        found = [one for one in self.otherwise if one.name in names]
        if not found:
            return self
        dropped = {name for one in found for name in one.drops}
        kept = [pair for pair in self.parameters if pair[0] not in dropped]
        return evolve(self, parameters=(*kept, *(pair for one in found for pair in one.says)))


@frozen
class Prepared:
    """A request made ready: `work` goes to the engine, the rest stays with the driver under `handle`.

    `said` has one entry a target of `work.targets`, in their order; `penstock.wire.encode` turns them into HTTP.
    """

    handle: Handle
    request: Request = field(repr=False)
    work: Work
    said: tuple[Said, ...] = field(repr=False)

    @property
    def pictures(self) -> ImageRequest:
        """The request, where it is for pictures. Raises UsageError for any other."""
        if not isinstance(self.request, ImageRequest):
            raise UsageError(f"a request of {self.request.operation} is not for pictures")
        return self.request


@frozen
class Refusal:
    """A request that a model does not take: which field, and what it takes instead."""

    field: str
    message: str
