"""`POST /images/generations` as the provider hears it: a prepared request becomes an HTTP call, and back."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.catalog import model as lookup
from penstock.catalog import objection
from penstock.errors import InvalidRequest
from penstock.http import HttpCall
from penstock.requests import PARAMETERS, ImageRequest, InputImage, Prepared, Said, Scalar
from penstock.wire._json import Json
from penstock.wire._posting import posted
from penstock.wire.hearing import flag, parsed, refusal, required, unknown, whole, word

PATH = "/images/generations"
MOST = 10
"""Pictures of one call (OpenAI API reference, create image, 2026-09)."""


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
    model, prompt = required(body, "model"), required(body, "prompt")
    known = lookup(model)
    wanted = body.get("n")
    if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MOST):
        raise refusal(400, f"Invalid 'n': expected an integer from 1 to {MOST}.", "invalid_value", "n")
    if known is not None and "response_format" in body:
        raise unknown("response_format")
    words = {name: body[name] for name in PARAMETERS if body.get(name) is not None}
    passed = ("model", "prompt", "n", "stream", "partial_images", *PARAMETERS)
    extra = {name: value for name, value in body.items() if name not in passed}
    if known is not None and "seed" in words:
        raise unknown("seed")
    try:
        request = ImageRequest(
            prompt=prompt,
            model=model,
            n=wanted if isinstance(wanted, int) else 1,
            size=word(words, "size"),
            quality=word(words, "quality"),
            background=word(words, "background"),
            moderation=word(words, "moderation"),
            output_format=word(words, "output_format"),
            output_compression=whole(words, "output_compression"),
            user=word(words, "user"),
            complexity=word(words, "complexity"),
            seed=whole(words, "seed"),
            images=images,
            mask=mask,
            input_fidelity=word(words, "input_fidelity"),
            partial_images=_previews(body),
            extra=tuple((name, _scalar(name, value)) for name, value in extra.items()),
        )
    except InvalidRequest as error:
        raise refusal(400, f"Invalid value: {error}.", "invalid_value", error.field) from None
    if known is not None and (wrong := objection(known, request)) is not None:
        if wrong.unknown:
            raise unknown(wrong.field)
        raise refusal(400, f"Invalid value: '{wrong.field}' {wrong.message}.", "invalid_value", wrong.field)
    return request


def _previews(body: Mapping[str, Json]) -> int | None:
    """How many previews a stream shall have; None where no stream is asked for."""
    stream, wanted = flag(body, "stream"), whole(body, "partial_images")
    if wanted and not stream:
        raise refusal(400, "Invalid 'partial_images': only with 'stream'.", "invalid_value", "partial_images")
    return (wanted or 0) if stream else None


def _scalar(name: str, value: Json) -> Scalar:
    if value is not None and not isinstance(value, str | int | float):
        raise refusal(400, f"Invalid type for '{name}': expected a plain value.", "invalid_type", name)
    return value
