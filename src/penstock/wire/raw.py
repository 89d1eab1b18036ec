"""Any other POST: a body as it was given, and a reply as it came."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.errors import UsageError
from penstock.http import HttpCall
from penstock.readings import Problem, Usage
from penstock.requests import Prepared, RawRequest, Said
from penstock.wire._formats import sniff
from penstock.wire._json import Json, begins_as_json
from penstock.wire._posting import JSON
from penstock.wire._usage import usage
from penstock.wire.bodies import SMALL, BodyReader, Piece, Room
from penstock.wire.reader import Opening
from penstock.wire.sink import HEAD, Sink

ROOM = Room(storeys=3)
"""It may be a film: of a large one only the tokens are looked for, where they stand near the top."""

_OF_ERRORS = frozenset({"error", "usage", "user_id", "code", "status", "message", "type"})
"""Names that a body has which is an error and nothing else."""


def encode(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call, as it was asked for. Raises UsageError."""
    request = prepared.request
    if not isinstance(request, RawRequest) or samples != 1 or said.model != request.model:
        raise UsageError("not a raw request")
    return HttpCall("POST", request.path, (JSON,), request.json.text.encode())


def read(sink: Sink, opening: Opening) -> BodyReader:
    """Takes any reply, nothing included (a 204): all of it goes to the sink."""
    return BodyReader(sink, opening, _take, ROOM, json=False)


def _take(body: Json, raw: bytes) -> tuple[Usage | None, Sequence[Piece]] | Problem | str:
    if isinstance(body, dict) and body.get("error") and set(body) <= _OF_ERRORS:
        return "an error"
    json = body is not None or (len(raw) > SMALL and begins_as_json(raw))  # too much of it to look at all
    form = "json" if json else sniff(raw[:HEAD]) or "bin"
    return usage(body.get("usage")) if isinstance(body, dict) else None, [(0, raw, form, "")]
