"""Figures of a run, for tests of how it is shown."""

from __future__ import annotations

from penstock_io.batch.progress import Figures

DOLLAR = 10**12
HALFWAY = Figures(
    total=5000,
    done=1234,
    failed=12,
    ambiguous=2,
    in_flight=64,
    images=1200,
    pace=118.34,
    eta=1925.0,
    spent=1_234_512_345_678,
    maybe=DOLLAR // 100,
    budget=5 * DOLLAR,
    refused=3,
    broken=1,
    waiting="images a minute of KEY_A for gpt-image-2, 12 s",
    seconds=600.0,
)
"""A run in the middle, as it is shown."""
