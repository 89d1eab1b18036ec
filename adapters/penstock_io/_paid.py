"""What is said of pictures that are paid and not here."""

from __future__ import annotations

import time

from penstock.outcomes import Trouble

LOST = Trouble("lost", "the picture is paid, and could not be downloaded before its URL expired")
"""Nothing brings it any more."""


def owed(expires: float) -> Trouble:
    """A picture can be downloaded until then (Unix seconds), and so it is not bought again."""
    again = f"the next run, or client of its journal, tries the download again until {clock(expires)}"
    return Trouble("owed", f"the picture is paid and could not be downloaded yet; it is not bought again: {again}")


def clock(unix: float) -> str:
    """The minute of the day: `14:05 UTC`."""
    return f"{time.strftime('%H:%M', time.gmtime(unix))} UTC"
