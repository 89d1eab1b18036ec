"""The provider's side of a stream: pictures and their previews become server-sent events, one piece of bytes each."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Sequence

from penstock.readings import Problem, Usage
from penstock.requests import ImageRequest
from penstock.wire._formats import sniff
from penstock.wire.replies import told_problem, told_usage
from penstock.wire.sse import DONE

LAST = b"data: " + DONE + b"\n\n"
"""What ends a stream at many providers."""


def event(name: str, body: dict[str, object], picture: bytes | None = None) -> bytes:
    """One event with a name, which stands in its data as `type`, too, and the base64 of a picture."""
    data = json.dumps({"type": name, **body}, separators=(",", ":")).encode()
    if picture is not None:
        data = b"".join((data[:-1], b',"b64_json":"', b2a_base64(picture, newline=False), b'"}'))
    return b"".join((b"event: ", name.encode(), b"\ndata: ", data, b"\n\n"))


def failing(stated: Problem) -> bytes:
    """An error inside a stream whose status was 200."""
    return event("error", told_problem(stated))


def pictures(
    request: ImageRequest,
    finished: Sequence[tuple[Sequence[bytes], bytes]],
    usage: Usage | None,
    created: int,
    *,
    size: str,
    quality: str,
) -> list[bytes]:
    """The events of finished pictures, each with the previews before it, made at `created` (Unix seconds).

    `usage` is that of all, and goes out in shares. `size` and `quality` are what "auto" came to.
    """
    kind = "image_edit" if request.operation == "images.edit" else "image_generation"
    shares = usage.split(len(finished)) if usage is not None and finished else ()
    events: list[bytes] = []
    for place, (previews, picture) in enumerate(finished):
        said: dict[str, object] = {
            "created_at": created,
            "size": size,
            "quality": quality,
            "background": request.background or "opaque",
            "output_format": sniff(picture) or request.output_format or "png",
        }
        for number, preview in enumerate(previews):
            events.append(event(f"{kind}.partial_image", {**said, "partial_image_index": number}, preview))
        if shares:
            said["usage"] = told_usage(shares[place])
        events.append(event(f"{kind}.completed", said, picture))
    return events
