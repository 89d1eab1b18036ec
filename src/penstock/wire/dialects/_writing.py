"""Writes requests as most dialects have them: one JSON object, whose names are data."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from penstock.errors import UsageError
from penstock.http import HttpCall
from penstock.requests import ImageRequest, Prepared, Said
from penstock.wire._json import Json
from penstock.wire._posting import json_call


def asked(prepared: Prepared, said: Said) -> str:
    """The prompt as it is told. Raises UsageError for a request that has none."""
    request: object = prepared.request
    if not isinstance(request, ImageRequest):
        raise UsageError("only requests for pictures are told so")
    return said.prompt or request.prompt


@frozen
class Painter:
    """Writes a request for pictures: model, prompt, number, parameters, and what is `fixed`.

    `model` and `number` are what the dialect calls those ("": it is not told).
    """

    path: str
    model: str = "model"
    number: str = "n"
    fixed: Mapping[str, Json] = field(factory=dict[str, Json])

    def __call__(self, prepared: Prepared, said: Said, samples: int) -> HttpCall:
        """The call for so many pictures."""
        body: dict[str, Json] = {self.model: said.model} if self.model else {}
        body["prompt"] = asked(prepared, said)
        if self.number:
            body[self.number] = samples
        return json_call(self.path, {**body, **self.fixed, **dict(said.parameters)})
