"""A client for threads whose owner breaks: whoever asks it of something afterwards hears what broke it."""

from __future__ import annotations

import pytest

from penstock.errors import UsageError
from penstock.events import Event
from penstock_io.sync import Client

NOBODY = "http://127.0.0.1:9/v1"


class Broken(Exception):
    """What the hook of a program raises."""


def trace(event: Event, now: float) -> None:
    """A hook of a program, at its first event."""
    del event, now
    raise Broken("no room for the trace")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the owner ends with its fault
def test_whoever_comes_after_the_client_broke_hears_why() -> None:
    """The request that was out hears the fault, questions and later requests that the client is broken, and by what."""
    with Client(NOBODY, ["key"], record_trace=trace) as client:
        with pytest.raises(Broken, match="no room"):
            client.images.generate(prompt="a kettle", model="gpt-image-2")
        client._owner.join(60)
        with pytest.raises(UsageError, match="the client is broken") as asked:
            client.snapshot()
        with pytest.raises(UsageError, match="the client is broken") as later:
            client.images.generate(prompt="a fox", model="gpt-image-2")
        assert ["no room for the trace"] * 2 == [str(found.value.__cause__) for found in (asked, later)]


def test_whoever_asks_a_client_that_was_left_hears_that() -> None:
    """It is not broken."""
    with Client(NOBODY, ["key"]) as client:
        pass
    with pytest.raises(UsageError, match="the client was left"):
        client.snapshot()
