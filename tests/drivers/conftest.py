"""Every test here runs for each driver over each HTTP library."""

from __future__ import annotations

import pytest

from tests.drivers.harness import DRIVERS, LIBRARIES


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Which driver."""
    return str(request.param)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    """Over which library."""
    return str(request.param)
