"""Any other request to a provider, as it is: `RawRequest`."""

from __future__ import annotations

import re
from typing import cast

from attrs import field, frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import model, whole
from penstock.requests._frozen import Frozen, texts_in
from penstock.work import Demand

RAW = "raw"

_PATH = re.compile(r"(?:/[A-Za-z0-9._~:@!$&'()*+,;=-]+)+/?")


def _frozen(value: object) -> Frozen:
    return Frozen.of(value, "json")


@frozen(kw_only=True)
class RawRequest:
    """A POST of `json` to `path` below the provider's base URL ("/videos"), with what it takes and may cost.

    `demand` is what it takes of the limits, `quote` its bound in picodollars (None: unknown). `model` is what its lane
    and its limits are named by: that in `json` where it is not given, else the path. The reply is not looked at, but
    for `usage` where it is JSON. Its repr does not show the body. Raises InvalidRequest.
    """

    path: str
    json: Frozen = field(repr=False, converter=_frozen)
    demand: Demand = Demand()
    quote: int | None = None
    model: str = ""

    def __attrs_post_init__(self) -> None:
        if (
            not isinstance(cast("object", self.path), str)
            or not _PATH.fullmatch(self.path)
            or "/../" in f"{self.path}/"
        ):
            raise InvalidRequest("path is below the base URL, such as /videos, without a query", field="path")
        if not isinstance(cast("object", self.demand), Demand):
            raise InvalidRequest("demand is such as Demand(tokens=1_000)", field="demand")
        whole(self.demand.requests, "demand", 1, 1_000_000)
        whole(self.demand.images, "demand", 0, 1_000_000)
        whole(self.demand.tokens, "demand", 0, 10**12)
        if self.quote is not None:
            whole(self.quote, "quote", 0, 10**18)
        if not self.model:
            object.__setattr__(self, "model", self._named())
        model(self.model)

    @property
    def operation(self) -> str:
        """What its call is, as the engine and the wire name it."""
        return RAW

    @property
    def samples(self) -> int:
        """How many results it asks for."""
        return 1

    @property
    def private(self) -> tuple[str, ...]:
        """What must never be told of it."""
        return tuple([one for one in texts_in(self.json.value) if one != self.model])

    def _named(self) -> str:
        body = self.json.value
        said: object = cast("dict[str, object]", body).get("model") if isinstance(body, dict) else None
        return said if isinstance(said, str) and said else self.path.strip("/")
