"""Large replies: memory stays near the pictures themselves, whatever the driver and the sink."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.payloads import DRIVERS, MB, PICTURES, SHARE, SINKS, apart, main, providers

REPLY = 20 * MB
"""Bytes of the reply: a fifth of what the benchmark takes, whose aim is the same share."""


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[str, str]]:
    """Providers of small and of large pictures, in a process of their own."""
    with providers(REPLY) as found:
        yield found


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_large_reply_takes_little_memory(driver: str, sink: str, urls: tuple[str, str]) -> None:
    """Ten pictures arrive whole; memory rises by at most 1.5 times their reply, and by a quarter of that with files."""
    got = apart(driver, sink, *urls)
    assert PICTURES == got.pictures
    assert got.nbytes >= REPLY * 3 // 4
    assert got.peak <= REPLY * (SHARE if sink == "memory" else SHARE / 4)


def test_the_benchmark_tells_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks payloads` prints a line a combination, and leaves out what was not asked for."""
    code = main(["--megabytes", "1", "--rounds", "1", "--only", "asyncio/file"])
    lines = capsys.readouterr().out.splitlines()
    assert code in (0, 1)  # a megabyte is too little for a share to mean anything
    assert ["asyncio/file"] == [line.split()[0] for line in lines[2:]]
