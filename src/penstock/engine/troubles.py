"""How things end that the engine itself ends: each trouble with its words, once."""

from __future__ import annotations

from attrs import evolve

from penstock.outcomes import Trouble

CLOSED = Trouble("cancelled", "closed before it was sent")
"""What ends everything that only waits when the engine closes, and was not sent before."""

NOBODY = Trouble("cancelled", "nobody asks for it any more")
NOT_STORED = Trouble("not_stored", "it is not stored, and the cache policy `only` never buys")
MISSING = Trouble("missing", "the reply had fewer pictures than were paid for")
BROKEN = Trouble("broken_stream", MISSING.message)
LOST = Trouble("lost", "the picture is paid but could not be downloaded")
SPOILT = Trouble(
    "lost",
    "it is paid but of no use, and would be so again: a vector with numbers that are none (NaN), or of another length "
    "than was asked for (dimensions)",
)


def closed(said: Trouble | None) -> Trouble:
    """CLOSED, of what was sent before and was to be sent again; `said` is how that had ended (None: it was not)."""
    if said is None:
        return CLOSED
    return evolve(said, kind=CLOSED.kind, message=f"closed before its retry: {said.message}")


def doubt(trouble: Trouble) -> Trouble:
    """The same trouble, said to be ambiguous: it may have been executed and billed."""
    said = f"it may have been executed and billed: {trouble.message}"
    return evolve(trouble, kind="ambiguous", message=said, cause=trouble.kind)
