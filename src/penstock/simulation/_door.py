"""The bytes door: an HTTP call in, an HTTP answer out; what is decided about it is `Server.admit`'s business."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

from penstock.catalog import estimated_tokens, names, rates
from penstock.http import CALL_HEADER, HttpCall, HttpReply
from penstock.readings import Problem, Usage
from penstock.requests import ImageRequest
from penstock.simulation._verdicts import Admission, Asked, Planned
from penstock.simulation.painter import DEFAULT_SIZE, measure, paint
from penstock.wire import Undecodable, decode, problem, reply
from penstock.work import Demand, Rates

if TYPE_CHECKING:
    from penstock.simulation.server import Server

UNLISTED = Rates(text=5_000_000, image_out=30_000_000)
"""What a model costs whose price nobody published: the provider bills it all the same."""

UNLISTED_TOKENS = 1_000
"""Output tokens of a picture of a model whose formula nobody knows."""

DEFAULT_QUALITY = "medium"

BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


def usage_of(request: ImageRequest) -> Usage:
    """The tokens that a request takes here, all its pictures: four bytes of prompt a token, the catalog's formulas."""
    size, quality = _chosen(request)
    each = estimated_tokens(request.model, size, quality) or UNLISTED_TOKENS
    return Usage(input_text=8 + len(request.prompt.encode()) // 4, output_image=each * request.n)


def demand_of(request: ImageRequest) -> Demand:
    """What a request takes from its quotas: one request, its pictures, its tokens."""
    usage = usage_of(request)
    return Demand(requests=1, images=request.n, tokens=usage.input_text + usage.output_image)


def cost_of(request: ImageRequest, unix: float) -> int:
    """What a request is billed, picodollars, at the prices of that day."""
    usage = usage_of(request)
    price = rates("openai", request.model, unix) or UNLISTED
    text = UNLISTED.text if price.text is None else price.text
    image = UNLISTED.image_out if price.image_out is None else price.image_out
    return usage.input_text * (text or 0) + usage.output_image * (image or 0)


def answer(server: Server, call: HttpCall, now: float) -> Planned:
    """Decide about `call` and make its answer."""
    headers = {name.lower(): value for name, value in call.headers}
    credential = bearer(headers.get("authorization", ""))
    if call.method == "GET" and call.path == "/models":
        return Planned(0.0, _models(server))
    identity = sha256(call.body).hexdigest()
    name = headers.get(CALL_HEADER, "")
    try:
        request = _read(server, call)
    except Undecodable as error:
        refused = server.reject(
            credential, now, identity=identity, call=name, status=error.status, problem=error.problem
        )
        return _planned(server, refused, None, name, param=error.param)
    unix = server.settings.epoch + now
    admission = server.admit(
        credential,
        demand_of(request),
        now,
        identity=identity,
        call=name,
        cost=cost_of(request, unix),
        asked=Asked(request.model, request.quality or "", flags(server.settings.flagged, request.prompt)),
    )
    return _planned(server, admission, request, name, created=int(unix))


def bearer(authorization: str) -> str:
    """The token of an authorization header, "" where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def flags(word: str, prompt: str) -> bool:
    """Whether moderation refuses a prompt because of `word` (none: it refuses nothing)."""
    return bool(word) and word in prompt.lower()


def _read(server: Server, call: HttpCall) -> ImageRequest:
    if call.path != "/images/generations":
        message = f"Unknown request URL: {call.method} /v1{call.path}. Please check the URL for typos."
        raise Undecodable(404, Problem(code="unknown_url", type="invalid_request_error", message=message))
    if call.method != "POST":
        message = f"Not allowed to {call.method} on /v1{call.path}."
        raise Undecodable(405, Problem(code="method_not_supported", type="invalid_request_error", message=message))
    request = decode(call)
    if server.settings.models is not None and request.model not in server.settings.models:
        message = f"The model `{request.model}` does not exist or you do not have access to it."
        raise Undecodable(404, Problem(code="model_not_found", type="invalid_request_error", message=message), "model")
    try:
        measure(request.size)
    except ValueError as error:
        message = f"Invalid size: {error}."
        raise Undecodable(
            400, Problem(code="invalid_value", type="invalid_request_error", message=message), "size"
        ) from None
    return request


def _models(server: Server) -> HttpReply:
    served = server.settings.models or names()
    data = [{"id": name, "object": "model", "owned_by": "penstock-simulation"} for name in served]
    body = json.dumps({"object": "list", "data": data}).encode()
    return HttpReply(200, (("content-type", "application/json"),), body)


def _chosen(request: ImageRequest) -> tuple[str, str]:
    """Size and quality, with what "auto" comes to here."""
    size = request.size if request.size not in (None, "", "auto") else DEFAULT_SIZE
    quality = request.quality if request.quality not in (None, "", "auto") else DEFAULT_QUALITY
    return size, quality


def _planned(
    server: Server,
    admission: Admission,
    request: ImageRequest | None,
    name: str,
    *,
    created: int = 0,
    param: str | None = None,
) -> Planned:
    if not admission.status:
        return Planned(admission.delay, None, admission.reset, admission=admission)
    number = sha256(f"{name}/{server.books.received}".encode()).hexdigest()[:32]
    told = (*admission.headers, ("x-request-id", f"req_{number}"))
    if request is not None and admission.status == 200:
        told = (*told, ("openai-processing-ms", str(int(admission.delay * 1000))))
        size, quality = _chosen(request)
        pictures = _pictures(server, request, name)
        made = reply(pictures, usage_of(request), request, created, size=size, quality=quality, headers=told)
    elif admission.problem is not None and admission.problem.own:
        made = problem(admission.status, admission.problem, told, param=param)
    else:
        made = HttpReply(admission.status, (("content-type", "text/html"),), BAD_GATEWAY)
    cut = len(made.body) // 2 if admission.fault == "truncated" else None
    return Planned(admission.delay, made, admission.reset, cut, admission)


def _pictures(server: Server, request: ImageRequest, name: str) -> list[bytes]:
    size, quality = _chosen(request)
    least = server.settings.picture_bytes
    seeds = (crc32(f"{request.seed}/{name}/{index}".encode()) for index in range(request.n))
    return [paint(request.prompt, size, quality, seed, least=least) for seed in seeds]
