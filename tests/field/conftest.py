"""Tests that take a driver run for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock_io.simserver import SimServer, serving
from tests.drivers.harness import DRIVERS
from tests.field.worlds import QUICK


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Which driver."""
    return str(request.param)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A quick provider without limits, over loopback."""
    with serving(QUICK) as server:
        yield server
