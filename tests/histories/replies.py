"""What a provider may do with an exchange, by name: what the driver reports, and what is billed in truth."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

from attrs import frozen

from penstock.events import Event, Failed, Headers, Responded
from penstock.ids import Ref
from penstock.readings import Kind, LimitHint, Malformed, Part, Problem, Reached, Success, Usage, Vector, Verdict
from penstock.work import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from penstock.commands import Send
    from penstock.readings import Reading
    from penstock.work import Target


@frozen
class Reply:
    """One answer: the event, what the provider bills for it (picodollars), and which places of the call it brought.

    `sure`: the bill is known to whoever reads the event, so that books and bill must agree to the last picodollar.
    """

    event: Event
    billed: int = 0
    sure: bool = True
    brought: tuple[int, ...] = ()


@frozen
class Exchange:
    """An exchange that is out: the order, its target, chance, a maker of references, whether pictures come as URLs."""

    send: Send
    target: Target
    rng: Random
    ref: Callable[[str], Ref]
    urls: bool
    excess: bool

    def cost(self, samples: int) -> int:
        """What the provider charges for so many pictures: within the quote, or (an excess) above it."""
        quote = self.target.quote if self.target.quote is not None else 50
        if self.excess and self.rng.random() < 0.3:
            return quote * samples + self.rng.randrange(1, quote + 2)
        return self.rng.randint(quote * samples // 2, quote * samples)

    def headers(self) -> Headers:
        """Now and then rate headers, also odd ones."""
        chance = self.rng.random()
        if chance < 0.7:
            return ()
        if chance < 0.75:
            return (("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-limit-requests", "oops"))
        return (
            ("x-ratelimit-limit-requests", str(self.rng.choice((30, 60, 600)))),
            ("x-ratelimit-remaining-requests", str(self.rng.randrange(20))),
            ("x-ratelimit-reset-requests", f"{self.rng.randrange(1, 20)}s"),
        )

    def responded(self, reading: Reading, status: int, headers: Headers | None = None) -> Responded:
        """A reply with this reading."""
        return Responded(self.send.attempt, status, self.headers() if headers is None else headers, reading)


def ok(exchange: Exchange) -> Reply:
    """Everything that was bought."""
    return _pictures(exchange, range(exchange.send.samples))


def short(exchange: Exchange) -> Reply:
    """Fewer pictures than were bought, at least one."""
    count = exchange.send.samples
    return _pictures(exchange, sorted(exchange.rng.sample(range(count), exchange.rng.randint(min(1, count), count))))


def surplus(exchange: Exchange) -> Reply:
    """More pictures than were bought, some twice, some at places that nobody asked for."""
    count = exchange.send.samples
    return _pictures(exchange, [*range(count), exchange.rng.choice((0, -1, count, count + 7))])


def strange(exchange: Exchange) -> Reply:
    """A picture, but none that was asked for."""
    return _pictures(exchange, [exchange.send.samples + 3])


def _pictures(exchange: Exchange, places: list[int] | range) -> Reply:
    send, rng = exchange.send, exchange.rng
    if send.purpose is not Purpose.GENERATE and rng.random() < 0.9:
        return _answer(exchange)
    url = exchange.urls and rng.random() < 0.8
    places = list(places) or [0]
    parts = tuple([Part(place, exchange.ref("u" if url else "b"), "1024x1024", "png", 9, url) for place in places])
    cost = exchange.cost(len(places))
    rates = exchange.target.rates
    exact = rng.random() < 0.9 or exchange.target.quote is None
    usage = Usage(output_image=rng.randrange(0, 90), cost=cost) if exact else None
    if usage is None and rates is not None and rates.picture is not None and len(places) >= send.samples:
        cost, exact = rates.picture * len(places), True  # of fewer than were asked for nobody knows the bill
    elif usage is None and exchange.target.quote is not None:
        cost = min(cost, exchange.target.quote * max(1, send.samples))
    brought = tuple(dict.fromkeys(place for place in places if 0 <= place < send.samples))
    return Reply(exchange.responded(Success(usage, parts), 200), cost, exact, brought)


def _answer(exchange: Exchange) -> Reply:
    cost = exchange.cost(1)
    rng = exchange.rng
    answer: Verdict | Vector
    if exchange.send.purpose is Purpose.EMBED:
        answer = Vector(exchange.ref("v"))
    else:
        answer = Verdict(rng.random() < 0.8, "s1", "it says so")
    return Reply(exchange.responded(Success(Usage(cost=cost), (), answer), 200), cost)


def refused(exchange: Exchange) -> Reply:
    """The provider's own error reply: certainly not executed."""
    rng = exchange.rng
    hint = rng.choice((None, None, 0.5, 3.0))
    status, code, kind, limit = rng.choice(
        (
            (429, "rate_limit_exceeded", None, None),
            (429, "rate_limit_exceeded", None, LimitHint("images", 5.0, 5.0, 1.0)),
            (429, "rate_limit_exceeded", None, LimitHint("concurrency", 2.0)),
            (429, "slow_down", None, None),
            (500, None, "server_error", None),
            (503, None, None, None),
            (529, None, "overloaded_error", None),
            (409, None, None, None),
        )
    )
    waits: tuple[Headers, ...] = (
        (),
        (),
        (("retry-after", "2"),),
        (("retry-after-ms", "150"),),
        (("retry-after", "Fri, 31 Dec 2049 23:59:59 GMT"),) if rng.random() < 0.1 else (),
        (("x-should-retry", "false"),),
    )
    problem = Problem(code, kind, "not now", hint, limit)
    return Reply(exchange.responded(problem, status, rng.choice(waits)))


def hostile(exchange: Exchange) -> Reply:
    """A refusal with figures that mean nothing."""
    rng = exchange.rng
    hint = rng.choice((None, inf, nan, -3.0, 1e7))
    limit = LimitHint(
        rng.choice(("images", "requests", "tokens", "concurrency", "days", "")),
        rng.choice((0.0, -5.0, 1e18, 0.25)),
        rng.choice((None, -1.0, 1e18)),
        rng.choice((None, 0.0, -1.0)),
        rng.choice((60.0, 86400.0, 1.0)),
    )
    headers = tuple((name, rng.choice(FIGURES)) for name in rng.sample(HEADERS, 3))
    problem = Problem("rate_limit_exceeded", None, "x" * 500, hint, rng.choice((None, limit)))
    return Reply(exchange.responded(problem, 429, headers))


HEADERS = (
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-images",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-limit-tokens",
    "x-concurrent-limit",
)
FIGURES = ("0", "-1", "nan", "inf", "1e400", "", "999999999", "0.0000001", "7", "1ms", "Fri, 99 Foo 2026")


def over(exchange: Exchange) -> Reply:
    """A 429 that names a limit below what was requested."""
    limit = LimitHint("images", 1.0, 0.0, float(exchange.send.samples + 1))
    return Reply(exchange.responded(Problem("rate_limit_exceeded", None, "too much at once", None, limit), 429))


def never(exchange: Exchange) -> Reply:
    """The request is refused for good, by the provider or by somebody who is no such API at all."""
    if exchange.rng.random() < 0.3:
        status = exchange.rng.choice((301, 302, 308, 404, 405))
        elsewhere: tuple[Reading, ...] = (Problem(message="Not Found", own=False), Malformed("not JSON", "<html>"))
        return Reply(exchange.responded(exchange.rng.choice(elsewhere), status))
    status, code = exchange.rng.choice(((400, "invalid_value"), (404, None), (413, None), (422, None), (400, None)))
    return Reply(exchange.responded(Problem(code, None, "not like this"), status))


def moderated(exchange: Exchange) -> Reply:
    """A moderation refusal: of the prompt (free), of the output with its usage, or of the output without."""
    chance = exchange.rng.random()
    if chance < 0.4:
        return Reply(exchange.responded(Problem("moderation_blocked", None, "no", stage="input"), 400))
    cost = exchange.cost(max(1, exchange.send.samples))
    delivers = exchange.target.dialect == "openrouter"
    if chance < 0.7:
        problem = Problem("moderation_blocked", None, "no", stage="output", usage=Usage(cost=cost))
        return Reply(exchange.responded(problem, 400, ()), 0 if delivers else cost)
    problem = Problem("moderation_blocked", None, "no", stage="output")
    billed = cost if exchange.rng.random() < 0.5 else 0
    return Reply(exchange.responded(problem, 400), _within(exchange, billed), sure=False)


def closes(exchange: Exchange) -> Reply:
    """A credential, a model or an account that serves no more."""
    status, code = exchange.rng.choice(
        ((401, "invalid_api_key"), (429, "insufficient_quota"), (404, "model_not_found"), (403, None), (402, None))
    )
    return Reply(exchange.responded(Problem(code, None, "not with this"), status, ()))


def unsent(exchange: Exchange) -> Reply:
    """Failed before the first byte of the request left."""
    kind = exchange.rng.choice((Kind.DNS, Kind.CONNECT, Kind.TLS, Kind.TIMEOUT, Kind.ABORTED, Kind.BROKEN))
    return Reply(Failed(exchange.send.attempt, kind, exchange.rng.choice((Reached.NOTHING, Reached.CONNECTED))))


def uncertain(exchange: Exchange) -> Reply:
    """Nobody can know whether it was executed; in truth it was, or was not."""
    rng = exchange.rng
    choice = rng.randrange(5)
    event: Event
    if choice == 0:
        event = Failed(exchange.send.attempt, rng.choice((Kind.TIMEOUT, Kind.BROKEN)), rng.choice(PAST))
    elif choice == 1:
        event = exchange.responded(Malformed("html", "<html>"), rng.choice((200, 502, 504, 524)))
    elif choice == 2:
        event = exchange.responded(Problem(message="a proxy", own=False), rng.choice((408, 500, 502, 503, 504, 520)))
    elif choice == 3:
        event = exchange.responded(Problem("server_error", None, "inside a 200"), 200)
    else:
        event = exchange.responded(Success(Usage(), ()), 200)
    billed = exchange.cost(exchange.send.samples or 1) if rng.random() < 0.5 else 0
    return Reply(event, _within(exchange, billed), sure=False)


PAST = (Reached.SENDING, Reached.SENT, Reached.READING)


def _within(exchange: Exchange, billed: int) -> int:
    """An ambiguous bill is bounded by the quote: what is above it nobody could promise."""
    quote = exchange.target.quote
    bound = billed if quote is None else min(billed, quote * max(1, exchange.send.samples))
    if exchange.target.dialect == "openrouter" and billed:
        return 0
    return bound


def aborted(exchange: Exchange) -> Reply:
    """Broken off by the driver; executed and billed all the same, or not."""
    billed = exchange.cost(max(1, exchange.send.samples)) if exchange.rng.random() < 0.5 else 0
    event = Failed(exchange.send.attempt, Kind.ABORTED, exchange.rng.choice(PAST))
    return Reply(event, _within(exchange, billed), sure=False)


def too_large(exchange: Exchange) -> Reply:
    """Executed and billed, and too large to take."""
    count = max(1, exchange.send.samples)
    quote, rates = exchange.target.quote, exchange.target.rates
    billed = exchange.cost(count) if quote is None else min(exchange.cost(count), quote * count)
    if rates is not None and rates.picture is not None:
        billed = rates.picture * count
    return Reply(Failed(exchange.send.attempt, Kind.TOO_LARGE, Reached.READING), billed, sure=False)


REPLIES: dict[str, Callable[[Exchange], Reply]] = {
    "ok": ok,
    "short": short,
    "surplus": surplus,
    "strange": strange,
    "refused": refused,
    "over": over,
    "hostile": hostile,
    "never": never,
    "moderated": moderated,
    "closes": closes,
    "unsent": unsent,
    "uncertain": uncertain,
    "aborted": aborted,
    "too_large": too_large,
}
"""All judgement classes, by what the provider does."""

LIKELY = ("ok",) * 8 + ("refused",) * 3 + ("uncertain",) * 2 + tuple(REPLIES)
"""The mix that a history draws from."""
