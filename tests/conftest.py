"""What all tests share: the Hypothesis profiles, and a command line that finds a simulated provider.

`ci` (chosen by the environment variable `CI`) runs the same examples every time, so that a red run is red again;
`dev` looks for new ones. `HYPOTHESIS_PROFILE` names another. Neither has a deadline: a slow machine is no fault.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.simserver import SimServer, serving
from tests.clocks import Ahead

SLOW = [HealthCheck.too_slow]

settings.register_profile("dev", deadline=None, print_blob=True, suppress_health_check=SLOW)
settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=SLOW, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    """The monotonic time, which a test may move on."""
    made = Ahead(time.monotonic)
    monkeypatch.setattr(time, "monotonic", made)
    return made


@pytest.fixture
def no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """No options from whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("PENSTOCK_", "OPENAI_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def provider() -> Iterator[SimServer]:
    """A provider for all tests of a module."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


@pytest.fixture
def sim(provider: SimServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_options: None) -> SimServer:
    """The provider, and a command line that finds it, in an empty folder."""
    del no_options
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    return provider
