"""`POST /moderations`, both ways: texts by themselves, or one content of texts and pictures.

Categories are an open map: what a server names is passed on, and nothing else is expected. A content gets one result;
where a server gives one a part, they are joined, so that nothing that was flagged is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from penstock.errors import InvalidRequest, UsageError
from penstock.http import HttpCall, HttpReply
from penstock.readings import Problem, Usage
from penstock.requests import ModerationRequest, Prepared, Said
from penstock.requests.moderations import DEFAULT_MODERATION
from penstock.wire._json import Json
from penstock.wire._posting import posted
from penstock.wire._usage import usage
from penstock.wire.bodies import BodyReader, Piece, Room
from penstock.wire.content import heard, told
from penstock.wire.hearing import parsed, refusal
from penstock.wire.reader import Opening
from penstock.wire.replies import json_reply
from penstock.wire.sink import Sink

PATH = "/moderations"
FORMAT = "json"
FLOOR, EACH = 4 << 20, 8 << 10
"""Bytes that a reply may have, and for each verdict in it; one has some 2,500."""


def encode(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that asks about all texts of `prepared`, which are `samples`, or its content. Raises UsageError."""
    request = prepared.request
    if not isinstance(request, ModerationRequest) or request.samples != samples:
        raise UsageError(f"not a request for {samples} moderations")
    given: object = told(request.content) if request.content else list(request.texts)
    if len(request.texts) == 1:
        given = request.texts[0]
    body: dict[str, object] = {"model": said.model, "input": given}
    body.update(said.parameters)
    return posted(PATH, body, ())


def read(sink: Sink, opening: Opening) -> BodyReader:
    """Takes a reply about texts: each result goes to the sink as JSON, under the place of its text."""
    return BodyReader(sink, opening, _take, _room(opening))


def read_content(sink: Sink, opening: Opening) -> BodyReader:
    """Takes a reply about one content."""
    return BodyReader(sink, opening, _take_content, _room(opening))


def _room(opening: Opening) -> Room:
    return Room(FLOOR + EACH * opening.answers)


def _take(body: Json, raw: bytes) -> tuple[Usage | None, Sequence[Piece]] | Problem | str:
    del raw
    found = _results(body)
    if not found or not isinstance(body, dict):
        return "no verdicts"
    return usage(body.get("usage")), [(place, _bytes(one), FORMAT, "") for place, one in found]


def _take_content(body: Json, raw: bytes) -> tuple[Usage | None, Sequence[Piece]] | Problem | str:
    del raw
    found = [one for _, one in _results(body)]
    if not found or not isinstance(body, dict):
        return "no verdicts"
    return usage(body.get("usage")), [(0, _bytes(found[0] if len(found) == 1 else _joined(found)), FORMAT, "")]


def _results(body: Json) -> list[tuple[int, dict[str, Json]]]:
    """The results of a reply, each with its place: whatever says whether it is flagged."""
    given = body.get("results") if isinstance(body, dict) else None
    listed = given if isinstance(given, list) else []
    return [
        (place, one)
        for place, one in enumerate(listed)
        if isinstance(one, dict) and isinstance(one.get("flagged"), bool)
    ]


def _joined(found: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """Several results as one: flagged where any is, each category at its worst."""
    categories: dict[str, Json] = {}
    scores: dict[str, Json] = {}
    for one in found:
        said, given = one.get("categories"), one.get("category_scores")
        for name, value in (said if isinstance(said, dict) else {}).items():
            categories[name] = categories.get(name) is True or value is True
        for name, value in (given if isinstance(given, dict) else {}).items():
            before = scores.get(name)
            if isinstance(value, int | float) and not (isinstance(before, int | float) and before > value):
                scores[name] = value
    flagged = any(one.get("flagged") is True for one in found)
    return {"flagged": flagged, "categories": categories, "category_scores": scores}


def _bytes(result: Mapping[str, Json]) -> bytes:
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


# The provider's side


def decode(call: HttpCall) -> ModerationRequest:
    """The request that a call to this endpoint asks for. Raises Undecodable as the API would answer."""
    body = parsed(call.body)
    model, given = body.get("model"), body.get("input")
    name = model if isinstance(model, str) and model else DEFAULT_MODERATION
    try:
        if isinstance(given, str) and given:
            return ModerationRequest(texts=(given,), model=name)
        if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
            return ModerationRequest(texts=tuple([one for one in given if isinstance(one, str)]), model=name)
        if isinstance(given, list) and given:
            return ModerationRequest(content=heard(given, "input"), model=name)
    except InvalidRequest as error:
        raise refusal(400, f"Invalid value: {error}.", "invalid_value", "input") from None
    raise refusal(400, "'$.input' is invalid.", None, "input")


def reply(results: Sequence[Mapping[str, object]], model: str, headers: Sequence[tuple[str, str]] = ()) -> HttpReply:
    """A 200 with results, each as the API has it."""
    body = {"id": "modr-0", "model": model, "results": list(results)}
    return json_reply(body, headers)
