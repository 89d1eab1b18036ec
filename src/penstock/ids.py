"""Names of things: small integers that the driver (jobs, handles) or the engine (all others) counts up.

They are `NewType`s, so that a type checker keeps a call from being taken for an attempt; at run time they are the
plain `int` or `str`.
"""

from typing import NewType

JobId = NewType("JobId", int)
"""What a caller waits for; chosen by the driver, never used twice in one engine."""

CallId = NewType("CallId", int)
"""One unit of provider work that is paid once."""

AttemptId = NewType("AttemptId", int)
"""One HTTP exchange of a call on a lane (a download of a paid picture is one, too)."""

ReadId = NewType("ReadId", int)
"""One question to the store."""

RecordId = NewType("RecordId", int)
"""One entry handed to the journal."""

QuestionId = NewType("QuestionId", int)
"""One question to a hook."""

Handle = NewType("Handle", int)
"""The driver's name for a prepared request: the engine never sees the request itself."""

Key = NewType("Key", str)
"""The cache key of one picture (`penstock.cache.key`)."""

Ref = NewType("Ref", str)
"""A payload reference: where a driver keeps bytes or a signed URL. Opaque to the engine; never the bytes or the URL."""
