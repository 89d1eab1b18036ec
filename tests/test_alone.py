"""One process at a time in a folder, and nobody who waits for ever."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock_io._alone import alone_in

LONG = 600.0
"""Seconds that no test takes: who waits so long goes on because he is let in."""


@pytest.mark.skipif(sys.platform == "win32", reason="a folder has no lock there")
def test_one_at_a_time(tmp_path: Path) -> None:
    """What each does in the folder is done before the next one begins."""
    inside: list[int] = []

    def stay(which: int) -> list[int]:
        with alone_in(tmp_path, LONG):
            inside.append(which)
            seen = [*inside]
            (tmp_path / "file").write_text(str(which))
            seen += inside
            inside.remove(which)
        return seen

    with ThreadPoolExecutor(8) as pool:
        assert [[which] * 2 for which in range(40)] == list(pool.map(stay, range(40)))


@pytest.mark.parametrize("wait", [0.0, 0.1])
def test_who_is_not_let_in_goes_on_without(tmp_path: Path, wait: float) -> None:
    """A folder that another program holds for good stops nobody, who is told of it."""
    with alone_in(tmp_path, LONG) as first, alone_in(tmp_path, wait) as second:
        (tmp_path / "file").touch()
    assert (True, sys.platform == "win32") == (first, second)
    with alone_in(tmp_path, LONG):
        assert [tmp_path / "file"] == list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    """Whoever needs it finds out by himself: nothing is made here, and nothing is raised."""
    with alone_in(tmp_path / "none", LONG):
        assert [] == list(tmp_path.iterdir())


def test_a_fault_inside_gives_the_folder_back(tmp_path: Path) -> None:
    """Who comes next does not wait for somebody who failed."""
    with pytest.raises(ValueError, match="inside"), alone_in(tmp_path, LONG):
        raise ValueError("inside")
    with alone_in(tmp_path, LONG):
        (tmp_path / "file").touch()
