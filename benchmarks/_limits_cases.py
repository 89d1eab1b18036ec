"""What the limits benchmark runs: scenarios, what a client is told, and what of the provider's habits varies.

A to M are the study's: keys, true limits a minute of each, jobs, and what changes on the way. The others are what it
left open: a concurrency limit that no refusal names, a quantity that no refusal names, walls that no header tells of,
buckets of a single demand, and an account of five pictures a minute.
"""

from __future__ import annotations

from enum import Enum
from random import Random

from attrs import evolve, field, frozen

from penstock.config import Limits
from penstock.simulation.server import Latency, ServerLimits, ServerSettings, Wall
from penstock.work import Demand

BURSTS = (1 / 60, 0.1, 1.0)
"""Minutes' worth that may be taken at once."""

WAY = (0.001, 0.030)
"""Seconds of one way to the provider or back: least and most."""

LATENCY = Latency(0.3, 0.4)
LATE = 0.2
"""Seconds by which a late refusal comes later, at most."""

TOKENS = (272, 1056, 4160)
"""Tokens of a picture of low, medium and high quality."""

USUAL = ServerLimits(rpm=300)

COMMITTED = tuple(range(1000, 1020))
"""Seeds that nothing was tuned on."""

LAB = tuple(range(1, 7))
"""Seeds to tune on."""


class Said(Enum):
    """What the client is told: rate headers, the limit's name in a refusal, the wait after a refusal, or nothing."""

    HEADERS = "headers"
    NAMED = "named"
    HINTS = "hints"
    BARE = "bare"


@frozen
class Change:
    """At `at` seconds: other `limits` for all keys (or `only` for one of them), a key that is lost, one that is added.

    Keys are numbers from 0.
    """

    at: float
    limits: ServerLimits | None = None
    only: int | None = None
    lost: int | None = None
    added: int | None = None

    def concerns(self, key: int) -> bool:
        """Whether it changes the limits of this key, or is its loss."""
        return self.lost == key or (self.limits is not None and self.only in {None, key})


@frozen
class Scenario:
    """`keys` credentials of `limits` each (their burst is the case's, at least `least`), and `jobs` to do.

    `mix` is what jobs take: "one" picture, "images" (1 to 4), "tokens" (of three qualities). `configured` is what the
    client believes of each key (None: nothing). It is run with each of `said`. `faults` are shares of all attempts;
    `hints`, `names`, `told` and `day_headers` are of what replies speak where they speak at all.
    """

    letter: str
    title: str
    jobs: int = 1000
    keys: int = 2
    limits: ServerLimits = USUAL
    configured: Limits | None = None
    mix: str = "one"
    changes: tuple[Change, ...] = ()
    faults: tuple[tuple[str, float], ...] = ()
    refusal_delay: float = 0.01
    hints: bool = True
    names: bool = True
    bursts: tuple[float, ...] = BURSTS
    least: float = 0.0
    told: tuple[str, ...] = ("requests", "tokens", "images")
    day_headers: bool = False
    said: tuple[Said, ...] = tuple(Said)

    def settings(self, case: Case) -> ServerSettings:
        """The provider of a case."""
        told = case.said
        return ServerSettings(
            limits=self.true(case.burst),
            latency=LATENCY,
            charged_refusals=case.charged,
            refusal_delay=self.refusal_delay,
            refusal_spread=LATE if case.late else 0.0,
            headers=told is Said.HEADERS,
            told=self.told,
            day_headers=self.day_headers,
            hints=self.hints and told is not Said.BARE,
            names=self.names and told in {Said.HEADERS, Said.NAMED},
        )

    def true(self, burst: float, limits: ServerLimits | None = None) -> ServerLimits:
        """The limits of a key with this burst."""
        return evolve(limits or self.limits, burst=max(burst, self.least))

    def demands(self, seed: int) -> list[Demand]:
        """What each job takes, in order."""
        rng = Random(f"demands {self.letter} {seed}")
        if self.mix == "images":
            return [Demand(1, rng.randint(1, 4), 0) for _ in range(self.jobs)]
        if self.mix == "tokens":
            return [Demand(1, 1, rng.choice(TOKENS)) for _ in range(self.jobs)]
        return [Demand(1, 1, 0)] * self.jobs


TOLD = Limits(rpm=300)
LEARNED = (Said.NAMED, Said.HINTS, Said.BARE)
HALF, DOUBLE = ServerLimits(rpm=150), ServerLimits(rpm=600)

SCENARIOS = {
    scenario.letter: scenario
    for scenario in (
        Scenario("A", "two keys of 300 a minute", configured=TOLD),
        Scenario("B", "five keys", jobs=1500, keys=5, configured=TOLD),
        Scenario("C", "configured 300, true 200", jobs=800, limits=ServerLimits(rpm=200), configured=TOLD),
        Scenario("D", "halved after 15 s", configured=TOLD, changes=(Change(15.0, HALF),)),
        Scenario("E", "5 % errors, 1 % resets", configured=TOLD, faults=(("500", 0.05), ("reset", 0.01))),
        Scenario("F", "tokens bind, mixed qualities", 600, limits=ServerLimits(rpm=3000, tpm=320_000),
                 configured=Limits(rpm=3000, tpm=320_000), mix="tokens", least=4160 / 320_000),
        Scenario("G", "no Retry-After", configured=TOLD, hints=False, said=(Said.HEADERS, Said.NAMED)),
        Scenario("H", "buckets of a second, refusals after 60 ms", 500, configured=TOLD, refusal_delay=0.06,
                 bursts=(1 / 60,)),
        Scenario("I", "no rate headers", configured=TOLD, said=LEARNED),
        Scenario("J", "nothing configured"),
        Scenario("K", "images bind, n from 1 to 4", 200, limits=ServerLimits(ipm=150), configured=Limits(ipm=150),
                 mix="images", least=4 / 150),
        Scenario("L", "a key lost after 15 s, one added after 25 s", 1400, configured=TOLD,
                 changes=(Change(15.0, lost=1), Change(25.0, added=2))),
        Scenario("M", "doubled after 15 s", 1200, configured=TOLD, changes=(Change(15.0, DOUBLE),)),
        Scenario("N", "a bucket of one demand, 60 a minute", 60, limits=ServerLimits(rpm=60), bursts=(1 / 60,)),
        Scenario("O", "a bucket of one demand, 300 a minute", 300, bursts=(1 / 300,)),
        Scenario("S", "5 % errors that take no quota", configured=TOLD, faults=(("busy", 0.05), ("reset", 0.01))),
        Scenario("Q", "tokens vary, requests bind, and no refusal says which", mix="tokens", names=False,
                 said=(Said.HINTS, Said.BARE)),
        Scenario("T", "five pictures a minute", 12, keys=1, limits=ServerLimits(ipm=5), bursts=(0.2, 1.0)),
        Scenario("U", "8 at a time, which no refusal names", limits=ServerLimits(rpm=3000, concurrency=8),
                 names=False, bursts=(1.0,)),
        *[Scenario(f"U{limit}", f"{limit} at a time, which no refusal names", 120 * limit,
                   limits=ServerLimits(rpm=3000, concurrency=limit), names=False, bursts=(1.0,),
                   said=(Said.HEADERS, Said.HINTS, Said.BARE)) for limit in (1, 2, 3)],
        Scenario("R", "20 at a time and no other limit, which no refusal names", 2400,
                 limits=ServerLimits(concurrency=20), names=False, bursts=(1.0,), said=(Said.HINTS, Said.BARE)),
        Scenario("V", "8 at a time, named", limits=ServerLimits(rpm=3000, concurrency=8), bursts=(1.0,),
                 said=(Said.HEADERS, Said.NAMED)),
        Scenario("W", "buckets of a second under a minute's headers", 500,
                 limits=ServerLimits(rpm=300, walls=(Wall("requests", 5, 1.0),)), bursts=(1.0,)),
        Scenario("X", "buckets of ten seconds under a minute's headers",
                 limits=ServerLimits(rpm=300, walls=(Wall("requests", 50, 10.0),)), bursts=(1.0,)),
        Scenario("Y", "headers of the day, and the minute binds", limits=ServerLimits(rpm=300, rpd=14_400),
                 day_headers=True, said=(Said.HEADERS,)),
        Scenario("Z", "a key that has 200 left of its day", 800, bursts=(1.0,),
                 changes=(Change(0.0, ServerLimits(rpm=300, rpd=200), only=0),)),
        Scenario("P", "headers of images, and requests bind", limits=ServerLimits(rpm=300, ipm=3000),
                 told=("images",), said=(Said.HEADERS,)),
    )
}  # fmt: skip


@frozen
class Case:
    """One run: a scenario's letter, what is said, the burst (minutes), how refusals are, and the seed.

    `configured` None: as the scenario has it with headers, and nothing without (but C, whose point it is).
    """

    letter: str
    said: Said = Said.HEADERS
    burst: float = 1.0
    charged: bool = False
    late: bool = False
    seed: int = 1
    configured: bool | None = field(default=None)

    @property
    def scenario(self) -> Scenario:
        """What it is a case of."""
        return SCENARIOS[self.letter]

    @property
    def way(self) -> tuple[float, float]:
        """Seconds of one way: least and most."""
        return WAY

    @property
    def believed(self) -> Limits:
        """What the client is configured with for each key."""
        believes = self.configured
        if believes is None:
            believes = self.said is Said.HEADERS or self.letter == "C"
        return (self.scenario.configured if believes else None) or Limits()
