"""The simulated provider: limits, faults, money and books, and two doors that decide alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.catalog import names
from penstock.http import HttpCall
from penstock.readings import LimitHint, Malformed, Problem, Reading, Success
from penstock.requests import ImageRequest
from penstock.simulation._answers_images import ImageCase
from penstock.simulation._door import case_of
from penstock.simulation.server import (
    FAULTS,
    Admission,
    Asked,
    Latency,
    Planned,
    Server,
    ServerLimits,
    ServerSettings,
    parse_faults,
)
from penstock.wire import MemorySink, reader
from penstock.work import Demand

PICTURE = Demand(requests=1, images=1, tokens=1000)
STEADY = Latency(median=2.0, sigma=0.0)


def served(limits: ServerLimits | None = None, latency: Latency = STEADY, *, charged: bool = False) -> Server:
    """A server with those limits and a latency of exactly two seconds."""
    given_limits = limits or ServerLimits()
    return Server(ServerSettings(given_limits, latency, charged_refusals=charged), rng=Random(1))


def ask(server: Server, now: float = 0.0, demand: Demand = PICTURE, name: str = "a", cost: int = 7) -> Admission:
    """One call of the credential "key"."""
    return server.admit("key", demand, now, identity=name, call=name, cost=cost)


# Limits


class Exact:
    """A continuous bucket in fractions: the definition, written a second time."""

    def __init__(self, limit: int, minutes: Fraction, *, floor: bool) -> None:
        self.capacity = limit * minutes if not floor else max(Fraction(1), limit * minutes)
        self.rate = Fraction(limit, 60)
        self.level = self.capacity
        self.at = Fraction(0)

    def refill(self, now: Fraction) -> None:
        """Let it fill up to `now`."""
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now


STEPS = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(1, 6), st.integers(0, 900)),  # milliseconds, images, tokens
    max_size=60,
)


@settings(max_examples=150)
@given(
    limits=st.tuples(st.integers(1, 200), st.integers(500, 50_000), st.integers(1, 120)),
    quarters=st.integers(1, 8),
    steps=STEPS,
    charged=st.booleans(),
)
def test_buckets_are_exact(
    limits: tuple[int, int, int], quarters: int, steps: list[tuple[int, int, int]], *, charged: bool
) -> None:
    """A call goes exactly when all three buckets hold it, takes from all or none, and refusals cost what was said."""
    minutes = Fraction(quarters, 4)
    exact = [Exact(limit, minutes, floor=place != 1) for place, limit in enumerate(limits)]
    server = served(ServerLimits(*limits, burst=quarters / 4), charged=charged)
    now = Fraction(0)
    for number, (gap, images, tokens) in enumerate(steps):
        now += Fraction(gap, 1000)
        needs = (1, tokens, images)
        for bucket in exact:
            bucket.refill(now)
        if any(abs(bucket.level - need) < Fraction(1, 10**5) for bucket, need in zip(exact, needs, strict=True)):
            return  # too near for floats to say
        fits = all(bucket.level >= need for bucket, need in zip(exact, needs, strict=True))
        if fits or charged:
            for bucket, need in zip(exact, needs, strict=True):
                bucket.level = max(-bucket.capacity, bucket.level - need)
        admission = ask(server, float(now), Demand(1, images, tokens), str(number))
        assert fits == admission.admitted
        assert [float(bucket.level) for bucket in exact] == pytest.approx(admission.levels, abs=1e-4)


@pytest.mark.parametrize(
    ("limits", "demand", "name", "remaining", "reset"),
    [
        (ServerLimits(rpm=500), Demand(), "requests", "499", "120ms"),
        (ServerLimits(rpm=3000), Demand(), "requests", "2999", "20ms"),
        (ServerLimits(tpm=200_000), Demand(tokens=773), "tokens", "199227", "231ms"),
        (ServerLimits(ipm=50_000), Demand(images=1), "input-images", "49999", "1ms"),
        (ServerLimits(ipm=5), Demand(images=1), "input-images", "4", "12s"),
        (ServerLimits(tpm=30_000), Demand(tokens=29_446), "tokens", "554", "58.892s"),
        (ServerLimits(rpm=1, burst=60), Demand(requests=6), "requests", "54", "6m0s"),
    ],
)
def test_headers_look_like_the_captured_ones(
    limits: ServerLimits, demand: Demand, name: str, remaining: str, reset: str
) -> None:
    """Names, integers and Go durations are those of recorded traffic; reset is the time to full."""
    limit = limits.rpm or limits.tpm or limits.ipm or 0
    expected = (
        (f"x-ratelimit-limit-{name}", f"{limit:.0f}"),
        (f"x-ratelimit-remaining-{name}", remaining),
        (f"x-ratelimit-reset-{name}", reset),
    )
    assert expected == ask(served(limits), 0.0, demand).headers


def test_refusal_says_what_the_real_one_says() -> None:
    """The sixth picture in a minute of five is told the sentence, the fields and the waits of the real thing."""
    server = served(ServerLimits(ipm=5))
    for number in range(5):
        assert 200 == ask(server, 0.0, name=str(number)).status
    refused = ask(server, 0.0, name="6")
    assert ("images", 429, False, 0) == (refused.verdict, refused.status, refused.executed, refused.billed)
    problem = refused.problem
    assert problem is not None
    assert problem.message.startswith(
        "Rate limit reached for the model in organization org-simulated on input-images per min: "
        "Limit 5, Used 5, Requested 1. Please try again in 12s. Visit https://"
    )
    assert ("rate_limit_exceeded", "input-images") == (problem.code, problem.type)
    assert LimitHint("images", 5, 5, 1, owner="org-simulated") == problem.limit
    assert 12.0 == problem.hint == refused.hint
    assert (("retry-after", "12"), ("retry-after-ms", "12000")) == refused.headers[-2:]
    assert {"images": 1} == server.books.rejected == server.books.lines["6", "6"].rejected


@settings(max_examples=80)
@given(limit=st.integers(1, 5000), used=st.integers(0, 5000), need=st.integers(1, 50), at=st.floats(0, 1e5))
def test_hint_is_true(limit: int, used: int, need: int, at: float) -> None:
    """Who comes back after exactly the wait he was told gets in; who comes two milliseconds early does not."""
    server = served(ServerLimits(ipm=limit))
    ask(server, at, Demand(images=min(used, limit)))
    refused = ask(server, at, Demand(images=min(need, limit)), "b")
    if refused.hint is None:
        assert refused.admitted
        return
    if refused.hint > 0.003:
        assert not ask(server, at + refused.hint - 0.002, Demand(images=min(need, limit)), "c").admitted
    assert ask(server, at + refused.hint, Demand(images=min(need, limit)), "d").admitted


def test_larger_than_the_limit_never_goes() -> None:
    """Ten pictures at five a minute are refused however long one waits, and told both numbers."""
    server = served(ServerLimits(ipm=5))
    for now in (0.0, 60.0, 6e6):
        refused = ask(server, now, Demand(images=10), str(now))
        assert refused.problem is not None
        assert LimitHint("images", 5, 0, 10, owner="org-simulated") == refused.problem.limit


def test_most_that_one_request_may_take_is_named() -> None:
    """Where a bucket holds less than a minute's worth, a request above it is told what would have gone."""
    server = served(ServerLimits(ipm=60, burst=1 / 12))
    problem = ask(server, 0.0, Demand(images=6)).problem
    assert problem is not None
    assert LimitHint("images", 5, 0, 6, owner="org-simulated") == problem.limit
    assert ask(server, 0.0, Demand(images=5)).admitted


def test_longest_wait_is_named() -> None:
    """Where several quantities refuse, the one that takes longest is named with its wait."""
    server = served(ServerLimits(rpm=60, tpm=1000, ipm=30))
    assert ask(server, 0.0, Demand(60, 30, 1000)).admitted
    refused = ask(server, 0.0, Demand(1, 1, 500))
    assert ("tokens", 30.0) == (refused.verdict, refused.hint)


def test_concurrency_counts_what_executes() -> None:
    """At most so many calls execute at a time, whoever still waits for them; each end frees one."""
    server = served(ServerLimits(concurrency=2))
    verdicts = [ask(server, now, name=str(now)).verdict for now in (0.0, 0.5, 1.0, 2.0, 2.1, 2.5)]
    assert ["admitted", "admitted", "concurrency", "admitted", "concurrency", "admitted"] == verdicts
    assert [2, 2] == [server.books.peak, *(each["peak"] for each in server.stats()["credentials"].values())]
    server.settle(10.0)
    assert 0 == server.books.in_flight


def test_no_limits_no_headers() -> None:
    """Without limits nothing is refused and nothing is told."""
    server = served()
    answers = [ask(server, 0.0, name=str(number)) for number in range(500)]
    assert {("admitted", ())} == {(answer.verdict, answer.headers) for answer in answers}
    assert 500 == server.books.peak


def test_silence_can_be_asked_for() -> None:
    """Without headers and hints a refusal says only which limit it met."""
    server = Server(ServerSettings(ServerLimits(rpm=1), headers=False, hints=False), rng=Random(1))
    assert () == ask(server).headers
    refused = ask(server)
    assert ((), None) == (refused.headers, refused.hint)
    assert refused.problem is not None
    assert "try again" not in refused.problem.message


def test_credentials_have_buckets_of_their_own() -> None:
    """What one key takes another does not lack; each can be given other limits while it runs."""
    server = served(ServerLimits(rpm=2))
    for key in ("one", "two"):
        for number in range(2):
            assert server.admit(key, PICTURE, 0.0, identity=key, call=str(number)).admitted
    server.set_limits("one", ServerLimits(rpm=60), 0.0)
    assert not server.admit("one", PICTURE, 0.5, identity="x", call="x").admitted
    assert server.admit("one", PICTURE, 1.0, identity="x", call="x").admitted
    assert not server.admit("two", PICTURE, 1.0, identity="x", call="x").admitted


def test_lowered_limit_cuts_the_level() -> None:
    """A limit that is lowered leaves at most what the new bucket holds."""
    server = served(ServerLimits(rpm=100))
    ask(server)
    server.set_limits("key", ServerLimits(rpm=3), 0.0)
    assert [True, True, True, False] == [ask(server, 0.0, name=str(number)).admitted for number in range(4)]


def test_time_that_runs_backwards_is_clamped() -> None:
    """An early clock gives no tokens back and takes none."""
    server = served(ServerLimits(rpm=1))
    assert ask(server, 100.0).admitted
    assert not ask(server, 50.0).admitted
    assert not ask(server, 130.0).admitted
    assert ask(server, 160.0).admitted


def test_work_never_ends_before_it_began() -> None:
    """What arrives by an early clock executes from the latest moment known."""
    server = served(ServerLimits(concurrency=1))
    server.settle(102.0)
    assert ask(server, 50.0).admitted
    assert not ask(server, 103.0).admitted
    assert ask(server, 104.0).admitted


# Standing


def test_standing_of_a_credential() -> None:
    """No key and a revoked key are told 401, a spent one 429 insufficient_quota; none of them is executed."""
    server = served()
    assert 401 == server.admit("", PICTURE, 0.0, identity="a", call="a").status
    server.set_credit("key", 14)
    codes = []
    for name in "abc":
        problem = ask(server, name=name, cost=7).problem
        codes.append(problem and problem.code)
    assert [None, None, "insufficient_quota"] == codes
    server.revoke("key")
    refused = ask(server, name="d")
    assert (401, "credential") == (refused.status, refused.verdict)
    assert {"credential": 2, "credit": 1} == server.books.rejected
    assert (2, 14) == (server.books.executed, server.books.billed)


# Faults


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_does_what_its_row_says(name: str) -> None:
    """Whether a fault executes, bills, takes quota, answers and ends the connection is what its row in FAULTS says."""
    fault = FAULTS[name]
    server = served(ServerLimits(rpm=60))
    server.inject(name, "")
    streams = Asked(streams=True)
    admission = server.admit("key", PICTURE, 0.0, identity="a", call="a", cost=7, asked=streams)
    taken = 60 - server._accounts["key"].buckets[0].level if "key" in server._accounts else 0
    assert (1 if fault.admitted else 0) == taken
    assert (fault.status, fault.reset) == (admission.status, admission.reset)
    assert fault.executed in (None, admission.executed)
    assert (7 if admission.executed else 0) == admission.billed == server.books.billed
    assert admission.executed == (server.books.executed == 1)
    assert (math.inf if fault.stalls else 2.0 if fault.slow else 0.01) == admission.delay
    assert (1 if fault.slow else 0) == server.books.in_flight
    assert {name: 1} == server.books.faults
    assert "" == ask(server, name="b").fault


def test_a_fault_of_a_call_that_was_refused_did_not_happen() -> None:
    """Faults, refusals and pictures add up to what was received."""
    server = served(ServerLimits(ipm=2))
    server.inject("500", "500", "500", "reset")
    for number in range(4):
        ask(server, name=str(number))
    assert ({"500": 2}, {"images": 2}, 0) == (server.books.faults, server.books.rejected, server.books.executed)


def test_moderation_knows_the_word() -> None:
    """A prompt with the flagged word is refused, takes quota, and is not billed."""
    server = served(ServerLimits(ipm=5))
    planned = server.reply(post(body_of(ImageRequest(prompt="Forbidden fruit", model="gpt-image-2"))), 0.0)
    problem = read(planned)
    assert isinstance(problem, Problem)
    assert ("moderation_blocked", "input") == (problem.code, problem.stage)
    assert ({"moderation": 1}, 0, (4.0,)) == (server.books.rejected, server.books.billed, server.levels("key", 0.0))


def test_bad_gateway_is_ambiguous() -> None:
    """Some 502s hide a picture that was made and billed, some do not, and the reply is the same."""
    server = Server(ServerSettings(latency=STEADY, faults=(("502", 1.0),)), rng=Random(3))
    answers = [ask(server, name=str(number)) for number in range(200)]
    executed = sum(answer.executed for answer in answers)
    assert 60 < executed < 140
    assert executed * 7 == server.books.billed
    assert 1 == len({(answer.status, answer.headers, answer.problem) for answer in answers})


def test_faults_come_as_often_as_asked() -> None:
    """Probabilities are shares of all calls, each fault in its own."""
    server = Server(ServerSettings(faults=parse_faults("reset=0.1, 500=0.3,timeout=0.05")), rng=Random(5))
    for number in range(10_000):
        ask(server, name=str(number))
    shares = {name: round(count / 10_000, 2) for name, count in server.books.faults.items()}
    assert shares == {
        "reset": pytest.approx(0.1, abs=0.02),
        "500": pytest.approx(0.3, abs=0.02),
        "stall": pytest.approx(0.05, abs=0.02),
    }


@pytest.mark.parametrize(
    "text", ["nonsense=0.1", "500", "500=x", "500=1.5", "500=-1", "500=0.7,reset=0.7", "=1", "500=nan"]
)
def test_faults_that_cannot_be(text: str) -> None:
    """A fault nobody knows, or a share that is none, is refused by name."""
    with pytest.raises(ValueError, match=r"fault|probabilit"):
        parse_faults(text)
    assert () == parse_faults("")


def test_qualities_take_their_time() -> None:
    """A quality with a median of its own takes that long."""
    server = served(latency=Latency(1.0, 0.0, (("high", 9.0),)))
    delays = [
        server.admit("key", PICTURE, 0.0, identity="a", call="a", asked=Asked(quality=quality)).delay
        for quality in ("low", "high")
    ]
    assert [1.0, 9.0] == delays


def test_latency_is_lognormal() -> None:
    """Half of the calls take less than the median, and the logarithm spreads by sigma."""
    server = served(latency=Latency(3.0, 0.5))
    logs = [math.log(ask(server, name=str(number)).delay / 3.0) for number in range(4000)]
    mean = sum(logs) / len(logs)
    assert 0.0 == pytest.approx(mean, abs=0.03)
    assert 0.5 == pytest.approx(math.sqrt(sum((each - mean) ** 2 for each in logs) / len(logs)), abs=0.03)


# Books

CALLS = st.lists(
    st.tuples(
        st.sampled_from(["one", "two", ""]),
        st.integers(0, 3000),
        st.integers(1, 4),
        st.integers(0, 9),
        st.sampled_from(["", "", *FAULTS]),
    ),
    max_size=80,
)


@settings(max_examples=120)
@given(calls=CALLS)
def test_books_add_up(calls: list[tuple[str, int, int, int, str]]) -> None:
    """Totals, lines, credentials and answers tell the same story, and at rest nothing executes."""
    server = served(ServerLimits(rpm=40, ipm=30, concurrency=3))
    now, executed, billed = 0.0, 0, 0
    for number, (key, gap, images, name, fault) in enumerate(calls):
        now += gap / 1000
        server.inject(fault)
        cost = images * 10 + name
        answer = server.admit(key, Demand(1, images), now, identity=str(name), call=str(number % 4), cost=cost)
        executed += answer.executed
        billed += answer.billed
        assert (cost if answer.executed else 0) == answer.billed
    stats = server.stats(now + 1e9)
    requests = stats["requests"].values()
    credentials = stats["credentials"].values()
    assert len(calls) == stats["received"] == sum(each["received"] for each in requests)
    assert executed == stats["executed"] == sum(each["executed"] for each in requests)
    assert executed == sum(each["executed"] for each in credentials)
    assert executed == sum(sum(each["calls"].values()) for each in requests)
    assert billed == stats["billed"] == sum(each["billed"] for each in requests)
    assert billed == sum(each["billed"] for each in credentials)
    assert stats["repeated"] == {
        name: each["executed"] for name, each in stats["requests"].items() if each["executed"] > 1
    }
    assert sum(stats["rejected"].values()) == sum(sum(each["rejected"].values()) for each in requests)
    assert (0, [0] * len(credentials)) == (stats["in_flight"], [each["in_flight"] for each in credentials])
    assert all(each["peak"] <= 3 for each in credentials)
    assert stats["peak"] <= 6


def test_a_request_bought_twice_is_seen() -> None:
    """The same body under two call ids, or twice under one, stands among the repeated."""
    server = served()
    for identity, call in (("a", "1"), ("a", "2"), ("b", "1"), ("c", "1"), ("c", "1")):
        server.admit("key", PICTURE, 0.0, identity=identity, call=call)
    assert {"a": 2, "c": 2} == server.books.repeated()
    assert {"1": 1, "2": 1} == server.books.requests()["a"]["calls"]


def test_secrets_are_not_in_the_stats() -> None:
    """A credential is shown by its fingerprint."""
    server = served()
    server.admit("sk-secret-value", PICTURE, 0.0, identity="a", call="a")
    assert "secret" not in str(server.stats())


def test_same_seed_same_history() -> None:
    """Nothing but the arguments and the seed decides."""
    runs = []
    for _ in range(2):
        config = ServerSettings(ServerLimits(rpm=300), faults=parse_faults("reset=0.1,502=0.1"))
        server = Server(config, rng=Random(11))
        runs.append([ask(server, number / 10, name=str(number)) for number in range(300)])
    assert runs[0] == runs[1]


def test_faster_keeps_the_bucket() -> None:
    """A provider ten times faster refills ten times sooner, holds as much, and answers in a tenth of the time."""
    slow = ServerSettings(ServerLimits(rpm=6, concurrency=9, burst=0.5), Latency(3.0, 0.0, (("high", 9.0),)))
    fast = slow.faster(10.0)
    assert ServerLimits(rpm=60, concurrency=9, burst=0.05, day_burst=0.1) == fast.limits
    assert Latency(0.3, 0.0, (("high", 0.9),)) == fast.latency
    with pytest.raises(ValueError, match="time scale"):
        slow.faster(0.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Latency(math.nan), "latency must be a number from 0 to 1,000,000,000 seconds, not nan"),
        (lambda: Latency(-1.0), "latency must be a number from 0"),
        (lambda: Latency(math.inf), "latency must be a number from 0"),
        (lambda: Latency(sigma=-1.0), "sigma must be a number from 0 to 10, not -1.0"),
        (lambda: Latency(sigma=math.nan), "sigma must be a number from 0"),
        (lambda: Latency(sigma=1000.0), "sigma must be a number from 0"),
        (lambda: Latency(medians=(("high", math.nan),)), "latency of high must be a number from 0"),
        (lambda: ServerSettings(refusal_delay=math.nan), "refusal_delay must be a number from 0"),
        (lambda: ServerSettings(picture_bytes=-1), "picture_bytes must be at least 0, not -1"),
        (lambda: ServerSettings(epoch=math.inf), "epoch must be a finite number of Unix seconds, not inf"),
        (lambda: ServerSettings(faults=(("500", math.nan),)), "the probability of '500' must be between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], object], said: str) -> None:
    """What would break the provider later, in the middle of a call, is refused at once and by name."""
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


@pytest.mark.parametrize(
    "wrong", [{"rpm": 0.0}, {"tpm": -1.0}, {"ipm": math.nan}, {"burst": math.inf}, {"concurrency": 0}]
)
def test_limits_that_cannot_be(wrong: dict[str, float]) -> None:
    """A limit of nothing is a mistake, and refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ServerLimits(**wrong)  # type: ignore[arg-type]


# The bytes door

REQUESTS = st.builds(
    ImageRequest,
    prompt=st.sampled_from(["a lake", "a forbidden lake", "ein See \u2014 \u6e56", "x" * 500]),
    model=st.sampled_from(["gpt-image-2", "gpt-image-2.5-flare", "gpt-image-1.5", "nobody-knows-me"]),
    size=st.sampled_from([None, "auto", "1024x1024", "1536x1024"]),
    quality=st.sampled_from([None, "low", "high"]),
    n=st.integers(1, 3),
)

SCRIPT = st.lists(st.tuples(REQUESTS, st.sampled_from(["one", "two", ""]), st.integers(0, 5000)), max_size=25)


def body_of(request: ImageRequest) -> bytes:
    """A request as JSON, as any client would say it."""
    fields = {"model": request.model, "prompt": request.prompt, "n": request.n}
    fields |= {name: value for name, value in (("size", request.size), ("quality", request.quality)) if value}
    return json.dumps(fields).encode()


def post(body: bytes, key: str = "key", call: str = "1", path: str = "/images/generations") -> HttpCall:
    """An HTTP call of the credential `key`."""
    headers = (("Authorization", f"Bearer {key}"), ("content-type", "application/json"), ("X-Penstock-Call", call))
    return HttpCall("POST", path, headers if key else headers[1:], body)


def read(planned: Planned) -> Reading:
    """What a client reads from an answer, with the bytes that it is sent."""
    reply = planned.reply
    assert reply is not None
    told = reader(
        "images.generate", MemorySink(), status=reply.status, content_type=dict(reply.headers)["content-type"]
    )
    told.feed(reply.body[: planned.cut])
    return told.close()


@settings(max_examples=60, deadline=None)
@given(script=SCRIPT, seed=st.integers(0, 99), charged=st.booleans())
def test_both_doors_decide_alike(script: list[tuple[ImageRequest, str, int]], seed: int, *, charged: bool) -> None:
    """The same script in figures and in bytes has the same verdicts, delays, levels, headers and books."""
    config = ServerSettings(
        ServerLimits(rpm=20, tpm=40_000, ipm=12, concurrency=4, burst=0.5),
        Latency(2.0, 0.4, (("high", 8.0),)),
        faults=tuple((name, 0.04) for name in FAULTS),
        charged_refusals=charged,
    )
    figures, octets = (Server(config, rng=Random(seed)) for _ in range(2))
    now = 0.0
    for number, (request, key, gap) in enumerate(script):
        now += gap / 1000
        body, call = body_of(request), str(number % 5)
        planned = octets.reply(post(body, key, call), now)
        admission = figures.admit(
            key,
            case_of(request).demand(),
            now,
            identity=sha256(body).hexdigest(),
            call=call,
            cost=case_of(request).cost(now),
            asked=Asked(request.model, request.quality or "", flagged="forbidden" in request.prompt),
        )
        assert admission == planned.admission
        assert (admission.delay, admission.reset) == (planned.delay, planned.reset)
        if planned.reply is not None:
            assert admission.status == planned.reply.status
            assert set(admission.headers) <= set(planned.reply.headers)
    assert figures.books == octets.books
    for key in ("one", "two"):
        assert figures.levels(key, now) == octets.levels(key, now)
    assert figures.stats(now + 1e6) == octets.stats(now + 1e6)


@pytest.mark.parametrize(
    "name", ["500", "502", "503", "moderation", "tokens", "requests", "images", "concurrency", "key"]
)
def test_problem_is_what_a_client_reads(name: str) -> None:
    """The problem of the numeric door is what a reader makes of the bytes."""
    limits = {"tokens": ServerLimits(tpm=9), "requests": ServerLimits(rpm=1), "images": ServerLimits(ipm=1)}
    server = served(limits.get(name, ServerLimits(concurrency=1 if name == "concurrency" else None)))
    body = body_of(ImageRequest(prompt="a lake", model="gpt-image-2", size="1024x1024", quality="low"))
    server.inject(name if name in FAULTS else "")
    first = server.reply(post(body), 0.0)
    planned = (
        first if name in FAULTS or name == "tokens" else server.reply(post(body, "" if name == "key" else "key"), 0.0)
    )
    assert planned.admission is not None
    problem = planned.admission.problem
    assert problem is not None
    reading = read(planned)
    assert isinstance(reading, Problem)
    if problem.own:
        assert problem == reading
    else:
        assert (False, None, None) == (reading.own, reading.code, reading.limit)


def test_pictures_arrive_as_paid() -> None:
    """Who asks for three pictures gets three different ones, of the size asked, billed by the catalog's prices."""
    server = served()
    request = ImageRequest(prompt="a lake", model="gpt-image-2", size="1536x1024", quality="low", n=3)
    planned = server.reply(post(body_of(request)), 0.0)
    reading = read(planned)
    assert isinstance(reading, Success)
    assert ImageCase(request).usage() == reading.usage
    assert [("png", "1536x1024")] * 3 == [(part.format, part.size) for part in reading.parts]
    assert 3 * 158 * 30_000_000 + (8 + 1) * 5_000_000 == server.books.billed
    assert 3 == server.books.pictures
    assert planned.reply is not None
    data = [each["b64_json"] for each in json.loads(planned.reply.body)["data"]]
    assert 3 == len(set(data))


def test_truncated_reply_cannot_be_read() -> None:
    """A reply that is cut off is paid, and unreadable."""
    server = served()
    server.inject("truncated")
    planned = server.reply(post(body_of(ImageRequest(prompt="a", model="gpt-image-2"))), 0.0)
    assert isinstance(read(planned), Malformed)
    assert planned.reset
    assert 1 == server.books.executed


@pytest.mark.parametrize(
    ("body", "path", "status", "code", "param"),
    [
        (b"{", "/images/generations", 400, None, None),
        (b'{"prompt":"a"}', "/images/generations", 400, "missing_required_parameter", "model"),
        (b'{"model":"gpt-image-2","prompt":"a","steps":3}', "/images/generations", 400, "unknown_parameter", "steps"),
        (b'{"model":"who","prompt":"a","size":"9x"}', "/images/generations", 400, "invalid_value", "size"),
        (b'{"model":"gone","prompt":"a"}', "/images/generations", 404, "model_not_found", "model"),
        (b"{}", "/completions", 404, "unknown_url", None),
    ],
)
def test_requests_that_cannot_be_done(body: bytes, path: str, status: int, code: str | None, param: str | None) -> None:
    """What the API refuses is refused with its codes, costs a request of the quota, and is never executed."""
    config = ServerSettings(ServerLimits(rpm=10), models=("gpt-image-2", "who"))
    server = Server(config, rng=Random(1))
    planned = server.reply(post(body, path=path), 0.0)
    assert planned.reply is not None
    error = json.loads(planned.reply.body)["error"]
    assert (status, code, param) == (planned.reply.status, error["code"], error["param"])
    assert "9" == dict(planned.reply.headers)["x-ratelimit-remaining-requests"]
    assert (0, {"invalid": 1}) == (server.books.executed, server.books.rejected)
    assert 401 == (server.reply(post(body, "", path=path), 0.0).reply or planned.reply).status


def test_models_are_listed() -> None:
    """`GET /models` names the catalog's models, or those that the settings name."""
    call = HttpCall("GET", "/models")
    listed = served().reply(call, 0.0).reply
    assert listed is not None
    assert set(names()) == {each["id"] for each in json.loads(listed.body)["data"]}
