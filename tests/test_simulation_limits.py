"""Limits of the simulated provider beyond a minute's: days, walls, what headers and refusals keep quiet about."""

from __future__ import annotations

from random import Random

import pytest

from penstock.admission.headers import Told, read
from penstock.readings import LimitHint
from penstock.simulation.server import Admission, Latency, Server, ServerLimits, ServerSettings, Wall
from penstock.work import Demand

INSTANT = Latency(0.0, 0.0)


def asked(server: Server, now: float, demand: Demand | None = None) -> Admission:
    """One request, nothing special about it."""
    number = str(server.books.received)
    return server.admit("key", demand or Demand(images=1), now, identity=number, call=number)


def burst(server: Server, now: float, count: int) -> list[int]:
    """The statuses of so many requests at once."""
    return [asked(server, now).status for _ in range(count)]


def test_a_wall_refuses_what_the_minute_has_room_for() -> None:
    """A bucket of a second under a minute's limit: its sixth request at once is refused, and a second later five go."""
    walls = (Wall("requests", 5, 1.0),)
    server = Server(ServerSettings(ServerLimits(rpm=300, walls=walls), INSTANT), rng=Random(1))
    assert [200] * 5 + [429] == burst(server, 0.0, 6)
    assert [200] * 5 + [429] == burst(server, 1.0, 6)
    assert {"requests": 2} == server.books.rejected


def test_nothing_tells_of_a_wall() -> None:
    """Headers speak of the minute, which has room; the refusal names no limit, and its wait is the wall's."""
    server = Server(ServerSettings(ServerLimits(rpm=300, walls=(Wall("requests", 1, 10.0),)), INSTANT), rng=Random(1))
    asked(server, 0.0)
    refused = asked(server, 4.0)
    problem = refused.problem
    assert problem is not None
    assert (None, 6.0) == (problem.limit, refused.hint)
    assert ("Too many requests. Please try again in 6s.", "rate_limit_error") == (problem.message, problem.type)
    report = read(refused.headers, 0.0)
    assert report is not None
    assert report.requests is not None
    assert (300.0, 300.0) == (report.requests.limit, report.requests.remaining)


def test_a_limit_a_day_is_named_with_its_window() -> None:
    """A day's limit holds beside the minute's, refills by 86,400 seconds, and a refusal says which it was."""
    server = Server(ServerSettings(ServerLimits(rpm=60, rpd=10), INSTANT), rng=Random(1))
    assert [200] * 10 == burst(server, 0.0, 10)
    refused = asked(server, 20.0)
    problem = refused.problem
    assert problem is not None
    assert (
        " on requests per day (RPD): Limit 10, Used 10, Requested 1. Please try again in 2h23m40s. " in problem.message
    )
    assert LimitHint("requests", 10, 10, 1, 86_400.0, "org-simulated") == problem.limit
    assert 8620.0 == refused.hint
    assert [200, 429] == burst(server, 8640.0, 2)


@pytest.mark.parametrize(
    ("limits", "where"),
    [(ServerLimits(tpd=3), "tokens per day (TPD)"), (ServerLimits(ipd=3), "input-images per day")],
)
def test_days_of_tokens_and_images(limits: ServerLimits, where: str) -> None:
    """The other two quantities have days, too."""
    server = Server(ServerSettings(limits, INSTANT), rng=Random(1))
    demand = Demand(1, 3, 3)
    assert 200 == asked(server, 0.0, demand).status
    problem = asked(server, 0.0, demand).problem
    assert problem is not None
    assert f" on {where}: Limit 3, Used 3, Requested 3." in problem.message


def test_headers_of_the_day() -> None:
    """With `day_headers` a quantity with a limit a day tells of that one (Groq's requests), the others of theirs."""
    limits = ServerLimits(rpm=30, tpm=6000, rpd=14_400)
    server = Server(ServerSettings(limits, INSTANT, day_headers=True), rng=Random(1))
    told = dict(asked(server, 0.0, Demand(tokens=600)).headers)
    assert ("14400", "14399", "6s") == tuple(told[f"x-ratelimit-{word}-requests"] for word in WORDS)
    assert ("6000", "5400", "6s") == tuple(told[f"x-ratelimit-{word}-tokens"] for word in WORDS)


WORDS = ("limit", "remaining", "reset")


def test_headers_of_some_quantities() -> None:
    """`told` says of which quantities headers speak; the limits of the others hold all the same."""
    server = Server(ServerSettings(ServerLimits(rpm=1, ipm=5), INSTANT, told=("images",)), rng=Random(1))
    report = read(asked(server, 0.0).headers, 0.0)
    assert report is not None
    assert (None, Told(5.0, 4.0, 12.0)) == (report.requests, report.images)
    assert 429 == asked(server, 0.0).status


@pytest.mark.parametrize("hints", [True, False])
def test_refusals_without_names(*, hints: bool) -> None:
    """With `names=False` a refusal says that there were too many requests, and at most when to come back."""
    server = Server(
        ServerSettings(ServerLimits(ipm=60), INSTANT, headers=False, hints=hints, names=False), rng=Random(1)
    )
    refused = [asked(server, 0.0) for _ in range(61)][-1]
    problem = refused.problem
    assert problem is not None
    assert ("rate_limit_exceeded", None) == (problem.code, problem.limit)
    assert ("image" in problem.message, "1s" in problem.message) == (False, hints)
    assert (1.0 if hints else None) == refused.hint
    assert hints == bool(refused.headers)


def test_late_refusals() -> None:
    """A refusal comes up to `refusal_spread` later than other replies that took no work, each by a draw of its own."""
    settings = ServerSettings(ServerLimits(ipm=1), INSTANT, refusal_delay=0.01, refusal_spread=0.2)
    server = Server(settings, rng=Random(1))
    asked(server, 0.0)
    delays = [asked(server, 0.0).delay for _ in range(200)]
    assert 0.01 <= min(delays) < 0.02
    assert 0.2 < max(delays) <= 0.21
    assert 200 == len(set(delays))


def test_other_limits_keep_levels_of_days_and_walls() -> None:
    """What is gone of a day, and of a wall that stays, is gone under new limits as well."""
    wall = Wall("requests", 100, 3600.0)
    server = Server(ServerSettings(ServerLimits(rpm=600, rpd=50, walls=(wall,)), INSTANT), rng=Random(1))
    burst(server, 0.0, 50)
    server.set_limits("key", ServerLimits(rpm=60, rpd=100, walls=(wall,)), 0.0)
    assert 429 == asked(server, 0.0).status
    server.set_limits("key", ServerLimits(rpm=600, walls=(wall,)), 0.0)
    assert [200] * 50 + [429] == burst(server, 0.0, 51)


def test_faster_keeps_days_and_walls() -> None:
    """By a faster clock days and walls hold as much and refill sooner."""
    slow = ServerLimits(rpd=100, tpd=7, ipd=None, walls=(Wall("images", 5, 10.0),))
    assert ServerLimits(burst=0.1, rpd=1000, tpd=70, day_burst=0.1, walls=(Wall("images", 5, 1.0),)) == slow.faster(
        10.0
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Wall("pictures", 1, 1.0), "a wall is on one of requests, tokens, images, not on 'pictures'"),
        (lambda: Wall("images", 0, 1.0), "the amount of a wall must be a finite number above 0, not 0"),
        (lambda: ServerLimits(rpd=-1), "rpd must be a finite number above 0, not -1"),
        (lambda: ServerSettings(told=("pictures",)), "headers tell of requests, tokens, images, not of 'pictures'"),
        (lambda: ServerSettings(refusal_spread=-1.0), "refusal_spread must be a number from 0"),
    ],
)
def test_settings_that_mean_nothing(make: object, words: str) -> None:
    """Each is refused with what is wrong."""
    assert callable(make)
    with pytest.raises(ValueError, match=words):
        make()


def test_what_is_refused_before_the_limits_takes_none() -> None:
    """A provider that is busy answers 503 in its own words, says nothing of limits, and takes no quota."""
    server = Server(ServerSettings(ServerLimits(rpm=60), INSTANT), rng=Random(1))
    server.inject("busy", "503")
    busy, taken = asked(server, 0.0), asked(server, 0.0)
    assert (503, (), False, False) == (busy.status, busy.headers, busy.admitted, busy.executed)
    assert busy.problem is taken.problem
    assert (503, (59.0,)) == (taken.status, server.levels("key", 0.0))
    assert {"busy": 1, "503": 1} == server.books.faults
