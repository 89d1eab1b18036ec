"""Judgements row by row, and the waits that replies ask for."""

from __future__ import annotations

from itertools import product
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Retry
from penstock.events import Failed, Responded
from penstock.ids import AttemptId, Ref
from penstock.judging.backoff import asked, backoff, retry_after
from penstock.judging.judge import STATUSES, TABLE, WORDS, judge
from penstock.judging.judgement import Closes, Judgement, Next
from penstock.readings import Kind, LimitHint, Malformed, Part, Problem, Reached, Reading, Success, Usage, Verdict
from penstock.three import Three

NO, MAYBE, YES = Three.NO, Three.MAYBE, Three.YES
DIALECTS = ("openai", "openrouter", "local", "somebody else's")
HINT = LimitHint("images", 5.0, 5.0, 1.0)
OVER = LimitHint("images", 5.0, None, 10.0)
GATEWAYS = (408, 502, 504, 520, 522, 524, 527)
UNIX = 1_784_000_000.0


def replied(status: int, reading: Reading, *headers: tuple[str, str]) -> Responded:
    """A reply as the driver reports it."""
    return Responded(AttemptId(1), status, headers, reading)


def axes(verdict: Judgement) -> tuple[Three, Three, Three, Next]:
    """The four axes."""
    return (verdict.executed, verdict.billed, verdict.quota, verdict.next)


@pytest.mark.parametrize(
    ("status", "problem", "kind", "expected", "closes"),
    [
        (429, Problem("rate_limit_exceeded", "requests"), "rate_limited", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (429, Problem(None, "server_error"), "rate_limited", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (429, Problem(limit=HINT), "rate_limited", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (429, Problem(own=False), "rate_limited", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (429, Problem("slow_down", "rate_limit_error"), "slow_down", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (503, Problem("slow_down"), "slow_down", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (500, Problem(None, "server_error"), "server_error", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (503, Problem("server_is_overloaded"), "overloaded", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (529, Problem(None, "overloaded_error"), "overloaded", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (409, Problem(), "conflict", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (401, Problem("invalid_api_key"), "credential", (NO, NO, NO, Next.LANE), Closes.CREDENTIAL),
        (401, Problem(None, "invalid_request_error"), "credential", (NO, NO, NO, Next.LANE), Closes.CREDENTIAL),
        (429, Problem("insufficient_quota"), "quota_exhausted", (NO, NO, NO, Next.LANE), Closes.LANE),
        (400, Problem("billing_hard_limit_reached"), "quota_exhausted", (NO, NO, NO, Next.LANE), Closes.LANE),
        (429, Problem("project_spend_limit_exceeded", "x"), "quota_exhausted", (NO, NO, NO, Next.LANE), Closes.LANE),
        (402, Problem("402"), "quota_exhausted", (NO, NO, NO, Next.LANE), Closes.LANE),
        (403, Problem("unsupported_country"), "forbidden", (NO, NO, NO, Next.LANE), Closes.LANE),
        (404, Problem("model_not_found"), "model_not_found", (NO, NO, NO, Next.LANE), Closes.LANE),
        (404, Problem(None, "invalid_request_error"), "invalid", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (400, Problem("unknown_parameter"), "invalid", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (413, Problem(own=False), "invalid", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (404, Problem(own=False), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (405, Problem(own=False), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (404, Problem(message="Not Found"), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (404, Problem(None, "x", "Invalid URL (POST /)"), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (404, Problem("y", "x", "Invalid URL (POST /)"), "invalid", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (404, Problem("unknown_url", "x"), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (404, Malformed("not JSON"), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (404, Problem("DeploymentNotFound"), "model_not_found", (NO, NO, NO, Next.LANE), Closes.LANE),
        (407, Problem(own=False), "blocked", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (421, Malformed("not JSON"), "conflict", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (425, Problem(own=False), "conflict", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (426, Malformed("not JSON"), "blocked", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (451, Problem(own=False), "blocked", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (308, Malformed("not JSON"), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (302, Success(parts=(Part(0, Ref("r")),)), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (403, Problem(own=False), "blocked", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (301, Problem(own=False), "no_endpoint", (NO, NO, NO, Next.NEVER), Closes.NOTHING),
        (422, Problem(), "invalid", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (429, Problem("rate_limit_exceeded", limit=OVER), "over_limit", (NO, NO, YES, Next.ADAPT), Closes.NOTHING),
        (400, Problem("moderation_blocked"), "moderation", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (502, Problem("moderation_blocked"), "moderation", (NO, NO, YES, Next.NEVER), Closes.NOTHING),
        (500, Problem(own=False), "uncertain", (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS), Closes.NOTHING),
        (503, Malformed("not JSON", "<html>"), "uncertain", (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS), Closes.NOTHING),
        (200, Malformed("cut off"), "unreadable", (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS), Closes.NOTHING),
        (200, Success(Usage()), "unreadable", (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS), Closes.NOTHING),
        (200, Success(parts=(Part(0, Ref("r")),)), "ok", (YES, YES, YES, Next.NEVER), Closes.NOTHING),
        (200, Success(answer=Verdict(passed=True)), "ok", (YES, YES, YES, Next.NEVER), Closes.NOTHING),
        (200, Problem(None, "server_error"), "uncertain", (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS), Closes.NOTHING),
        (200, Problem("rate_limit_exceeded"), "rate_limited", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (200, Problem("429"), "rate_limited", (NO, NO, YES, Next.WAIT), Closes.NOTHING),
        (302, Problem(), "uncertain", (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS), Closes.NOTHING),
    ],
)
def test_the_rows_of_the_contract(
    status: int, problem: Reading, kind: str, expected: tuple[Three, Three, Three, Next], closes: Closes
) -> None:
    """Each kind of reply is judged as the contract's table says."""
    verdict = judge(replied(status, problem), "openai")
    assert (kind, expected, closes) == (verdict.kind, axes(verdict), verdict.closes)


@pytest.mark.parametrize("status", GATEWAYS)
@pytest.mark.parametrize(
    "reading", [Problem("server_error"), Problem(), Problem(None, "overloaded_error"), Malformed("html")]
)
def test_a_gateway_proves_nothing(status: int, reading: Reading) -> None:
    """At a gateway's status even the provider's own "server_error" leaves open whether it ran."""
    assert (MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS) == axes(judge(replied(status, reading), "openai"))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("reached", list(Reached))
@pytest.mark.parametrize("kind", list(Kind))
def test_failures_are_judged_by_how_far_they_got(kind: Kind, reached: Reached, dialect: str) -> None:
    """Before the first byte: nothing happened, go again. After: abort and size end it, the rest is ambiguous."""
    verdict = judge(Failed(AttemptId(1), kind, reached), dialect)
    if reached in {Reached.NOTHING, Reached.CONNECTED}:
        expected: tuple[object, ...] = ("unsent", NO, NO, Next.NOW)
    elif kind is Kind.TOO_LARGE:
        expected = ("too_large", YES, NO if dialect == "local" else YES, Next.NEVER)
    else:
        billed = NO if dialect in {"local", "openrouter"} else MAYBE
        aborted = kind is Kind.ABORTED
        expected = ("aborted" if aborted else "uncertain", MAYBE, billed, Next.NEVER if aborted else Next.AMBIGUOUS)
    assert expected == (verdict.kind, verdict.executed, verdict.billed, verdict.next)


STATUS = sorted({200, 302, 400, 404, 413, 422, 451, 501, 599, *STATUSES, *GATEWAYS})


def test_the_whole_product_keeps_the_laws() -> None:
    """Over all of them: what is not executed is not billed, and where money is at stake no retry is free."""
    words = (None, "some_new_code", *WORDS)
    types = (None, "insufficient_quota", "server_error", "rate_limit_error", "invalid_request_error")
    stages = ((None, None), (None, Usage(1)), ("output", None), ("unknown", None))
    for status, code, kind, own, limit, (stage, usage), dialect in product(
        STATUS, words, types, (True, False), (None, OVER), stages, DIALECTS[:3]
    ):
        problem = Problem(code, kind, limit=limit, own=own, stage=stage, usage=usage)
        verdict = judge(replied(status, problem), dialect)
        case = (status, problem, dialect, verdict)
        assert verdict.billed <= verdict.executed, case
        assert (verdict.executed is MAYBE) == (verdict.next is Next.AMBIGUOUS), case
        assert (verdict.closes is not Closes.NOTHING) == (verdict.next is Next.LANE), case
        assert dialect != "local" or verdict.billed is NO, case
        assert verdict.rate <= (verdict.next in {Next.WAIT, Next.ADAPT}), case
        if own and code in WORDS:
            assert judge(replied(status, Problem(code, limit=limit, stage=stage, usage=usage)), dialect) == verdict, (
                case
            )


def test_every_class_is_in_every_dialect() -> None:
    """No word or status names a class that a dialect's table lacks, and tables differ in billing alone."""
    for table in TABLE.values():
        assert set(WORDS.values()) | set(STATUSES.values()) <= set(table)
        for kind, row in table.items():
            told = TABLE["openai"][kind]
            assert (told.executed, told.quota, told.next, told.closes) == (
                row.executed,
                row.quota,
                row.next,
                row.closes,
            )


@pytest.mark.parametrize(
    ("problem", "dialect", "billed"),
    [
        (Problem("moderation_blocked", stage="output"), "openai", MAYBE),
        (Problem("moderation_blocked", stage="unknown"), "openai", MAYBE),
        (Problem("moderation_blocked", stage="unknown"), "local", NO),
        (Problem("moderation_blocked", stage="unknown", usage=Usage(1)), "openai", YES),
        (Problem("moderation_blocked", stage="output", usage=Usage(1)), "openai", YES),
        (Problem("moderation_blocked", usage=Usage(1)), "openai", YES),
        (Problem("moderation_blocked", stage="output", usage=Usage(1)), "openrouter", NO),
    ],
)
def test_a_refused_picture_was_made(problem: Problem, dialect: str, billed: Three) -> None:
    """A refusal of the output, or of nobody knows what, is taken for executed; billed as its usage says, else maybe."""
    verdict = judge(replied(400, problem), dialect)
    assert ("moderation_output", YES, billed, Next.NEVER) == (
        verdict.kind,
        verdict.executed,
        verdict.billed,
        verdict.next,
    )


def test_a_refusal_inside_a_200_may_come_after_the_picture() -> None:
    """A stream may have run before it; only who says that it was the prompt is believed."""
    for stage, kind, billed in ((None, "moderation_output", MAYBE), ("input", "moderation", NO)):
        verdict = judge(replied(200, Problem("moderation_blocked", stage=stage)), "openai")
        assert (kind, billed, Next.NEVER) == (verdict.kind, verdict.billed, verdict.next)


def test_only_the_provider_blames_the_request() -> None:
    """What it says itself of the request counts for every attempt at it; a proxy's refusal, or any other, for one."""
    blaming = (Problem("invalid_value"), Problem("moderation_blocked"), Problem("moderation_blocked", stage="output"))
    for dialect in DIALECTS:
        assert all(judge(replied(400, problem), dialect).blames for problem in blaming)
        for problem in (Problem(own=False), Malformed("html"), Problem("model_not_found"), Problem("server_error")):
            assert not any(judge(replied(status, problem), dialect).blames for status in (404, 413, 500))


def test_should_retry_false_is_obeyed_and_true_is_not() -> None:
    """`x-should-retry: false` ends the tries but still closes what must close; `true` overrides nothing."""
    no, yes = ("x-should-retry", "false"), ("x-should-retry", "true")
    assert Next.NEVER is judge(replied(500, Problem(), no), "openai").next
    assert Next.NEVER is judge(replied(502, Problem(), no), "openai").next
    assert MAYBE is judge(replied(502, Problem(), no), "openai").billed
    assert Next.LANE is judge(replied(401, Problem(), no), "openai").next
    assert Next.NEVER is judge(replied(400, Problem(), yes), "openai").next
    assert Next.AMBIGUOUS is judge(replied(502, Problem(), yes), "openai").next


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        ((("retry-after", "12"),), 12.0),
        ((("retry-after", " 1.5 "),), 1.5),
        ((("retry-after", "61"),), 61.0),
        ((("retry-after", "86400"),), 86400.0),
        ((("retry-after-ms", "534"), ("retry-after", "1")), 0.534),
        ((("retry-after", "1"), ("retry-after-ms", "534")), 0.534),
        ((("retry-after-ms", "soon"), ("retry-after", "1")), 1.0),
        ((("retry-after", "0"),), 0.0),
        ((("retry-after", f"{UNIX + 30:.0f}"),), 30.0),
        ((("retry-after", f"{UNIX + 30:.0f}000"),), 30.0),
        ((("retry-after-ms", f"{UNIX + 30:.0f}500"),), 30.5),
        ((("retry-after", f"{UNIX - 30:.0f}"),), 0.0),
        ((("retry-after", "999999999"),), 366 * 86_400.0),
        ((("retry-after", "-1"),), None),
        ((("retry-after", "nan"),), None),
        ((("retry-after", "inf"),), None),
        ((("retry-after", "9" * 400),), None),
        ((("retry-after", "1e3"),), None),
        ((("retry-after", ""),), None),
        ((("retry-after", "Tue, 14 Jul 2026 03:33:30 GMT"),), 10.0),
        ((("retry-after", "Tue, 14 Jul 2020 03:33:30 GMT"),), 0.0),
        ((("retry-after", "Tue, 99 Jul 2026 03:33:30 GMT"),), None),
    ],
)
def test_retry_after_in_all_its_forms(headers: tuple[tuple[str, str], ...], expected: float | None) -> None:
    """Milliseconds before seconds before dates; whole figures are kept, nonsense is passed over."""
    assert expected == retry_after(headers, UNIX)


@given(st.text(max_size=20), st.text(max_size=20))
def test_retry_after_takes_any_text(millis: str, seconds: str) -> None:
    """Whatever a server writes there, the answer is None or a finite wait that is not negative."""
    told = retry_after((("retry-after-ms", millis), ("retry-after", seconds)), UNIX)
    assert told is None or 0.0 <= told < inf


@given(st.integers(0, 2000), st.integers(0, 2**32))
def test_backoff_is_full_jitter_within_the_cap(tries: int, seed: int) -> None:
    """With nothing said the wait lies within [0, min(cap, base * 2**(tries - 1))]."""
    retry = Retry(base=0.5, cap=60.0)
    most = min(60.0, 0.5 * 2.0 ** min(max(tries - 1, 0), 50))
    assert 0.0 <= backoff(tries, retry, Random(seed)) <= most


def test_backoff_makes_use_of_its_room() -> None:
    """Late tries wait for longer than half the cap as often as not."""
    waits = [backoff(9, Retry(base=0.5, cap=1.0), Random(seed)) for seed in range(200)]
    assert 60 < sum(1 for wait in waits if wait > 0.5) < 140


def test_what_is_asked_for_is_honoured_whole() -> None:
    """Retry-After, then the message's hint; neither is capped, and a hint of nonsense is passed over."""
    header = (("retry-after", "90"),)
    assert 90.0 == asked(header, Problem(hint=12.0), UNIX)
    assert 12.0 == asked((), Problem(hint=12.0), UNIX)
    assert 12.0 == asked((("retry-after", "soon"),), Problem(hint=12.0), UNIX)
    assert 1800.0 == asked((), Problem(hint=1800.0), UNIX)
    for nonsense in (inf, float("nan"), -1.0, None):
        assert asked((), Problem(hint=nonsense), UNIX) is None
    assert asked((), Malformed("try again in 5 s"), UNIX) is None
    assert asked((), None, UNIX) is None
