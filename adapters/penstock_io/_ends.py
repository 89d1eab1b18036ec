"""From the end of a job to what its caller gets: a `Result` with pictures, or an `Answered`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve

from penstock.commands import Send
from penstock.ids import Handle, Ref
from penstock.outcomes import Outcome
from penstock.requests import EmbeddingRequest, ImageRequest, ModerationRequest, Prepared
from penstock_io._naming import error_of
from penstock_io._payloads import Payloads
from penstock_io.answers import Answered, Piece, Plain
from penstock_io.resources import Image, Result

Done = Callable[[Result | BaseException], object]
"""Hears what became of a job for pictures, on the driver's own thread."""

Told = Callable[[Answered | BaseException], object]
"""Hears what became of any other."""


def pictured(payloads: Payloads, request: ImageRequest, done: Done, index: int, end: Outcome | BaseException) -> None:
    """Tell who waits for pictures."""
    if isinstance(end, BaseException):
        done(end)
        return
    images = tuple([Image(one, _content(payloads, one.ref), payloads.note(one.ref)) for one in end.pictures])
    done(Result(request, end, images, error_of(end), index))


def answered(payloads: Payloads, request: Plain, told: Told, end: Outcome | BaseException) -> None:
    """Tell who waits for anything else."""
    if isinstance(end, BaseException):
        told(end)
        return
    pieces = tuple([Piece(one, _content(payloads, one.ref)) for one in end.pictures])
    told(Answered(request, end, pieces, error_of(end)))


def _content(payloads: Payloads, ref: Ref) -> bytes | Path:
    path = payloads.path(ref)
    return payloads.read(ref) if path is None else path


def gathered(send: Send, prepared: Mapping[Handle, Prepared]) -> Prepared:
    """What an exchange asks for: where different things go in one call, those of all who pay, in their order.

    A job and the handle of its request are one number in a client.
    """
    first = prepared[send.handle]
    asked = [(prepared[Handle(job)].request, places) for job, places in send.parts]
    match first.request:
        case EmbeddingRequest() as request:
            vectors = tuple([(one, places) for one, places in asked if isinstance(one, EmbeddingRequest)])
            return evolve(first, request=request.gathered(vectors))
        case ModerationRequest() as request:
            verdicts = tuple([(one, places) for one, places in asked if isinstance(one, ModerationRequest)])
            return evolve(first, request=request.gathered(verdicts))
        case _:
            return first
