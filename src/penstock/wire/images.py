"""`POST /images/generations` as the provider hears it: a prepared request becomes an HTTP call, and back."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.catalog import model as lookup
from penstock.catalog import objection
from penstock.errors import InvalidRequest
from penstock.http import HttpCall
from penstock.readings import Problem
from penstock.requests import PARAMETERS, ImageRequest, InputImage, Prepared, Said, Scalar
from penstock.wire._json import Json, parse
from penstock.wire._posting import posted

PATH = "/images/generations"
MOST = 10
"""Pictures of one call (OpenAI API reference, create image, 2026-09)."""

_KIND = "invalid_request_error"


class Undecodable(Exception):
    """A call that the API answers with an error: its `status`, the `problem`, and the parameter it is about."""

    def __init__(self, status: int, problem: Problem, param: str | None = None) -> None:
        super().__init__(problem.message)
        self.status = status
        self.problem = problem
        self.param = param


def encode(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that buys `samples` pictures of `prepared` from whom is told `said`."""
    body: dict[str, Scalar] = {"model": said.model, "prompt": said.prompt or prepared.pictures.prompt, "n": samples}
    body.update(said.parameters)
    return posted(PATH, body, prepared.pictures.extra)


def decode(call: HttpCall) -> ImageRequest:
    """The request that a call to this endpoint asks for. Raises Undecodable as the API would answer."""
    return made(parsed(call.body))


def made(body: Mapping[str, Json], images: tuple[InputImage, ...] = (), mask: InputImage | None = None) -> ImageRequest:
    """The request that the fields of a call say, with what it is made from. Raises Undecodable."""
    model, prompt = (_required(body, name) for name in ("model", "prompt"))
    known = lookup(model)
    number = body.get("n")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST):
        raise refusal(400, f"Invalid 'n': expected an integer from 1 to {MOST}.", "invalid_value", "n")
    if known is not None and "response_format" in body:
        raise _unknown("response_format")
    words = {name: body[name] for name in PARAMETERS if body.get(name) is not None}
    passed = ("model", "prompt", "n", "stream", "partial_images", *PARAMETERS)
    extra = {name: value for name, value in body.items() if name not in passed}
    if known is not None and "seed" in words:
        raise _unknown("seed")
    try:
        request = ImageRequest(
            prompt=prompt,
            model=model,
            n=number if isinstance(number, int) else 1,
            size=_word(words, "size"),
            quality=_word(words, "quality"),
            background=_word(words, "background"),
            moderation=_word(words, "moderation"),
            output_format=_word(words, "output_format"),
            output_compression=_number(words, "output_compression"),
            user=_word(words, "user"),
            complexity=_word(words, "complexity"),
            seed=_number(words, "seed"),
            images=images,
            mask=mask,
            input_fidelity=_word(words, "input_fidelity"),
            partial_images=_previews(body),
            extra=tuple((name, _scalar(name, value)) for name, value in extra.items()),
        )
    except InvalidRequest as error:
        raise refusal(400, f"Invalid value: {error}.", "invalid_value", error.field) from None
    if known is not None and (wrong := objection(known, request)) is not None:
        if wrong.unknown:
            raise _unknown(wrong.field)
        raise refusal(400, f"Invalid value: '{wrong.field}' {wrong.message}.", "invalid_value", wrong.field)
    return request


def unknown_url(call: HttpCall) -> Undecodable:
    """What the API says of a path that it does not have."""
    return refusal(404, f"Unknown request URL: {call.method} {call.path}.", "unknown_url")


def parsed(raw: bytes) -> dict[str, Json]:
    """The object that a body is. Raises Undecodable."""
    body = parse(raw)
    if not isinstance(body, dict):
        raise refusal(400, "We could not parse the JSON body of your request.", None)
    return body


def _required(body: Mapping[str, Json], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise refusal(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    if not isinstance(value, str):
        raise refusal(400, f"Invalid type for '{name}': expected a string.", "invalid_type", name)
    return value


def _word(words: Mapping[str, Json], name: str) -> str | None:
    value = words.get(name)
    if value is not None and not isinstance(value, str):
        raise refusal(400, f"Invalid type for '{name}': expected a string.", "invalid_type", name)
    return value


def _number(words: Mapping[str, Json], name: str) -> int | None:
    value = words.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise refusal(400, f"Invalid type for '{name}': expected an integer.", "invalid_type", name)
    return value


def _previews(body: Mapping[str, Json]) -> int | None:
    """How many previews a stream shall have; None where no stream is asked for."""
    stream, number = body.get("stream"), _number(body, "partial_images")
    if stream is not None and not isinstance(stream, bool):
        raise refusal(400, "Invalid type for 'stream': expected a boolean.", "invalid_type", "stream")
    if number and not stream:
        raise refusal(400, "Invalid 'partial_images': only with 'stream'.", "invalid_value", "partial_images")
    return (number or 0) if stream else None


def _scalar(name: str, value: Json) -> Scalar:
    if value is not None and not isinstance(value, str | int | float):
        raise refusal(400, f"Invalid type for '{name}': expected a plain value.", "invalid_type", name)
    return value


def _unknown(name: str) -> Undecodable:
    return refusal(400, f"Unknown parameter: '{name}'.", "unknown_parameter", name)


def refusal(status: int, message: str, code: str | None, param: str | None = None) -> Undecodable:
    """A refusal in the words of the API; `param` is what it is about."""
    return Undecodable(status, Problem(code=code, type=_KIND, message=message), param)
