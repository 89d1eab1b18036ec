"""A batch waits as long as a provider asks it to, and says until when by the clock on the wall."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from penstock.commands import Waits
from penstock.entries import Lane
from penstock_io.batch.hearing import asked_to_wait

UNTIL = 1_790_000_000.0


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day as in Greenwich."""
    with monkeypatch.context() as inner:
        inner.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (1800.0, "the provider asks A to wait for gpt-image-2, for 30 min, until 2026-09-21 14:13:20 UTC"),
        (100_000.0, "the provider asks A to wait for gpt-image-2, for 1 d 3 h, until 2026-09-21 14:13:20 UTC"),
    ],
)
def test_a_wait_is_told_with_its_end(seconds: float, told: str) -> None:
    """With date and zone: whoever reads it later, or elsewhere, knows when."""
    assert told == asked_to_wait(Waits(Lane("A", "gpt-image-2"), seconds, UNTIL))
