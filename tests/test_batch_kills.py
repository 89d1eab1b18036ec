"""A batch that is killed again and again keeps every promise that its folder makes."""

from __future__ import annotations

from benchmarks import kills


def test_a_killed_batch_pays_for_nothing_twice() -> None:
    """Three SIGKILLs with 32 or more requests out: nothing settled is executed again, every orphan is told."""
    figures = kills.run(3, rows=240, seed=3, latency=2.5)
    assert [] == figures.faults
    assert 3 == figures.kills
    assert kills.OUT <= figures.least_out
    assert figures.orphans == figures.told >= 3 * kills.OUT / 2
    assert figures.settled > 0
