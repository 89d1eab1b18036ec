"""How the simulated provider sends a stream: events over the time that the picture takes, and what goes wrong in it."""

from __future__ import annotations

from penstock.http import HttpReply
from penstock.readings import Problem
from penstock.simulation._bucket import Headers
from penstock.simulation._case import Case, Streaming
from penstock.simulation._verdicts import Admission, Planned
from penstock.wire.pieces import LAST, failing

GAVE_UP = Problem(type="server_error", code="server_error", message="The server had an error while making the picture.")

_EVENTS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-store"))


def asks_stream(case: Case) -> bool:
    """Whether its answer is to be a stream."""
    return isinstance(case, Streaming) and case.streams


def broadcast(events: list[bytes], admission: Admission, headers: Headers) -> Planned:
    """The events of a finished answer, evenly over its delay; the last one comes when a plain answer would.

    Of its faults `stream_error` says after the first event that it gave up, `stream_cut` breaks off within the last,
    `stream_hurry` sends all at once, without previews, `stream_undone` never says that it is over.
    """
    pause = admission.delay / max(1, len(events))
    match admission.fault:
        case "stream_error":
            sent = [*events[: len(events) > 1], failing(GAVE_UP)]
        case "stream_cut":
            sent = [*events[: len(events) > 1], events[-1][: len(events[-1]) // 2]]
        case "stream_hurry":
            kept = [event for event in events if not event.partition(b"\n")[0].endswith(b"partial_image")]
            sent, pause = [b"".join(kept) + LAST], admission.delay
        case "stream_undone":
            sent = events
        case _:
            sent = [*events[:-1], events[-1] + LAST]
    body = b"".join(sent)
    cut = len(body) // 2 if admission.fault == "truncated" else None
    pieces = tuple([(pause if place else 0.0, piece) for place, piece in enumerate(sent)])
    return Planned(pause, HttpReply(200, (*_EVENTS, *headers), body), admission.reset, cut, admission, pieces)
