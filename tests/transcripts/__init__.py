"""Transcripts as data: what is asked and its very bytes, what is answered and its reading, for each dialect.

`places.json` says where a dialect is spoken and how it is told the key, `requests.json` and `replies.json` are the
transcripts. Each says its `source` and a `confidence`: R is captured traffic, A a first-party page or source, B a third
party, U what nobody has confirmed.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from penstock.ids import Ref
from penstock.readings import Delta, Item, Malformed, Partial, Problem, Reading, Success, Usage
from penstock.requests import (
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    InputImage,
    Message,
    ModerationRequest,
    RawRequest,
    Request,
)
from penstock.wire import MemorySink

HERE = Path(__file__).parent
CONFIDENCE = frozenset("RABU")

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAEklEQVR42mNgGAWjYBSMAggAAAQQAAGvRYgsAAAAAElFTkSuQmCC")
"""A picture of 16 by 16 pixels, all clear."""

STANDS_FOR = {"{{PNG64}}": b64encode(PNG).decode(), "{{PNG}}": PNG.decode("latin-1")}
"""What stands for the picture in the files."""


@frozen
class Place:
    """Where a dialect is spoken: its base URLs ("%MODEL%": the model), and the header that a key ("KEY") comes in."""

    base_urls: tuple[str, ...]
    auth: tuple[str, str]


@frozen
class Asked:
    """A request, and what it is on the wire in one dialect at one of its places."""

    name: str
    dialect: str
    base_url: str
    url: str
    request: Request
    headers: tuple[tuple[str, str], ...]
    body: bytes
    streams: bool

    @property
    def operation(self) -> str:
        """What its call is."""
        return self.request.operation


@frozen
class Answered:
    """A reply to an operation of a dialect, and what it comes to."""

    name: str
    dialect: str
    operation: str
    status: int
    type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stream: bool
    answers: int
    reading: dict[str, Any]
    judged: str
    items: list[list[Any]]


def _load(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def entries() -> list[dict[str, Any]]:
    """All transcripts as they stand in the files."""
    return [*_load("requests"), *_load("replies")]


def places() -> dict[str, Place]:
    """Each dialect's place."""
    return {name: Place(tuple(one["base_urls"]), tuple(one["auth"])) for name, one in _load("places").items()}


def requests() -> list[Asked]:
    """Each request in each of its dialects, at each of their places."""
    where = places()
    return [
        Asked(
            name=one["name"],
            dialect=dialect,
            base_url=base_url.replace("%MODEL%", request.model),
            url=url,
            request=request,
            headers=tuple([(name, value) for name, value in one["headers"]]),
            body=_bytes(one["body"]),
            streams=bool(one.get("streams")),
        )
        for one in _load("requests")
        for request in [request_of(one["request"])]
        for dialect, urls in one["urls"].items()
        for base_url, url in zip(where[dialect].base_urls, urls, strict=True)
    ]


def replies() -> list[Answered]:
    """Each reply to each of its operations in each of its dialects."""
    return [
        Answered(
            name=one["name"],
            dialect=dialect,
            operation=operation,
            status=one.get("status", 200),
            type=one.get("type", "application/json"),
            headers=tuple([(name, value) for name, value in one.get("headers", [])]),
            body=_body(one),
            stream=bool(one.get("stream")),
            answers=one.get("answers", 1),
            reading=one["reading"],
            judged=one["judged"],
            items=one.get("items", []),
        )
        for one in _load("replies")
        for dialect, operations in one["dialects"].items()
        for operation in operations
    ]


def request_of(told: dict[str, Any]) -> Request:
    """The request that a file tells."""
    fields = {name: value for name, value in told.items() if name != "kind"}
    match told["kind"]:
        case "images":
            images = tuple([_image(one) for one in fields.pop("images", [])])
            mask = fields.pop("mask", None)
            extra = tuple([(name, value) for name, value in fields.pop("extra", {}).items()])
            return ImageRequest(images=images, mask=None if mask is None else _image(mask), extra=extra, **fields)
        case "chat":
            messages = tuple(
                [Message(**{**one, "content": _content(one.get("content"))}) for one in fields.pop("messages")]
            )
            return ChatRequest(messages=messages, stop=tuple(fields.pop("stop", ())), **fields)
        case "embeddings":
            inputs = tuple([one if isinstance(one, str) else tuple(one) for one in fields.pop("inputs")])
            return EmbeddingRequest(inputs=inputs, **fields)
        case "moderations":
            texts, content = tuple(fields.pop("texts", ())), _content(fields.pop("content", None))
            return ModerationRequest(texts=texts, content=content if isinstance(content, tuple) else (), **fields)
        case _:
            return RawRequest(**fields)


def shown(reading: Reading, sink: MemorySink) -> dict[str, Any]:
    """A reading as the files have it: what is not said is left out, and the payload stands for its reference."""
    if isinstance(reading, Malformed):
        return {"malformed": [reading.reason, reading.snippet]}
    if isinstance(reading, Problem):
        fields = {name: value for name, value in asdict(reading).items() if value not in (None, "")}
        own = fields.pop("own")
        return {"problem": fields if own else {**fields, "own": False}}
    assert isinstance(reading, Success)
    parts = []
    for part in reading.parts:
        told: dict[str, Any] = {"index": part.index, **_payload(sink, part.ref)}
        told |= {name: value for name, value in (("size", part.size), ("format", part.format)) if value}
        if not part.url:
            told["nbytes"] = part.nbytes
        parts.append(told)
    return {"success": {"usage": _usage(reading.usage), "parts": parts}}


def shown_item(item: Item, sink: MemorySink) -> list[Any]:
    """A preview or a piece of text as the files have it."""
    if isinstance(item, Partial):
        return ["preview", item.index, item.number, *_payload(sink, item.ref).values()]
    assert isinstance(item, Delta)
    return ["text", item.index, *_payload(sink, item.ref).values()]


def _usage(used: Usage | None) -> dict[str, int] | None:
    return None if used is None else {name: value for name, value in asdict(used).items() if value}


def _payload(sink: MemorySink, ref: Ref) -> dict[str, str]:
    if ref in sink.urls:
        return {"url": sink.urls[ref]}
    data = sink.pictures[ref]
    revised = {"revised": sink.notes[ref]} if ref in sink.notes else {}
    if data == PNG:
        return {"data": "{{PNG}}", **revised}
    try:
        return {"data": data.decode("ascii"), **revised} if data.isascii() and b"\0" not in data else _hex(data)
    except UnicodeDecodeError:
        return _hex(data)


def _hex(data: bytes) -> dict[str, str]:
    return {"hex": data.hex()}


def _image(told: dict[str, str]) -> InputImage:
    if "url" in told:
        return InputImage.at(told["url"])
    return InputImage.file(told["file_id"]) if "file_id" in told else InputImage.of(PNG)


def _content(told: Any) -> Any:
    if not isinstance(told, list):
        return told
    return tuple([one if isinstance(one, str) else _image(one) for one in told])


def _bytes(told: str) -> bytes:
    """The text of a file as bytes, where the picture stands for its name."""
    pieces = told.split("{{PNG}}")
    return PNG.join([one.replace("{{PNG64}}", STANDS_FOR["{{PNG64}}"]).encode() for one in pieces])


def _body(one: dict[str, Any]) -> bytes:
    if "events" in one:
        return b"".join([_bytes(event) + b"\n\n" for event in one["events"]])
    if "text" in one:
        return _bytes(one["text"])
    return _bytes(json.dumps(one["body"], ensure_ascii=False, separators=(",", ":")))
