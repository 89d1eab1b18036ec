"""Conversations as the engine is told of them: one key, one demand, and a quote where an answer is bounded."""

from __future__ import annotations

from penstock.cache.plain import plain_keys
from penstock.prepare._place import Place
from penstock.prepare._plain import AROUND, guess, timeouts, whose
from penstock.requests import CHAT_PARAMETERS, ChatRequest, Message, Refusal, Said
from penstock.requests.chat import chat_value
from penstock.requests.prepared import Otherwise
from penstock.wire import dialect
from penstock.wire.chat import STREAM_OPTIONS
from penstock.work import Demand, Rates, Target

USUAL = 1_000
"""Tokens that an answer is thought to have where nothing bounds it."""

BOUND, OLD_BOUND = "max_completion_tokens", "max_tokens"
"""What the bound of an answer is called, and what older servers call it."""

_UNKEYED = ("user",)

_DEARER = frozenset(
    {
        "audio",
        "modalities",
        "models",
        "plugins",
        "prediction",
        "search_parameters",
        "service_tier",
        "web_search_options",
    }
)
"""Words of `extra` that bill in another way than by the published price of tokens: nobody knows the most they cost."""


def chat_target(request: ChatRequest, at: Place) -> tuple[Target, Said] | Refusal:
    """The target that answers `request` at a place, and how it is told."""
    rates = at.prices.price(at.provider, at.dialect, request.model, at.unix).rates
    asked = {name: value for name in CHAT_PARAMETERS if (value := chat_value(request, name)) is not None}
    extra = {name: one.value for name, one in request.extra}
    keyed = {name: value for name, value in asked.items() if name not in _UNKEYED} | {"extra": extra}
    nbytes = sum(_length(one) for one in request.messages)
    passed = [request.tools, request.tool_choice, request.response_format, *(one for _, one in request.extra)]
    nbytes += sum(len(one.text.encode()) for one in passed if one is not None)
    longest = request.max_completion_tokens
    streams = request.stream and dialect(at.dialect).ways[request.operation].listen is not None
    mute = () if streams or not request.stream else (f"{at.dialect} has no streams of {request.operation}",)
    otherwise = _otherwise(longest, streams=streams)
    target = Target(
        provider=at.provider,
        model=request.model,
        keys=plain_keys(
            request.operation,
            whose(request.model, at),
            keyed,
            [[_plainly(one) for one in request.messages]],
            at.options.sample,
        ),
        demand=Demand(1, request.pictures, guess(nbytes) + (longest or USUAL) * request.n),
        quote=_cost(rates, nbytes + AROUND * (1 + len(request.messages)), longest, request),
        expected=_cost(rates, guess(nbytes), longest or USUAL, request),
        rates=rates,
        dialect=at.dialect,
        operation=request.operation,
        pool=request.model,
        most=1,
        divisible=False,
        stream=streams,
        adapts=tuple([one.name for one in otherwise]),
        warnings=mute,
        timeouts=timeouts(at),
        unbounded=_unbounded(rates, longest, request),
    )
    told = tuple([(name, value) for name, value in asked.items() if isinstance(value, str | int | float)])
    if target.stream:
        told = (*told, ("stream", True), (STREAM_OPTIONS, True))
    return target, Said(request.model, at.dialect, told, 1, otherwise=otherwise)


def _otherwise(longest: int | None, *, streams: bool) -> tuple[Otherwise, ...]:
    """What servers may not know, and what they are told instead."""
    bound = () if longest is None else (Otherwise(BOUND, (BOUND,), ((OLD_BOUND, longest),)),)
    if not streams:
        return bound
    return (*bound, Otherwise("stream", ("stream", STREAM_OPTIONS)), Otherwise(STREAM_OPTIONS, (STREAM_OPTIONS,)))


def _length(message: Message) -> int:
    """Bytes of all that a message says; pictures are counted elsewhere."""
    parts = message.content if isinstance(message.content, tuple) else (message.content or "",)
    parts = (*parts, message.name or "", message.tool_call_id or "")
    calls = len(message.tool_calls.text.encode()) if message.tool_calls is not None else 0
    return calls + sum(len(part.encode()) for part in parts if isinstance(part, str))


def _plainly(message: Message) -> dict[str, object]:
    """A message as its key has it: pictures by their digests."""
    content: object = message.content
    if isinstance(message.content, tuple):
        content = [part if isinstance(part, str) else {"image": part.digest} for part in message.content]
    told = {"role": message.role, "content": content, "name": message.name, "tool_call_id": message.tool_call_id}
    calls = None if message.tool_calls is None else message.tool_calls.value
    return {name: value for name, value in (told | {"tool_calls": calls}).items() if value is not None}


def _unbounded(rates: Rates | None, longest: int | None, request: ChatRequest) -> str:
    """What is missing for a bound of what it costs where its price is known ("": nothing)."""
    if rates is None or rates.text is None or rates.text_out is None:
        return ""
    if longest is None:
        return "without max_completion_tokens its answer has no longest, and its cost no bound"
    dearer = next((name for name, _ in request.extra if name in _DEARER), "")
    if dearer:
        return f"{dearer} of extra bills in another way than tokens do, so its cost has no bound"
    if not request.pictures:
        return ""
    return "what pictures cost in a conversation is not published, so its cost has no bound"


def _cost(rates: Rates | None, given: int, answer: int | None, request: ChatRequest) -> int | None:
    """Picodollars of so many tokens; None where nobody knows: no price, no bound, pictures, another way to bill."""
    if rates is None or rates.text is None or rates.text_out is None or answer is None or request.pictures:
        return None
    if any(name in _DEARER for name, _ in request.extra):
        return None
    return given * rates.text + answer * request.n * rates.text_out
