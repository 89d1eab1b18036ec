"""Answers to a conversation while they are written: pieces of text as they come, and the whole reply at the end.

The chunks are put together to the very body that a plain call would have brought, so that whoever reads the result, or
finds it in a store, sees no difference. Of a chunk's `delta` texts are joined, lists are joined by the `index` of what
is in them (calls of tools), and all else is as it was said last; what a server adds of its own comes along.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import cast

from penstock.readings import Delta, Item, Part, Success, Usage
from penstock.requests import ChatRequest
from penstock.wire import chat
from penstock.wire._json import Json, parse
from penstock.wire._usage import remarks, usage
from penstock.wire.bodies import crowded
from penstock.wire.reader import Opening
from penstock.wire.sink import BadPayload, Sink
from penstock.wire.sse import DONE
from penstock.wire.streams import EventStream, stated

MOST_CHOICES = 128

LARGEST, LONGEST_EVENT = 32 << 20, 16 << 20
"""Bytes of what the events bring together, and of one event (a picture in base64)."""

_ITEM, _PIECE = 16, 8
_DEEPEST = 32
_WORDS = re.compile(r"\s*\S+\s*$|\s*\S+|\s+")
_ONCE = ("role", "id", "type", "name", "index")
_WHOLE = ("id", "created", "model", "service_tier", "system_fingerprint")


class ChatStream(EventStream):
    """A `penstock.wire.reader.Stream` of `chat.completion.chunk`s; a plain reply is read plainly."""

    def __init__(self, sink: Sink, opening: Opening) -> None:
        super().__init__(opening, chat.read(sink, opening))
        self._sink = sink
        self._event = bytearray()
        self._body: dict[str, Json] = {}
        self._messages: dict[int, dict[str, _Built]] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Json = None
        self._fresh: list[tuple[int, str]] = []
        self._weight = 0

    def data(self, piece: bytes) -> None:
        """More of an event."""
        if self.over or self.too_large:
            return
        self._event += piece
        if len(self._event) > LONGEST_EVENT:
            self._overflow()

    def ended(self, name: str) -> None:
        """An event is whole: a chunk, an error, or the last word."""
        raw, self._event = bytes(self._event), bytearray()
        if self.over or self.too_large:
            return
        if crowded(raw):
            self._overflow()
            return
        if raw.strip() == DONE:
            self.over = True
            return
        body = parse(raw)
        problem = stated(name, body, raw.decode("utf-8", "replace"), self._clean)
        if problem is not None:
            self._problem = self._problem or problem
        elif isinstance(body, dict):
            try:
                self._chunk(body)
            except _TooDeepError:
                self._fault = self._fault or "nested too deeply"
        elif raw.strip():
            self._wrong("an event that is not JSON", raw)

    def _chunk(self, body: dict[str, Json]) -> None:
        for name in _WHOLE:
            if body.get(name) is not None:
                self._body[name] = body[name]
        if isinstance(body.get("usage"), dict):
            self._usage = body["usage"]
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice)

    def _choice(self, choice: dict[str, Json]) -> None:
        said, delta, reason = choice.get("index", 0), choice.get("delta"), choice.get("finish_reason")
        if not isinstance(said, int) or not 0 <= said < MOST_CHOICES:
            return
        place = int(said)
        message = self._messages.setdefault(place, {"role": "assistant", "content": None})
        if isinstance(delta, dict):
            text = delta.get("content")
            if isinstance(text, str) and text:
                self._fresh.append((place, text))
            self._weight += _join(message, delta)
            if self._weight > LARGEST and not self.too_large:
                self._overflow()
        if isinstance(reason, str) and reason:
            self._reasons[place] = reason

    def take(self) -> list[Item]:
        """The text that has come since the last time, a piece an answer where they take turns."""
        fresh, self._fresh = self._fresh, []
        runs: list[tuple[int, list[str]]] = []
        for place, text in fresh:
            if not runs or runs[-1][0] != place:
                runs.append((place, []))
            runs[-1][1].append(text)
        items: list[Item] = []
        for place, texts in runs:
            data = "".join(texts).encode("utf-8", "replace")
            items.append(Delta(self._sink.apart(brief=True).whole(0, data).ref, place))
        return items

    def _whole(self) -> Success | None:
        ended = self.over or self._messages.keys() <= self._reasons.keys()
        if len(self._messages) < self._opening.answers or not ended or self._fault:
            return None
        choices: list[Json] = [
            {"index": place, "message": _settled(message), "finish_reason": self._reasons.get(place)}
            for place, message in sorted(self._messages.items(), key=itemgetter(0))
        ]
        body: dict[str, Json] = {**self._body, "object": "chat.completion", "choices": choices}
        if self._usage is not None:
            body["usage"] = self._usage
        data = json.dumps(body, separators=(",", ":")).encode()
        try:
            stored = self._sink.whole(0, data)
        except BadPayload:
            return None
        part = Part(0, stored.ref, "", chat.FORMAT, stored.nbytes)
        return Success(self._used(), (part,), remarks=remarks(self._usage))

    def _used(self) -> Usage | None:
        return usage(self._usage, texts=True)

    def _lacks(self) -> str:
        said = len(self._messages)
        return chat.few(said, self._opening.answers) if self.over and said else super()._lacks()

    def _leave(self, *, whole: bool) -> None:
        self._event.clear()
        self._fresh.clear()
        if not whole:
            self._sink.discard()


def chunks(choices: Sequence[Mapping[str, object]], used: Usage, request: ChatRequest, created: int) -> list[bytes]:
    """The provider's side: answers (`message`, `finish_reason`) as events, word by word, and what they used."""
    said: dict[str, object] = {"id": f"chatcmpl-{created}", "object": "chat.completion.chunk", "created": created}
    events: list[bytes] = []

    def add(listed: list[dict[str, object]], used: object = None) -> None:
        body = {**said, "model": request.model, "choices": listed, "usage": used}
        events.append(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n")

    for place, choice in enumerate(choices):
        message = choice["message"]
        told = dict(cast("Mapping[str, object]", message))
        text = told.pop("content", None)
        calls = told.get("tool_calls")
        if isinstance(calls, list):
            listed = cast("list[dict[str, object]]", calls)
            told["tool_calls"] = [{"index": number, **call} for number, call in enumerate(listed)]
        add([{"index": place, "delta": told, "finish_reason": None}])
        for word in _WORDS.findall(text) if isinstance(text, str) else ():
            add([{"index": place, "delta": {"content": word}, "finish_reason": None}])
        add([{"index": place, "delta": {}, "finish_reason": choice["finish_reason"]}])
    add([], chat.told_usage(used))
    return events


class _Text:
    """A text that grows: joined once, however many its pieces are."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)


class _List:
    """A list that grows. Objects in it are found by their `index` at once, however many there are."""

    def __init__(self) -> None:
        self.items: list[_Built] = []
        self.known: dict[int, dict[str, _Built]] = {}


_Built = None | bool | int | float | str | _Text | _List | dict[str, "_Built"]


class _TooDeepError(Exception):
    """A chunk nests deeper than anybody means."""


def _join(into: dict[str, _Built], delta: dict[str, Json], depth: int = 0) -> int:
    """Add what a chunk says to what was said before; returns about how many bytes it is. Raises _TooDeepError."""
    if depth > _DEEPEST:
        raise _TooDeepError
    weight = 0
    for name, value in delta.items():
        before = into.get(name)
        weight += _PIECE if name in into else _ITEM + len(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str) and name not in _ONCE:
            weight += len(value)
            if isinstance(before, _Text):
                before.pieces.append(value)
            else:
                into[name] = _Text(value)
        elif isinstance(value, list):
            listed = into[name] = before if isinstance(before, _List) else _List()
            weight += _lengthen(listed, value, depth + 1)
        elif isinstance(value, dict):
            inner: dict[str, _Built] = before if isinstance(before, dict) else {}
            weight += _join(inner, value, depth + 1)
            into[name] = inner
        else:
            into[name] = value
    return weight


def _lengthen(before: _List, added: list[Json], depth: int) -> int:
    """Two lists as one: an object that has the `index` of an earlier one goes on with it. Returns, raises as above."""
    if depth > _DEEPEST:
        raise _TooDeepError
    weight = _ITEM * len(added)
    for one in added:
        if isinstance(one, dict):
            place = one.get("index")
            known = before.known.get(place) if isinstance(place, int) else None
            inner: dict[str, _Built] = {} if known is None else known
            if known is None:
                before.items.append(inner)
                if isinstance(place, int):
                    before.known[place] = inner
            weight += _join(inner, one, depth + 1)
        elif isinstance(one, list):
            inside = _List()
            weight += _lengthen(inside, one, depth + 1)
            before.items.append(inside)
        else:
            weight += len(one) if isinstance(one, str) else 0
            before.items.append(one)
    return weight


def _settled(value: _Built) -> Json:
    """What was built, as it stands now."""
    if isinstance(value, _Text):
        return "".join(value.pieces)
    if isinstance(value, _List):
        return [_settled(one) for one in value.items]
    if isinstance(value, dict):
        return {name: _settled(one) for name, one in value.items()}
    return value
