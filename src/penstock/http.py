"""HTTP as values: what `penstock.wire` speaks and the simulated provider answers. No I/O."""

from __future__ import annotations

from attrs import field, frozen

CALL_HEADER = "x-penstock-call"
"""Names the call that an exchange buys, so that a provider's books can be laid beside the journal."""


REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id", "request-id")
"""Where a reply says what its provider calls the exchange (OpenAI and most others; Azure; Anthropic), best first."""


@frozen
class HttpCall:
    """A request. `path` is relative to the provider's base URL ("/images/generations"); no credential is in it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


@frozen
class HttpReply:
    """A whole reply, as the simulated provider makes it. Header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
