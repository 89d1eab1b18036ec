"""The bytes door: an HTTP call in, an HTTP answer out; what is decided about it is `Server.admit`'s business.

What is asked for is a `Case`: each kind of request has a module of its own for it (`_answers_images` and its likes).
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from penstock.catalog import names
from penstock.http import CALL_HEADER, HttpCall, HttpReply
from penstock.requests import ChatRequest, EmbeddingRequest, ImageRequest, ModerationRequest, RawRequest, Request
from penstock.simulation._answers_chat import ChatCase
from penstock.simulation._answers_images import ImageCase
from penstock.simulation._answers_texts import EmbeddingCase, ModerationCase
from penstock.simulation._broadcast import asks_stream, broadcast
from penstock.simulation._case import Case, Streaming, Telling, flags
from penstock.simulation._verdicts import Admission, Asked, Planned
from penstock.wire import Undecodable, decode, problem
from penstock.wire.hearing import refusal, unknown
from penstock.wire.replies import json_reply
from penstock.wire.speaking import DECODERS

if TYPE_CHECKING:
    from penstock.simulation.server import Server

BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


def case_of(request: Request) -> Case:
    """A request of any kind as its provider sees it."""
    match request:
        case ImageRequest():
            return ImageCase(request)
        case EmbeddingRequest():
            return EmbeddingCase(request)
        case ModerationRequest():
            return ModerationCase(request)
        case ChatRequest():
            return ChatCase(request)
        case RawRequest():
            raise refusal(404, f"Unknown request URL: POST /v1{request.path}.", "unknown_url")


def answer(server: Server, call: HttpCall, now: float) -> Planned:
    """Decide about `call` and make its answer."""
    headers = {name.lower(): value for name, value in call.headers}
    credential = bearer(headers.get("authorization", ""))
    if call.method == "GET" and call.path == "/models":
        return Planned(0.0, _models(server))
    identity = sha256(call.body).hexdigest()
    name = headers.get(CALL_HEADER, "")
    try:
        case = _read(server, call)
    except Undecodable as error:
        turned = server.reject(
            credential, now, identity=identity, call=name, status=error.status, problem=error.problem
        )
        return _planned(server, turned, None, name, param=error.param)
    unix = server.settings.epoch + now
    admission = server.admit(
        credential,
        case.demand(),
        now,
        identity=identity,
        call=name,
        cost=case.cost(unix),
        asked=Asked(case.model, case.quality, flags(server.settings.flagged, case.words), asks_stream(case)),
    )
    return _planned(server, admission, case, name, created=int(unix))


def bearer(authorization: str) -> str:
    """The token of an authorization header, "" where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _read(server: Server, call: HttpCall) -> Case:
    if call.path.partition("?")[0] not in DECODERS:
        message = f"Unknown request URL: {call.method} /v1{call.path}. Please check the URL for typos."
        raise refusal(404, message, "unknown_url")
    if call.method != "POST":
        raise refusal(405, f"Not allowed to {call.method} on /v1{call.path}.", "method_not_supported")
    case = case_of(decode(call))
    for name in server.settings.lacks:
        if name in told_fields(call.body):
            raise unknown(name)
    if server.settings.models is not None and case.model not in server.settings.models:
        message = f"The model `{case.model}` does not exist or you do not have access to it."
        raise refusal(404, message, "model_not_found", "model")
    if asks_stream(case) and not server.settings.streams:
        raise refusal(400, "Unsupported parameter: 'stream'.", "unsupported_parameter", "stream")
    case.check()
    return case


def told_fields(body: bytes) -> frozenset[str]:
    """The names of the fields of a body in JSON."""
    found: object = json.loads(body)
    return frozenset(cast("dict[str, object]", found)) if isinstance(found, dict) else frozenset()


def _models(server: Server) -> HttpReply:
    served = server.settings.models or names()
    data = [{"id": name, "object": "model", "owned_by": "penstock-simulation"} for name in served]
    return json_reply({"object": "list", "data": data})


def _planned(
    server: Server,
    admission: Admission,
    case: Case | None,
    name: str,
    *,
    created: int = 0,
    param: str | None = None,
) -> Planned:
    if not admission.status:
        return Planned(admission.delay, None, admission.reset, admission=admission)
    settings = server.settings
    number = sha256(f"{name}/{server.books.received}".encode()).hexdigest()[:32]
    told = (*admission.headers, ("x-request-id", f"req_{number}"))
    if case is not None and admission.status == 200:
        told = (*told, ("openai-processing-ms", str(int(admission.delay * 1000))))
        telling = Telling(name, created, told, settings.picture_bytes, settings.flagged)
        if isinstance(case, Streaming) and case.streams:
            return broadcast(case.events(telling), admission, told)
        made = case.reply(telling)
    elif admission.problem is not None and admission.problem.own:
        made = problem(admission.status, admission.problem, told, param=param)
    else:
        made = HttpReply(admission.status, (("content-type", "text/html"),), BAD_GATEWAY)
    cut = len(made.body) // 2 if admission.fault == "truncated" else None
    return Planned(admission.delay, made, admission.reset, cut, admission)
