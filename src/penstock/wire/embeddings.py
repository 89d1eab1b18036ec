"""`POST /embeddings`, both ways: vectors travel as base64 or as numbers, and are kept as 32-bit floats."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from functools import partial
from struct import unpack

from penstock.errors import InvalidRequest, UsageError
from penstock.http import HttpCall, HttpReply
from penstock.readings import Problem, Usage
from penstock.requests import EmbeddingInput, EmbeddingRequest, Prepared, Said, Scalar
from penstock.wire._json import Json
from penstock.wire._posting import posted
from penstock.wire._usage import usage
from penstock.wire._vectors import SPOILT, WIDTH, VectorCutter, from_base64, from_numbers
from penstock.wire.bodies import BodyReader, Piece, Room
from penstock.wire.hearing import parsed, refusal, required, unknown, whole, word
from penstock.wire.reader import Opening
from penstock.wire.replies import json_reply
from penstock.wire.sink import Sink

PATH = "/embeddings"
MOST, LONGEST = 2_048, 8_192
"""Inputs of one call, and tokens of an input (OpenAI API reference, create embeddings, 2026-08)."""

FLOOR, NUMBER, WIDEST = 32 << 20, 32, 1 << 14
"""Bytes that a reply may have, and for each number in it; dimensions of vectors where nobody says how many."""

LEFT, EACH = 1 << 20, 512
"""Bytes of a reply without its vectors, and for each of them."""

FIRST = ("model", "input", "user")
"""With what a body begins, as the official client has it (openai-python 3.54)."""

FORMAT = "f32"
"""What a stored vector is: 32-bit floats, little-endian."""


def encode(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that buys the vectors of all inputs of `prepared`, which are `samples`. Raises UsageError."""
    request = prepared.request
    if not isinstance(request, EmbeddingRequest) or len(request.inputs) != samples:
        raise UsageError(f"not a request for {samples} embeddings")
    inputs = [one if isinstance(one, str) else list(one) for one in request.inputs]
    single = len(inputs) == 1 and isinstance(inputs[0], str)
    body: dict[str, object] = {"model": said.model, "input": inputs[0] if single else inputs}
    body.update(said.parameters)
    return posted(PATH, body, request.extra, FIRST)


def read(sink: Sink, opening: Opening) -> BodyReader:
    """Takes a reply: each vector goes to the sink under the place of its input."""
    cutter = VectorCutter()
    numbers = opening.answers * (opening.dimensions or WIDEST)
    room = Room(FLOOR + NUMBER * numbers, left=LEFT + EACH * opening.answers)
    return BodyReader(sink, opening, partial(_take, cutter, opening.dimensions), room, cut=cutter)


def _take(
    cutter: VectorCutter, dimensions: int, body: Json, raw: bytes
) -> tuple[Usage | None, Sequence[Piece]] | Problem | str:
    del raw
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(data, list):
        return "no vectors"
    found: dict[int, bytes] = {}
    for place, item in enumerate(data):
        if not isinstance(item, dict):
            continue
        said = item.get("index")
        index = said if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < len(data) else place
        value = item.get("embedding")
        # a number alone is the place of a vector that was cut
        vector = cutter.of(value[0]) if isinstance(value, list) and len(value) == 1 else packed(value)
        if index in found:
            return "a vector is given twice"
        if vector is not None:
            found[index] = vector
    if not found:
        return "no vectors"
    # a server that gives another length than was asked for would do so again, and be paid again
    good = {
        index: vector
        for index, vector in sorted(found.items())
        if vector != SPOILT and len(vector) == (dimensions * WIDTH or len(vector))
    }
    spoilt: list[Piece] = [(index, None, FORMAT, "") for index in sorted(found.keys() - good.keys())]
    lengths = sorted({len(vector) // WIDTH for vector in good.values()})
    if len(lengths) > 1:
        return f"vectors of {lengths[0]} to {lengths[-1]} numbers in one reply"
    pieces: list[Piece] = [(index, vector, FORMAT, str(len(vector) // WIDTH)) for index, vector in good.items()]
    return usage(body.get("usage")), pieces + spoilt


def packed(value: Json) -> bytes | None:
    """A vector as 32-bit floats, little-endian; `SPOILT` where a number is none or too large; None for what is none."""
    if isinstance(value, str):
        return from_base64(value) if value.isascii() else None
    return from_numbers(list(value)) if isinstance(value, list) else None


def unpacked(vector: bytes) -> tuple[float, ...]:
    """The numbers of a vector."""
    return unpack(f"<{len(vector) // WIDTH}f", vector)


# The provider's side


def decode(call: HttpCall) -> EmbeddingRequest:
    """The request that a call to this endpoint asks for. Raises Undecodable as the API would answer."""
    body = parsed(call.body)
    model, encoding = required(body, "model"), body.get("encoding_format", "float")
    dimensions, user = whole(body, "dimensions"), word(body, "user")
    inputs = _inputs(body.get("input"))
    passed = ("model", "input", "dimensions", "encoding_format", "user")
    extra: list[tuple[str, Scalar]] = []
    for name, value in body.items():
        if name not in passed:
            if isinstance(value, list | dict):
                raise unknown(name)
            extra.append((name, value))
    try:
        return EmbeddingRequest(
            inputs=inputs,
            model=model,
            dimensions=dimensions,
            encoding=encoding if isinstance(encoding, str) else "",
            user=user,
            extra=tuple(extra),
        )
    except InvalidRequest as error:
        raise refusal(400, f"Invalid value: {error}.", "invalid_value", error.field) from None


def _inputs(value: Json) -> tuple[EmbeddingInput, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value:
        raise refusal(400, "'$.input' is invalid.", None, "input")
    if all(isinstance(one, int) for one in value):
        return (_tokens(value),)
    if len(value) > MOST:
        raise refusal(400, f"'$.input' is invalid: at most {MOST} inputs.", None, "input")
    found: list[EmbeddingInput] = []
    for one in value:
        if isinstance(one, str) and one:
            found.append(one)
        elif isinstance(one, list) and one:
            found.append(_tokens(one))
        else:
            raise refusal(400, "'$.input' is invalid.", None, "input")
    return tuple(found)


def _tokens(value: list[Json]) -> tuple[int, ...]:
    tokens = [one for one in value if isinstance(one, int) and not isinstance(one, bool)]
    if len(tokens) != len(value):
        raise refusal(400, "'$.input' is invalid.", None, "input")
    if len(tokens) > LONGEST:
        message = f"This model's maximum context length is {LONGEST} tokens, however you requested {len(tokens)}."
        raise refusal(400, message, "context_length_exceeded", "input")
    return tuple(tokens)


def reply(
    vectors: Sequence[bytes], used: Usage, request: EmbeddingRequest, headers: Sequence[tuple[str, str]] = ()
) -> HttpReply:
    """A 200 with vectors of 32-bit floats, as the request wants them."""
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": b2a_base64(one, newline=False).decode()
            if request.encoding == "base64"
            else list(unpacked(one)),
        }
        for place, one in enumerate(vectors)
    ]
    tokens = used.input_text
    body = {
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return json_reply(body, headers)
