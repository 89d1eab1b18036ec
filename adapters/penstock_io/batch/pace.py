"""How fast a run is: images a minute, time to go, and how much of the account's limits it makes use of."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from math import inf, isfinite

from attrs import define, field, frozen

from penstock.admission.bucket import GaugeFigures
from penstock.admission.permits import WallFigures
from penstock.admission.quota import QuotaFigures
from penstock.engine import Waiting
from penstock.engine.figures import LaneFigures
from penstock_io.words import per, span

WINDOW = 60.0
"""Seconds of the past that pace and time to go are told from."""

SHORTEST = 1.0
"""Seconds below which nothing is said of a pace."""


@frozen
class _Seen:
    at: float
    rows: int
    images: int


@define
class Pace:
    """What was done in the last minute, from looks at it."""

    _seen: deque[_Seen] = field(factory=deque[_Seen])

    def look(self, now: float, rows: int, images: int) -> None:
        """So many rows and images are done now."""
        self._seen.append(_Seen(now, rows, images))
        while len(self._seen) > 2 and self._seen[1].at <= now - WINDOW:
            self._seen.popleft()

    def images(self) -> float:
        """Images a minute."""
        span, first, last = self._span()
        return 60.0 * (last.images - first.images) / span if span >= SHORTEST else 0.0

    def eta(self, left: int) -> float | None:
        """Seconds until `left` more rows are done; None where nobody can say."""
        span, first, last = self._span()
        done = last.rows - first.rows
        if left <= 0:
            return 0.0
        return left * span / done if done > 0 and span >= SHORTEST else None

    def _span(self) -> tuple[float, _Seen, _Seen]:
        if not self._seen:
            return 0.0, _NEVER, _NEVER
        first, last = self._seen[0], self._seen[-1]
        return last.at - first.at, first, last


_NEVER = _Seen(0.0, 0, 0)


@define
class Mix:
    """What a picture of this run takes on average, to count requests and tokens in pictures.

    Tokens are those that pictures really took, but for a limit that refusals taught: that counts what was `reserved`.
    """

    requests: int = 0
    samples: int = 0
    pictures: int = 0
    tokens: int = 0
    reserved: int = 0

    def asked(self, samples: int, tokens: int = 0) -> None:
        """A row asked for so many pictures, and reserved so many tokens for each."""
        self.requests += 1
        self.samples += samples
        self.reserved += samples * tokens

    def paid(self, pictures: int, tokens: int) -> None:
        """So many pictures took so many tokens."""
        self.pictures += pictures
        self.tokens += tokens

    @property
    def each(self) -> float:
        """Pictures a request."""
        return self.samples / self.requests if self.requests else 1.0

    def counted(self, quota: QuotaFigures) -> tuple[float, float] | None:
        """The tightest limit of a quota in pictures: what it has now and a minute's worth; None: none is known.

        A limit of a day bounds what there is, and is the tightest only once it is used up: before, it holds nobody up.
        """
        known = _known(self._worths(quota))
        walls = _known(counted for wall in quota.walls for counted in self._counting(wall.quantity, wall.gauge))
        tightest = min([*known, *(one for one in walls if one[0] < 1.0)], key=lambda one: one[1], default=None)
        return tightest and (min(tightest[0], *(level for level, _ in walls), inf), tightest[1])

    def gauges(self, quota: QuotaFigures) -> Iterable[tuple[GaugeFigures, float]]:
        """Its buckets, those of a day and the like among them, with how many pictures one unit of each is worth."""
        yield from self._worths(quota)
        for wall in quota.walls:
            yield from self._counting(wall.quantity, wall.gauge)

    def _worths(self, quota: QuotaFigures) -> Iterable[tuple[GaugeFigures, float]]:
        return [counted for quantity, gauge in _minute(quota).items() for counted in self._counting(quantity, gauge)]

    def _counting(self, quantity: str, gauge: GaugeFigures) -> Iterable[tuple[GaugeFigures, float]]:
        """A bucket with how many pictures one unit of it is worth; nothing of tokens before they are known."""
        if quantity == "images":
            yield gauge, 1.0
        elif quantity == "requests":
            yield gauge, self.each
        elif quantity == "tokens":
            learned = gauge.source == "learned"
            pictures, tokens = (self.samples, self.reserved) if learned else (self.pictures, self.tokens)
            if pictures and tokens:
                yield gauge, pictures / tokens


def _known(gauges: Iterable[tuple[GaugeFigures, float]]) -> list[tuple[float, float]]:
    """What those have whose rate is known, and a minute's worth of it, in pictures."""
    return [
        (gauge.level * worth, gauge.per_minute * worth)
        for gauge, worth in gauges
        if gauge.per_minute is not None and 0 < gauge.per_minute < inf
    ]


@define
class Use:
    """Images sent over what the tightest known limits would have allowed while there was work to send.

    A burst counts as far as there was work for it. Times without a known limit on every open lane do not count, nor
    what was sent in them: where some of that is refused later, it does not hide what is sent in its place.
    """

    sent: float = 0.0
    allowed: float = 0.0
    _at: float | None = None
    _before: float = 0.0
    _rate: float = 0.0
    _uncounted: float = 0.0
    _made: float = 0.0

    def look(
        self, now: float, lanes: Iterable[LaneFigures], mix: Mix, *, sent: float, left: float, out: float = 0.0
    ) -> None:
        """`sent` images are made or out by now (`out` of them out), and `left` are still to be sent."""
        self._forget(sent, out)
        more = max(0.0, sent - self._before)  # what is refused leaves the count again, and was never let through
        self._before = max(self._before, sent)
        if self._at is not None:
            self.allowed += (now - self._at) / 60.0 * self._rate
            self.sent += more
        counted = [mix.counted(quota) for quota in _quotas(lanes)]
        known = [one for one in counted if one is not None]
        if left <= 0 or not known or len(known) < len(counted):
            self._at = None
            return
        if self._at is None and not self.allowed:
            self.allowed = min(left, sum(max(0.0, level) for level, _ in known))
        self._at = now
        self._rate = sum(rate for _, rate in known)

    def _forget(self, sent: float, out: float) -> None:
        """Let what went uncounted, and is refused now, leave the count for good."""
        made = sent - out
        if self._at is None:
            self._before, self._uncounted = sent, out
        else:
            self._uncounted = max(0.0, self._uncounted - max(0.0, made - self._made))
            refused = min(max(0.0, self._before - sent), self._uncounted)
            self._before -= refused
            self._uncounted -= refused
        self._made = made


def _quotas(lanes: Iterable[LaneFigures]) -> list[QuotaFigures]:
    """The quotas of the lanes that are open, each once, however many models share it."""
    return list({(lane.credential, lane.pool): lane.quota for lane in lanes if lane.closed is None}.values())


_FINGERPRINT = re.compile(r"\b[0-9a-f]{12}:(?=\S)")


def labelled(text: str) -> str:
    """A text with the keys in it by their labels alone: people know those, and nobody knows a fingerprint by heart."""
    return _FINGERPRINT.sub("", text)


def waiting_for(waiting: Waiting, now: float, model: str = "", lanes: Iterable[LaneFigures] = ()) -> str:
    """What a request to `model` waits for, as the end of "waiting for ..."; "" where only for its provider.

    `lanes` say of which window the limit is that it waits for; without them it is a minute, where it may be.
    """
    said = _WORDS.get(waiting.reason, "")
    if waiting.reason == "quota":
        quantity, _, name = waiting.on.partition(" of ")
        whose = f"{labelled(name)} for {model}" if model else labelled(name)
        mine = [lane.quota for lane in lanes if lane.credential == name and model in {"", lane.model}]
        seconds = 0.0 if waiting.until is None else waiting.until - now
        said = f"{_QUOTAS.get(quantity) or _limit(quantity, seconds, mine)} {whose}"
    elif waiting.reason == "no_lane":
        said = f"a key that serves {model or 'its model'} ({labelled(waiting.on)})"
    elif waiting.reason == "proof":
        said = labelled(waiting.on)
    elif waiting.reason == "errors":
        kind, _, name = waiting.on.partition(" of ")
        said = f"{labelled(name)} to rest after errors in a row ({kind.replace('_', ' ')})"
    elif waiting.reason == "retry" and waiting.on:
        said = f"another try ({waiting.on.rstrip('.')})"
    if not said or waiting.until is None or not isfinite(waiting.until):
        return said
    seconds = max(0.0, waiting.until - now)
    return f"{said}, {span(seconds) if seconds >= _MINUTE else f'{seconds:.0f} s'}"


def _limit(quantity: str, seconds: float, quotas: Iterable[QuotaFigures]) -> str:
    """The limit of a quantity that holds a request up: the one that will have the least when it may go."""
    gauges = [
        (wall.window, wall.gauge)
        for quota in quotas
        for wall in (*(WallFigures(name, _MINUTE, gauge) for name, gauge in _minute(quota).items()), *quota.walls)
        if wall.quantity == quantity
    ]
    found = [
        (gauge.level + gauge.per_minute * seconds / 60.0, window)
        for window, gauge in gauges
        if gauge.per_minute is not None
    ]
    if found:
        return f"{quantity} {per(min(found)[1])} of"
    return f"{quantity} a minute of" if seconds <= _MINUTE else f"{quantity} of"


def _minute(quota: QuotaFigures) -> dict[str, GaugeFigures]:
    """Its buckets of a minute by what they count."""
    return {"images": quota.images, "requests": quota.requests, "tokens": quota.tokens}


_MINUTE = 60.0
_QUOTAS = {
    "concurrency": "a reply, as many are out as may be at a time with",
    "blocked": "the end of a wait asked of",
    "pace": "a moment between two requests to",
}
_WORDS = {
    "retry": "another try",
    "budget": "money of the budget that others have reserved",
    "halted": "the end: the run is halted",
    "claimed": "another process that makes the same",
    "gathering": "others that want the same",
    "line": "its turn",
}
