"""Conversations: `ChatRequest` and its `Message`s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from attrs import field, frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import amount, model, text, whole
from penstock.requests._frozen import Frozen, texts_in
from penstock.requests.moderations import Content, check_content, told_in

CHAT = "chat.completions"

MOST_MESSAGES = 10_000
MOST_CHOICES = 128
"""Answers of one call (OpenAI API reference, create chat completion, 2026-08)."""

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_RESERVED = frozenset({"model", "messages", "stream", "stream_options", "max_tokens"})


def _calls(value: object) -> Frozen | None:
    return None if value is None else Frozen.of(value, "tool_calls")


def _tools(value: object) -> Frozen | None:
    return None if value is None else Frozen.of(value, "tools")


def _choice(value: object) -> Frozen | None:
    return None if value is None else Frozen.of(value, "tool_choice")


def _format(value: object) -> Frozen | None:
    return None if value is None else Frozen.of(value, "response_format")


def _extra(value: Iterable[tuple[str, object]]) -> tuple[tuple[str, Frozen], ...]:
    return tuple([(name, Frozen.of(one, f"extra {name}")) for name, one in value])


@frozen
class Message:
    """What somebody said: `content` is a text, or several texts and pictures (None: only `tool_calls`).

    `tool_calls` is what the API calls so, passed on as it is; `tool_call_id` is which of them a tool answers. Its repr
    shows the role alone. Raises InvalidRequest.
    """

    role: str
    content: str | tuple[Content, ...] | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    tool_calls: Frozen | None = field(default=None, repr=False, converter=_calls)
    tool_call_id: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.role not in _ROLES:
            raise InvalidRequest(f"role is one of {', '.join(_ROLES)}", field="messages")
        given = cast("object", self.content)
        if isinstance(given, tuple):
            if not given:
                raise InvalidRequest("a message's content is empty", field="messages")
            check_content(cast("tuple[Content, ...]", given), "messages")
        elif given is not None:
            if not isinstance(given, str):
                said = "a message's content is a text, or a tuple of texts and InputImages"
                raise InvalidRequest(said, field="messages")
            if given:
                text(f".{given}", "messages", 10_000_000)
        for name in ("name", "tool_call_id"):
            value: object = getattr(self, name)
            if value is not None:
                text(value, name)

    @property
    def told(self) -> tuple[str, ...]:
        """What must never be told of it."""
        calls = () if self.tool_calls is None else tuple(texts_in(self.tool_calls.value))
        if isinstance(self.content, str):
            return (self.content, *calls)
        return (*told_in(self.content or ()), *calls)


@frozen(kw_only=True)
class ChatRequest:
    """`n` answers to a conversation.

    `max_completion_tokens` bounds an answer (a server that only knows `max_tokens` is told so). `response_format`
    ({"type": "json_object"}, or a schema), `tools` and `tool_choice` are passed on as the API has them, and so is what
    `extra` names. A field of None takes the model's default. With `stream` the answers come while they are written.

    Its repr does not show the conversation. Raises InvalidRequest for what no model can take.
    """

    messages: tuple[Message, ...] = field(repr=False)
    model: str
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_format: Frozen | None = field(default=None, repr=False, converter=_format)
    tools: Frozen | None = field(default=None, repr=False, converter=_tools)
    tool_choice: Frozen | None = field(default=None, repr=False, converter=_choice)
    user: str | None = None
    stream: bool = False
    extra: tuple[tuple[str, Frozen], ...] = field(default=(), repr=False, converter=_extra)

    def __attrs_post_init__(self) -> None:
        model(self.model)
        given = cast("object", self.messages)
        if not isinstance(given, tuple) or not 1 <= len(self.messages) <= MOST_MESSAGES:
            raise InvalidRequest(f"messages are 1 to {MOST_MESSAGES:,} of Message(role, content)", field="messages")
        for one in self.messages:
            if not isinstance(cast("object", one), Message):
                raise InvalidRequest('messages are such as Message("user", "Good morning")', field="messages")
        if self.max_completion_tokens is not None:
            whole(self.max_completion_tokens, "max_completion_tokens", 1, 10**8)
        amount(self.temperature, "temperature", 0.0, 100.0)
        amount(self.top_p, "top_p", 0.0, 1.0)
        whole(self.n, "n", 1, MOST_CHOICES)
        if not isinstance(cast("object", self.stop), tuple) or len(self.stop) > 64:
            raise InvalidRequest("stop is a tuple of at most 64 texts", field="stop")
        for stop in self.stop:
            text(f".{stop}", "stop")
        if self.seed is not None:
            whole(self.seed, "seed", -(2**63), 2**63 - 1)
        if self.user is not None:
            text(self.user, "user")
        self._check_extra()

    @property
    def operation(self) -> str:
        """What its call is, as the engine and the wire name it."""
        return CHAT

    @property
    def samples(self) -> int:
        """How many results it asks for: one reply, however many answers are in it."""
        return 1

    @property
    def private(self) -> tuple[str, ...]:
        """What must never be told of it."""
        return tuple([said for one in self.messages for said in one.told])

    @property
    def pictures(self) -> int:
        """How many pictures are in the conversation."""
        parts = [part for one in self.messages if isinstance(one.content, tuple) for part in one.content]
        return sum([not isinstance(part, str) for part in parts])

    def _check_extra(self) -> None:
        seen: set[str] = set()
        for name, _ in self.extra:
            text(name, "extra", longest=64)
            if name in _RESERVED or name in CHAT_PARAMETERS:
                raise InvalidRequest(f"{name} cannot be given in extra", field="extra")
            if name in seen:
                raise InvalidRequest(f"{name} is given twice in extra", field="extra")
            seen.add(name)


CHAT_PARAMETERS = (
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "response_format",
    "tools",
    "tool_choice",
    "user",
)
"""The optional fields of a ChatRequest that a server may be told, in the order in which they are sent."""


def chat_value(request: ChatRequest, name: str) -> object:
    """What a field of CHAT_PARAMETERS says, as JSON has it; None where the model's default is meant."""
    value: object = getattr(request, name)
    if isinstance(value, Frozen):
        return value.value
    if name == "n":
        return value if value != 1 else None
    if isinstance(value, tuple):
        return list(cast("tuple[str, ...]", value)) or None
    return value
