"""The provider's side of the wire: pictures and problems become replies, byte for byte as the API shapes them."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence

from penstock.http import HttpReply
from penstock.readings import Problem, Usage
from penstock.requests import ImageRequest
from penstock.wire._formats import sniff
from penstock.wire._posting import JSON


def reply(
    pictures: Sequence[bytes],
    usage: Usage | None,
    request: ImageRequest,
    created: int,
    *,
    size: str | None = None,
    quality: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> HttpReply:
    """A 200 with `pictures`, made at `created` (Unix seconds). `size` and `quality` say what "auto" came to."""
    chosen = request.size if request.size not in (None, "auto") else "1024x1024"
    level = request.quality if request.quality not in (None, "auto") else "high"
    form = sniff(pictures[0]) if pictures else ""
    rest: dict[str, object] = {
        "background": request.background or "opaque",
        "output_format": form or request.output_format or "png",
        "quality": quality or level,
        "size": size or chosen,
    }
    if usage is not None:
        rest["usage"] = told_usage(usage)
    pieces = [f'{{"created":{created},"data":['.encode()]
    for place, picture in enumerate(pictures):
        pieces += (b"," if place else b"", b'{"b64_json":"', b2a_base64(picture, newline=False), b'"}')
    pieces += (b"],", json.dumps(rest, separators=(",", ":"))[1:].encode())
    return HttpReply(200, (JSON, *headers), b"".join(pieces))


def json_reply(body: Mapping[str, object], headers: Sequence[tuple[str, str]] = ()) -> HttpReply:
    """A 200 with a JSON object."""
    return HttpReply(200, (JSON, *headers), json.dumps(body).encode())


def problem(
    status: int, stated: Problem, headers: Sequence[tuple[str, str]] = (), *, param: str | None = None
) -> HttpReply:
    """An error reply: the API's own body, or a proxy's page where the problem is not the provider's own."""
    if not stated.own:
        return HttpReply(status, (("content-type", "text/html"), *headers), stated.message.encode())
    body = told_problem(stated, param)
    return HttpReply(status, (JSON, *headers), json.dumps(body, indent=2).encode())


def told_problem(stated: Problem, param: str | None = None) -> dict[str, object]:
    """The body that states an error in the API's shape; `param` is what it is about."""
    error: dict[str, object] = {
        "message": stated.message,
        "type": stated.type,
        "param": param,
        "code": stated.code,
    }
    if stated.stage is not None:
        error["moderation_details"] = {"moderation_stage": stated.stage, "categories": []}
    body: dict[str, object] = {"error": error}
    if stated.usage is not None:
        body["usage"] = told_usage(stated.usage)
    return body


def told_usage(usage: Usage) -> dict[str, object]:
    """Tokens as the API itemises them."""
    text = usage.input_text + usage.input_cached_text
    image = usage.input_image + usage.input_cached_image
    output = usage.output_image + usage.output_text
    items: dict[str, object] = {"text_tokens": text, "image_tokens": image}
    if usage.input_cached_text or usage.input_cached_image:
        items["cached_tokens"] = usage.input_cached_text + usage.input_cached_image
        items["cached_tokens_details"] = {
            "text_tokens": usage.input_cached_text,
            "image_tokens": usage.input_cached_image,
        }
    return {
        "input_tokens": text + image,
        "output_tokens": output,
        "total_tokens": text + image + output,
        "input_tokens_details": items,
        "output_tokens_details": {"image_tokens": usage.output_image, "text_tokens": usage.output_text},
    }
