"""`POST /chat/completions`, both ways: a conversation goes out, and the reply is kept as it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from penstock.errors import InvalidRequest, UsageError
from penstock.http import HttpCall, HttpReply
from penstock.readings import Problem, Usage
from penstock.requests import CHAT_PARAMETERS, ChatRequest, Frozen, Message, Prepared, Said
from penstock.requests.chat import chat_value
from penstock.wire._json import Json, parse
from penstock.wire._posting import posted
from penstock.wire._usage import remarks, usage
from penstock.wire.bodies import BodyReader, Piece, Room
from penstock.wire.content import heard, told
from penstock.wire.hearing import Undecodable, flag, missing, number, parsed, refusal, required, whole, word
from penstock.wire.reader import Opening
from penstock.wire.replies import json_reply
from penstock.wire.sink import Sink

PATH = "/chat/completions"
FORMAT = "json"

ROOM = Room(32 << 20, storeys=4)
"""128 answers, or one with all that may be said of its tokens (`logprobs`)."""

NESTED = ("stop", "response_format", "tools", "tool_choice")
"""Fields that are no plain values: the request says them itself."""

STREAM_OPTIONS = "stream_options"
"""Where a stream is asked to say what it used."""

_OF_MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id")
_OF_PART = ("type", "text", "image_url")
_OF_IMAGE = ("url",)

OLD_BOUND = "max_tokens"
"""What servers call the bound of an answer that do not know `max_completion_tokens`."""


def encode(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that asks for the answers to `prepared`. Raises UsageError."""
    request = prepared.request
    if not isinstance(request, ChatRequest) or samples != 1:
        raise UsageError("not a conversation")
    body: dict[str, object] = {"model": said.model, "messages": [spoken(one) for one in request.messages]}
    body.update(said.parameters)
    if STREAM_OPTIONS in body:
        body[STREAM_OPTIONS] = {"include_usage": True}
    for name in NESTED:
        value = chat_value(request, name)
        if value is not None:
            body[name] = value
    body.update({name: one.value for name, one in request.extra})
    return posted(PATH, body, request.extra)


def spoken(message: Message) -> dict[str, object]:
    """A message as the API has it."""
    content: object = told(message.content) if isinstance(message.content, tuple) else message.content
    body: dict[str, object] = {"role": message.role, "content": content}
    if message.name is not None:
        body["name"] = message.name
    if message.tool_calls is not None:
        body["tool_calls"] = message.tool_calls.value
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def read(sink: Sink, opening: Opening) -> BodyReader:
    """Takes a reply: all of it goes to the sink, as JSON."""
    return BodyReader(sink, opening, partial(_take, opening.answers), ROOM, remarks=_remarks)


def _remarks(body: Json) -> tuple[str, ...]:
    return remarks(body.get("usage")) if isinstance(body, dict) else ()


def _take(asked: int, body: Json, raw: bytes) -> tuple[Usage | None, Sequence[Piece]] | Problem | str:
    choices = body.get("choices") if isinstance(body, dict) else None
    told = [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    if not isinstance(body, dict) or not told:
        return "no answer"
    # a filter may leave the reason alone
    said = len([one for one in told if one.get("message") or isinstance(one.get("finish_reason"), str)])
    if said < len(told):
        return "an answer without a message"
    return few(said, asked) or (usage(body.get("usage"), texts=True), [(0, raw, FORMAT, "")])


def few(said: int, asked: int) -> str:
    """What is wrong with too few answers; "" where there are as many as were asked for."""
    return "" if said >= asked else f"{said} of the {asked} answers that were asked for (does the server know n?)"


# The provider's side


def decode(call: HttpCall) -> ChatRequest:
    """The request that a call to this endpoint asks for. Raises Undecodable as the API would answer."""
    body = parsed(call.body)
    model, messages = required(body, "model"), body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise missing("messages")
    known = ("model", "messages", "stream", "stream_options", OLD_BOUND, *CHAT_PARAMETERS)
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    answers = whole(body, "n")
    try:
        return ChatRequest(
            messages=tuple([understood(one) for one in messages]),
            model=model,
            max_completion_tokens=whole(body, "max_completion_tokens") or whole(body, OLD_BOUND),
            temperature=number(body, "temperature"),
            top_p=number(body, "top_p"),
            n=1 if answers is None else answers,
            stop=tuple([one for one in stops if isinstance(one, str)]),
            seed=whole(body, "seed"),
            response_format=_frozen(body, "response_format"),
            tools=_frozen(body, "tools"),
            tool_choice=_frozen(body, "tool_choice"),
            user=word(body, "user"),
            stream=flag(body, "stream"),
            extra=tuple([(name, Frozen.of(value, name)) for name, value in body.items() if name not in known]),
        )
    except InvalidRequest as error:
        raise refusal(400, f"Invalid value: {error}.", "invalid_value", error.field) from None


def understood(value: Json) -> Message:
    """A message as the API has it, as a value. Raises Undecodable, InvalidRequest."""
    if not isinstance(value, dict):
        raise refusal(400, "Invalid type for 'messages': expected objects.", "invalid_type", "messages")
    role, content, name = value.get("role"), value.get("content"), value.get("name")
    if content is not None and not isinstance(content, str | list):
        raise refusal(400, "Invalid type for 'messages.content'.", "invalid_type", "messages")
    calls, answered = value.get("tool_calls"), value.get("tool_call_id")
    return Message(
        role if isinstance(role, str) else "",
        heard(content, "messages") if isinstance(content, list) else content,
        name if isinstance(name, str) else None,
        None if calls is None else Frozen.of(calls, "tool_calls"),
        answered if isinstance(answered, str) else None,
    )


def message_of(given: Frozen) -> Message:
    """The message that a JSON value says. Raises InvalidRequest, also for what would be lost of it."""
    value = parse(given.text.encode())
    lost = _lost(value)
    if lost:
        said = f"a message's {lost} cannot be passed on: leave it out, or send the whole body with client.raw"
        raise InvalidRequest(said, field="messages")
    try:
        return understood(value)
    except Undecodable as error:
        raise InvalidRequest(error.problem.message, field="messages") from None


def _lost(value: Json) -> str:
    """A name in a message that a Message has no place for; "" where all others say nothing, or what is so anyway."""
    if not isinstance(value, dict):
        return ""
    content = value.get("content")
    parts = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    images = [image for one in parts if isinstance(image := one.get("image_url"), dict)]
    for known, objects in ((_OF_MESSAGE, [value]), (_OF_PART, parts), (_OF_IMAGE, images)):
        for name, said in [pair for one in objects for pair in one.items()]:
            if name not in known and said not in (None, "", [], {}) and (name, said) != ("detail", "auto"):
                return name
    return ""


def _frozen(body: Mapping[str, Json], name: str) -> Frozen | None:
    value = body.get(name)
    return None if value is None else Frozen.of(value, name)


def reply(
    choices: Sequence[Mapping[str, object]],
    used: Usage,
    request: ChatRequest,
    created: int,
    headers: Sequence[tuple[str, str]] = (),
) -> HttpReply:
    """A 200 with answers, each a message and why it ended."""
    body = {
        "id": f"chatcmpl-{created}",
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": [{"index": place, **one} for place, one in enumerate(choices)],
        "usage": told_usage(used),
    }
    return json_reply(body, headers)


def told_usage(used: Usage) -> dict[str, object]:
    """Tokens as this endpoint says them."""
    given = used.input_text + used.input_cached_text
    return {
        "prompt_tokens": given,
        "completion_tokens": used.output_text,
        "total_tokens": given + used.output_text,
        "prompt_tokens_details": {"cached_tokens": used.input_cached_text, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
