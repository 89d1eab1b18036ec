"""What acceptance tests share: a server of another make, and a desk that buys there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.desk import KEY, OTHER, Desk
from tests.acceptance.other_server import other_server
from tests.acceptance.witness import Witness


@pytest.fixture
def witness() -> Iterator[Witness]:
    """A server with two keys, no limits, no faults and no odd habits."""
    with other_server(KEY, OTHER) as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, witness: Witness) -> Desk:
    """A desk whose environment names that server."""
    return Desk(tmp_path, witness.base_url)
