"""What a simulated provider is told to be: limits, latency, faults."""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrs import evolve, frozen


@frozen
class Fault:
    """One way a call can go wrong.

    `status` is that of the reply (0: there is none). `executed`: the picture is made and billed; None: a coin decides.
    `admitted`: the call passes the rate limits first and takes quota. `slow`: it ends when the picture would have been
    ready; else soon. `reset`: the connection is torn down. `stalls`: nothing ever comes back. `told`: its reply carries
    rate headers. `streams`: it goes wrong within a stream, and nothing is wrong with a call that asked for none.
    """

    status: int = 0
    executed: bool | None = False
    admitted: bool = True
    slow: bool = False
    reset: bool = False
    stalls: bool = False
    told: bool = True
    streams: bool = False


FAULTS: dict[str, Fault] = {
    "refuse_connection": Fault(admitted=False, reset=True),
    "reset_early": Fault(admitted=False, reset=True),
    "reset": Fault(executed=True, slow=True, reset=True),
    "stall": Fault(executed=True, slow=True, stalls=True),
    "truncated": Fault(status=200, executed=True, slow=True, reset=True),
    "500": Fault(status=500),
    "502": Fault(status=502, executed=None, slow=True, told=False),
    "503": Fault(status=503),
    "busy": Fault(status=503, admitted=False),
    "moderation": Fault(status=400),
    "stream_error": Fault(status=200, slow=True, streams=True),
    "stream_cut": Fault(status=200, executed=True, slow=True, reset=True, streams=True),
    "stream_hurry": Fault(status=200, executed=True, slow=True, streams=True),
    "stream_undone": Fault(status=200, executed=True, slow=True, streams=True),
}
"""Every fault by its name in `--faults`."""

ALIASES = {"timeout": "stall"}


def parse_faults(text: str) -> tuple[tuple[str, float], ...]:
    """Read "reset=0.02,500=0.05": probabilities a call. Raises ValueError naming what is wrong and what there is."""
    pairs: list[tuple[str, float]] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = item.partition("=")
        name = ALIASES.get(name.strip(), name.strip())
        try:
            pairs.append((name, float(share)))
        except ValueError:
            raise ValueError(f"fault {item!r} is not NAME=PROBABILITY") from None
    check_faults(tuple(pairs))
    return tuple(pairs)


def check_faults(faults: tuple[tuple[str, float], ...]) -> None:
    """Raise ValueError for an unknown name, a probability outside 0 to 1, or a sum above 1."""
    for name, share in faults:
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; there are {', '.join(FAULTS)}")
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"the probability of {name!r} must be between 0 and 1, not {share}")
    if sum(share for _, share in faults) > 1.0 + 1e-9:
        raise ValueError("the probabilities of all faults together exceed 1")


LONGEST = 1e9
"""Seconds above which nothing is waited for, not even by a clock that runs faster."""

WIDEST = 10.0
"""The sigma above which a latency may be no number any more."""


def _within(name: str, value: float, most: float, unit: str) -> None:
    if not 0.0 <= value <= most:  # also for what is no number
        raise ValueError(f"{name} must be a number from 0 to {most:,.0f}{unit and ' ' + unit}, not {value}")


MINUTE, DAY = 60.0, 86_400.0
"""Seconds that a limit applies to."""

QUANTITIES = ("requests", "tokens", "images")
"""What limits are on, in the order used throughout."""


@frozen
class Wall:
    """A limit that no header and no refusal tells of: at most `amount` at once, refilled within `seconds`.

    A provider that keeps its limit a minute in buckets of a second or of ten (Azure does) has such walls.
    """

    quantity: str
    amount: float
    seconds: float

    def __attrs_post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ValueError(f"a wall is on one of {', '.join(QUANTITIES)}, not on {self.quantity!r}")
        _above_zero((("the amount of a wall", self.amount), ("the seconds of a wall", self.seconds)))


@frozen
class ServerLimits:
    """True limits of one credential: per minute, None where there is none. `concurrency` is calls executing at a time.

    `burst` is how many minutes' worth may be taken at once (1.0: a full minute; 1/60: a second's). `rpd`, `tpd` and
    `ipd` are per day, of which `day_burst` may be taken at once. `walls` hold besides, and nothing tells of them.
    """

    rpm: float | None = None
    tpm: float | None = None
    ipm: float | None = None
    concurrency: int | None = None
    burst: float = 1.0
    rpd: float | None = None
    tpd: float | None = None
    ipd: float | None = None
    day_burst: float = 1.0
    walls: tuple[Wall, ...] = ()

    def __attrs_post_init__(self) -> None:
        names = ("rpm", "tpm", "ipm", "burst", "rpd", "tpd", "ipd", "day_burst")
        figures = (self.rpm, self.tpm, self.ipm, self.burst, self.rpd, self.tpd, self.ipd, self.day_burst)
        _above_zero(zip(names, figures, strict=True))
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {self.concurrency}")

    def faster(self, scale: float) -> ServerLimits:
        """The same limits by a clock that runs `scale` times slower: more a second, as much at once."""
        return ServerLimits(
            rpm=_faster(self.rpm, scale),
            tpm=_faster(self.tpm, scale),
            ipm=_faster(self.ipm, scale),
            concurrency=self.concurrency,
            burst=self.burst / scale,
            rpd=_faster(self.rpd, scale),
            tpd=_faster(self.tpd, scale),
            ipd=_faster(self.ipd, scale),
            day_burst=self.day_burst / scale,
            walls=tuple([evolve(wall, seconds=wall.seconds / scale) for wall in self.walls]),
        )


def _faster(figure: float | None, scale: float) -> float | None:
    return None if figure is None else figure * scale


def _above_zero(figures: Iterable[tuple[str, float | None]]) -> None:
    for name, value in figures:
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number above 0, not {value}")


@frozen
class Latency:
    """Lognormal seconds from arrival to reply: `median`, by quality where `medians` names it; `sigma` of the log."""

    median: float = 0.3
    sigma: float = 0.25
    medians: tuple[tuple[str, float], ...] = ()

    def __attrs_post_init__(self) -> None:
        for name, value in (("latency", self.median), *((f"latency of {name}", value) for name, value in self.medians)):
            _within(name, value, LONGEST, "seconds")
        _within("sigma", self.sigma, WIDEST, "")


@frozen
class ServerSettings:
    """A simulated provider. Without limits there are none, and no rate headers.

    `refusal_delay` is seconds until a reply that took no work; a refusal for a limit comes up to `refusal_spread`
    seconds later still. `charged_refusals`: a refusal for a rate takes quota, too. `headers` says whether rate headers
    are sent, and `told` of which quantities; with `day_headers` they tell of the limit a day where there is one.
    `hints` says whether a refusal says how long to wait, `names` whether it says which limit it is about.
    `models` None: any model is served. `picture_bytes` pads each picture to at least that size. `epoch` is the Unix
    time at which `now` is 0. `flagged` is the word that makes a prompt be refused by moderation.
    `owners` are credentials and the organizations that they belong to, which have one account each; any other has its
    own. Without `streams` whoever asks for a stream is refused; `lacks` names fields of a body that it does not know.
    """

    limits: ServerLimits = ServerLimits()
    latency: Latency = Latency()
    faults: tuple[tuple[str, float], ...] = ()
    charged_refusals: bool = False
    refusal_delay: float = 0.01
    refusal_spread: float = 0.0
    headers: bool = True
    told: tuple[str, ...] = QUANTITIES
    day_headers: bool = False
    hints: bool = True
    names: bool = True
    models: tuple[str, ...] | None = None
    picture_bytes: int = 0
    epoch: float = 0.0
    flagged: str = "forbidden"
    streams: bool = True
    lacks: tuple[str, ...] = ()
    owners: tuple[tuple[str, str], ...] = ()

    def __attrs_post_init__(self) -> None:
        check_faults(self.faults)
        _within("refusal_delay", self.refusal_delay, LONGEST, "seconds")
        _within("refusal_spread", self.refusal_spread, LONGEST, "seconds")
        for name in self.told:
            if name not in QUANTITIES:
                raise ValueError(f"headers tell of {', '.join(QUANTITIES)}, not of {name!r}")
        if self.picture_bytes < 0:
            raise ValueError(f"picture_bytes must be at least 0, not {self.picture_bytes}")
        if not math.isfinite(self.epoch):
            raise ValueError(f"epoch must be a finite number of Unix seconds, not {self.epoch}")

    def faster(self, scale: float) -> ServerSettings:
        """The same provider as a client sees it whose clock runs `scale` times slower than the provider's.

        Limits a minute grow and latencies shrink by `scale`; what may be taken at once stays the same, so that every
        figure the provider names (limits, resets, waits) is right in the client's seconds.
        """
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"the time scale must be above 0, not {scale}")
        limits, latency = self.limits, self.latency
        return evolve(
            self,
            limits=limits.faster(scale),
            latency=evolve(
                latency,
                median=latency.median / scale,
                medians=tuple((name, median / scale) for name, median in latency.medians),
            ),
            refusal_delay=self.refusal_delay / scale,
            refusal_spread=self.refusal_spread / scale,
        )
