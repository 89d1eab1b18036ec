"""Random histories from a seed, without Hypothesis: fast enough for a hundred thousand of them."""

from __future__ import annotations

from hashlib import blake2b
from random import Random

from tests.histories.driver import History
from tests.histories.knobs import draw


def history(seed: int, *, closely: bool = False) -> History:
    """Run one history, all of it drawn from `seed`; raises an AssertionError where a promise is broken."""
    rng = Random(seed)
    one = History(draw(rng), seed, closely=closely or seed % 16 == 0, secrets=seed % 64 == 0)
    run(one, rng)
    return one


def run(one: History, rng: Random) -> None:
    """All steps of a history that is set up, and its end."""
    for _ in range(one.knobs.steps):
        one.step(rng)
    one.end(rng)


def digest(count: int) -> str:
    """A digest of all events and commands of the first `count` histories."""
    total = blake2b(digest_size=16)
    for seed in range(count):
        rng = Random(seed)
        one = History(draw(rng), seed)
        read = one.traced()
        run(one, rng)
        total.update(read().encode())
    return total.hexdigest()
