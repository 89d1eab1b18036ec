"""What the simulated provider answers, as values, and the words of its errors."""

from __future__ import annotations

from typing import TypedDict

from attrs import field, frozen

from penstock.http import HttpReply
from penstock.readings import Problem
from penstock.simulation._books import Request
from penstock.simulation._bucket import Headers

ADMITTED = "admitted"


@frozen
class Asked:
    """What of a request matters besides its demand: `flagged` says that moderation will refuse its prompt.

    `streams`: it asks for a stream.
    """

    model: str = ""
    quality: str = ""
    flagged: bool = False
    streams: bool = False


PLAIN = Asked()


@frozen(slots=False)  # a third cheaper to make, and a million of them are made
class Admission:
    """What was decided about one call.

    `verdict` is "admitted", "" for a call that never got in (`fault` says why), or what refused it: "requests",
    "tokens", "images", "concurrency", "credential", "credit", "moderation", "invalid". `status` is that of the reply,
    0 where none comes. `delay` is seconds until the reply or the fault (`inf`: nothing ever comes). `fault` names an
    injected fault ("" for none; "truncated" is a 200 that is cut off). `reset`: the connection is then torn down.
    `billed` is picodollars. `levels` is what is left by quantity (those that have a limit, in the order requests,
    tokens, images). `hint` is the wait in seconds that a refusal names. `headers` are the rate headers of the reply,
    `problem` its error.
    """

    verdict: str
    status: int
    delay: float
    executed: bool
    billed: int
    fault: str = ""
    reset: bool = False
    levels: tuple[float, ...] = ()
    headers: Headers = ()
    hint: float | None = None
    problem: Problem | None = None

    @property
    def admitted(self) -> bool:
        """Whether it passed the limits."""
        return self.verdict == ADMITTED


@frozen
class Planned:
    """What the bytes door answers: after `delay` seconds (`inf`: never) send `reply`, if there is one.

    `cut` is how many bytes of the body to send of a reply that is cut off. `reset`: then tear the connection down.
    With `pieces` the body goes out in parts, each so many seconds after the one before (the first at once): a stream.
    """

    delay: float
    reply: HttpReply | None
    reset: bool = False
    cut: int | None = None
    admission: Admission | None = field(default=None, repr=False)
    pieces: tuple[tuple[float, bytes], ...] = field(default=(), repr=False)


class CredentialStats(TypedDict):
    """One credential's truth as JSON, under its fingerprint."""

    executed: int
    billed: int
    in_flight: int
    peak: int


class Stats(TypedDict):
    """The server's truth as JSON. `billed` is picodollars; `repeated` are the requests executed more than once."""

    received: int
    executed: int
    pictures: int
    billed: int
    rejected: dict[str, int]
    faults: dict[str, int]
    in_flight: int
    peak: int
    credentials: dict[str, CredentialStats]
    repeated: dict[str, int]
    requests: dict[str, Request]


NO_KEY = Problem(type="invalid_request_error", message="You didn't provide an API key.")
WRONG_KEY = Problem(code="invalid_api_key", type="invalid_request_error", message="Incorrect API key provided.")
NO_CREDIT = Problem(
    code="insufficient_quota",
    type="insufficient_quota",
    message="You exceeded your current quota, please check your plan and billing details.",
)
MODERATED = Problem(
    code="moderation_blocked",
    type="image_generation_user_error",
    message="Your request was rejected by the safety system.",
    stage="input",
)
_OVERLOADED = Problem(
    code="server_is_overloaded", type="service_unavailable_error", message="The server is currently overloaded."
)
PROBLEMS = {
    "500": Problem(type="server_error", message="The server had an error while processing your request."),
    "502": Problem(message="502 Bad Gateway", own=False),
    "503": _OVERLOADED,
    "busy": _OVERLOADED,
}
