"""What a user asks of a client besides pictures: `client.chat`, `.embeddings`, `.moderations`, `.raw`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Generic, TypeVar, cast

from penstock.errors import InvalidRequest
from penstock.requests import (
    ChatRequest,
    Content,
    EmbeddingInput,
    EmbeddingRequest,
    Frozen,
    Message,
    ModerationRequest,
    Options,
    RawRequest,
    Scalar,
)
from penstock.requests.moderations import DEFAULT_MODERATION
from penstock.wire.chat import message_of
from penstock.work import Demand
from penstock_io.resources import DEFAULT, picodollars

Returned = TypeVar("Returned")
Streams = TypeVar("Streams")


class Chat(Generic[Returned, Streams]):
    """`client.chat`."""

    def __init__(
        self,
        run: Callable[[ChatRequest, Options], Returned],
        listen: Callable[[ChatRequest, Options], Streams],
    ) -> None:
        self._run = run
        self._listen = listen

    def complete(  # noqa: PLR0913 - the API's own parameters, all by name
        self,
        *,
        messages: str | Sequence[Message | Mapping[str, object]],
        model: str,
        max_completion_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        n: int = 1,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        response_format: object = None,
        tools: object = None,
        tool_choice: object = None,
        user: str | None = None,
        extra: Mapping[str, object] | None = None,
        options: Options = DEFAULT,
    ) -> Returned:
        """Answer a conversation and wait for it: a `ChatResult`.

        `messages` are `Message`s or dicts as the API has them; a text is one message of the user's. Raises as
        `client.images.generate` does.
        """
        request = ChatRequest(
            messages=_messages(messages),
            model=model,
            max_completion_tokens=max_completion_tokens,
            temperature=temperature,
            top_p=top_p,
            n=n,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            seed=seed,
            response_format=response_format,
            tools=tools,
            tool_choice=tool_choice,
            user=user,
            extra=tuple((extra or {}).items()),
        )
        return self._run(request, options)

    def stream(  # noqa: PLR0913 - the API's own parameters, all by name
        self,
        *,
        messages: str | Sequence[Message | Mapping[str, object]],
        model: str,
        max_completion_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        n: int = 1,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        response_format: object = None,
        tools: object = None,
        tool_choice: object = None,
        user: str | None = None,
        extra: Mapping[str, object] | None = None,
        options: Options = DEFAULT,
    ) -> Streams:
        """Answer a conversation and read it while it is written: iterate for `TextDelta`s, then the `ChatResult`.

        What is stored, or comes from a server that has no streams, comes as the result alone. Raises as `complete`
        does, at the first step of the iteration for what the model does not take. Leaving early gives up waiting.
        """
        request = ChatRequest(
            messages=_messages(messages),
            model=model,
            max_completion_tokens=max_completion_tokens,
            temperature=temperature,
            top_p=top_p,
            n=n,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            seed=seed,
            response_format=response_format,
            tools=tools,
            tool_choice=tool_choice,
            user=user,
            stream=True,
            extra=tuple((extra or {}).items()),
        )
        return self._listen(request, options)


class Embeddings(Generic[Returned]):
    """`client.embeddings`."""

    def __init__(self, run: Callable[[EmbeddingRequest, Options], Returned]) -> None:
        self._run = run

    def create(
        self,
        *,
        input: str | Sequence[str | int | Sequence[int]],  # noqa: A002 - the API's own name
        model: str,
        dimensions: int | None = None,
        encoding: str = "base64",
        user: str | None = None,
        extra: Mapping[str, Scalar] | None = None,
        options: Options = DEFAULT,
    ) -> Returned:
        """Make a vector of each input and wait for them: an `EmbeddingResult`.

        An input is a text or a list of tokens; a list of numbers is one input. What is stored is not bought again,
        input by input. Raises as `client.images.generate` does.
        """
        request = EmbeddingRequest(
            inputs=_inputs(input),
            model=model,
            dimensions=dimensions,
            encoding=encoding,
            user=user,
            extra=tuple((extra or {}).items()),
        )
        return self._run(request, options)


class Moderations(Generic[Returned]):
    """`client.moderations`."""

    def __init__(self, run: Callable[[ModerationRequest, Options], Returned]) -> None:
        self._run = run

    def create(
        self,
        *,
        input: str | Sequence[str] = (),  # noqa: A002 - the API's own name
        content: Sequence[Content] = (),
        model: str = DEFAULT_MODERATION,
        options: Options = DEFAULT,
    ) -> Returned:
        """Look at texts, or at one `content` of texts and `InputImage`s, and wait for it: a `ModerationResult`.

        Raises as `client.images.generate` does.
        """
        texts = (input,) if isinstance(input, str) else tuple(input)
        return self._run(ModerationRequest(texts=texts, content=tuple(content), model=model), options)


class Raw(Generic[Returned]):
    """`client.raw`."""

    def __init__(self, run: Callable[[RawRequest, Options], Returned]) -> None:
        self._run = run

    def post(
        self,
        path: str,
        *,
        json: object,
        demand: Demand = Demand(),
        quote: Decimal | None = None,
        model: str = "",
        options: Options = DEFAULT,
    ) -> Returned:
        """Send `json` to a path below the base URL and wait for the reply: a `RawResult`.

        `demand` is what it takes of the limits, `quote` the most that it may cost, in dollars (None: unknown, which a
        budget refuses unless it allows unknown prices). `model` names its lane (default: that in `json`, else the
        path). Raises as `client.images.generate` does.
        """
        bound = None if quote is None else picodollars(quote)
        request = RawRequest(path=path, json=json, demand=demand, quote=bound, model=model)
        return self._run(request, options)


def _messages(given: object) -> tuple[Message, ...]:
    if isinstance(given, str):
        return (Message("user", given),)
    if not isinstance(given, Sequence):
        raise InvalidRequest("messages are a text, or a list of Message(role, content) or dicts", field="messages")
    return tuple([one if isinstance(one, Message) else _message(one) for one in cast("Sequence[object]", given)])


def _message(body: object) -> Message:
    """A message from a dict, as the API has it. Raises InvalidRequest."""
    if not isinstance(body, Mapping):
        raise InvalidRequest('a message is such as Message("user", "hello"), or a dict', field="messages")
    return message_of(Frozen.of(dict(cast("Mapping[str, object]", body)), "messages"))


def _inputs(given: object) -> tuple[EmbeddingInput, ...]:
    """What vectors are made of: a text, the tokens of one, or several of either. Raises InvalidRequest."""
    if isinstance(given, str):
        return (given,)
    listed = _listed(given, "input")
    if listed and all(isinstance(one, int) for one in listed):
        return (cast("tuple[int, ...]", listed),)
    return tuple([one if isinstance(one, str) else cast("tuple[int, ...]", _listed(one, "input")) for one in listed])


def _listed(given: object, name: str) -> tuple[object, ...]:
    if isinstance(given, bytes) or not isinstance(given, Sequence):
        raise InvalidRequest(f"{name} is a text, a list of texts, or lists of tokens", field=name)
    return tuple(cast("Sequence[object]", given))
