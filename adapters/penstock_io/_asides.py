"""What a provider is asked besides what the user wants: whether something may be shown, and where a prompt lies.

The engine names the question; here it becomes a request of its own, and its reply the answer: a `Verdict` of a screen,
a `Vector` of an embedder. What is judged or measured stays with the driver.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from attrs import evolve

from penstock.commands import Send
from penstock.config import Config
from penstock.errors import InvalidRequest
from penstock.events import Event, Responded
from penstock.ids import Handle
from penstock.readings import Kind, Malformed, Problem, Reached, Success, Vector, Verdict
from penstock.requests import (
    Content,
    EmbeddingRequest,
    InputImage,
    ModerationRequest,
    Prepared,
    Request,
    Said,
)
from penstock.wire.embeddings import unpacked
from penstock.work import Purpose, Target
from penstock_io._payloads import Payloads
from penstock_io._receive import Reply

LONGEST = 1_000_000
"""Characters of a text that are asked about."""


def question(send: Send, prepared: Prepared, config: Config, payloads: Payloads) -> Prepared | Problem:
    """What is asked, as a request of its own; a Problem where it cannot be asked."""
    target = _target(send, prepared, config)
    if target is None:
        return Problem(code="invalid_value", message="no screen and no near cache asks this")
    words = "\n\n".join([one for one in prepared.request.private if one.strip()])[:LONGEST]
    try:
        asked: Request
        if send.purpose is Purpose.EMBED:
            asked = EmbeddingRequest(inputs=(words,), model=target.model)
        elif send.refs:
            shown = tuple([part for ref in send.refs for part in _shown(payloads.read(ref))])
            asked = ModerationRequest(content=shown, model=target.model)
        else:
            asked = ModerationRequest(texts=(words,), model=target.model)
    except InvalidRequest as error:
        return Problem(code="invalid_value", type="invalid_request_error", message=f"cannot be screened: {error}")
    said = Said(target.model, target.dialect, (("encoding_format", "base64"),) if send.purpose is Purpose.EMBED else ())
    return Prepared(Handle(0), asked, evolve(prepared.work, targets=(target,)), (said,))


def _target(send: Send, prepared: Prepared, config: Config) -> Target | None:
    """Who is asked, as the screen or the near cache says."""
    if send.purpose is Purpose.EMBED:
        return None if config.near is None else config.near.target
    about = [screen for screen in prepared.work.screens if screen.policy == send.policy]
    return next((screen.target for screen in about if screen.picture == bool(send.refs)), None)


def _shown(data: bytes) -> Sequence[Content]:
    """What came of a request, as a moderation takes it: a picture, or the texts of a reply."""
    try:
        found: object = json.loads(data)
    except ValueError:
        return (InputImage.of(data),)
    return tuple([one[:LONGEST] for one in _texts(found) if one.strip()])


def _texts(value: object) -> Sequence[str]:
    """What the answers of a conversation say; of any other JSON all of it."""
    choices: object = cast("dict[str, object]", value).get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list):
        return (json.dumps(value, ensure_ascii=False),)
    found: list[str] = []
    for one in cast("list[object]", choices):
        message: object = cast("dict[str, object]", one).get("message") if isinstance(one, dict) else None
        said: object = cast("dict[str, object]", message).get("content") if isinstance(message, dict) else None
        if isinstance(said, str):
            found.append(said)
    return found


class Aside:
    """Reads the reply to such a question with a `Reply`; ends with the answer in the place of what was read."""

    def __init__(self, reply: Reply, send: Send, payloads: Payloads) -> None:
        self._reply, self._send, self._payloads = reply, send, payloads

    def opened(self, status: int, headers: list[tuple[str, str]]) -> Event | None:
        """The head arrived."""
        return self._reply.opened(status, headers)

    def feed(self, data: bytes) -> bool:
        """More of the body."""
        return self._reply.feed(data)

    def news(self) -> list[Event]:
        """Nothing before the end."""
        return []

    def closed(self) -> Event:
        """The answer, or what came instead of one."""
        event = self._reply.closed()
        if not isinstance(event, Responded) or not isinstance(event.reading, Success):
            return event
        if event.reading.spoilt:
            return event
        pieces = [self._payloads.read(part.ref) for part in event.reading.parts]
        self._payloads.release(tuple([part.ref for part in event.reading.parts]))
        answer = self._measured(pieces) if self._send.purpose is Purpose.EMBED else self._judged(pieces)
        if answer is None:
            return evolve(event, reading=Malformed("a reply without an answer"))
        return evolve(event, reading=Success(event.reading.usage, (), answer))

    def failed(self, kind: Kind, reached: Reached, detail: str = "") -> Event:
        """No reply."""
        return self._reply.failed(kind, reached, detail)

    def _judged(self, pieces: list[bytes]) -> Verdict | None:
        verdicts = [cast("dict[str, object]", json.loads(one)) for one in pieces]
        if not verdicts:
            return None
        names: set[str] = set()
        for one in verdicts:
            said: object = one.get("categories")
            listed = cast("dict[str, object]", said) if isinstance(said, dict) else {}
            names |= {name[:64] for name, value in listed.items() if value is True}
        passed = not any(one.get("flagged") is True for one in verdicts)
        return Verdict(passed, self._send.policy, ", ".join(sorted(names)[:20]))

    def _measured(self, pieces: list[bytes]) -> Vector | None:
        if len(pieces) != 1:
            return None
        return Vector(self._payloads.keep_vector(unpacked(pieces[0])))


def unasked(send: Send, problem: Problem) -> Event:
    """The end of a question that could not be asked: nothing was sent."""
    return Responded(send.attempt, 400, (), problem)
