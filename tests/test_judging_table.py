"""The judgement table as a product, against what the contract and the provider's guides say, written down once more.

Nothing here reads the table: each case is put into one of the contract's rows by lists of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from attrs import frozen

from penstock.events import Failed, Responded
from penstock.ids import AttemptId
from penstock.judging.judge import judge
from penstock.judging.judgement import Closes, Judgement, Next
from penstock.readings import Kind, LimitHint, Malformed, Problem, Reached, Usage
from penstock.three import Three

NO, MAYBE, YES = Three.NO, Three.MAYBE, Three.YES
DIALECTS = ("openai", "openrouter", "local")
STATUSES = (
    *(200, 302, 400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 418, 421, 422, 425, 426, 429, 431, 451, 499),
    *(500, 501, 502, 503, 504, 507, 520, 524, 529, 530, 599),
)

CREDIT = {
    *("insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded"),
    *("project_spend_limit_exceeded", "organization_usage_limit_exceeded", "billing_hard_limit_reached"),
    *("billing_not_active", "billing_error"),
}
KEY = {"invalid_api_key", "authentication_error", "no_organization"}
ACCOUNT = {"account_deactivated", "ip_not_authorized", "organization_restricted"}
MODEL = {"model_not_found", "DeploymentNotFound"}
FORBIDDEN = {"permission_error"}
REQUEST = {
    *("unknown_parameter", "invalid_value", "unsupported_parameter", "invalid_input_fidelity_model"),
    *("image_generation_user_error",),
}
REFUSED = {"moderation_blocked", "content_policy_violation", "content_filter", "contentFilter"}
RATE = {"rate_limit_exceeded", "rate_limit_error"}
ELSEWHERE = {"unknown_url"}
TROUBLES = {"server_error", "api_error", "server_is_overloaded", "overloaded_error", "service_unavailable_error"}
SLOW = {"slow_down"}
WORDS = (*CREDIT, *KEY, *ACCOUNT, *MODEL, *FORBIDDEN, *REQUEST, *REFUSED, *RATE, *ELSEWHERE, *TROUBLES, *SLOW)
NEUTRAL = ("some_new_code", "invalid_request_error", "tokens")
OVER, UNDER = LimitHint("images", 5.0, None, 10.0), LimitHint("images", 5.0, 5.0, 1.0)


@frozen
class Row:
    """A row of the contract: executed, billed (by OpenAI's custom), quota taken, next, what closes."""

    executed: Three
    billed: Three
    quota: Three
    next: Next
    closes: Closes = Closes.NOTHING


AT_ONCE = Row(NO, NO, NO, Next.NOW)
WAIT = Row(NO, NO, YES, Next.WAIT)
SPLIT = Row(NO, NO, YES, Next.ADAPT)
KEY_GONE = Row(NO, NO, NO, Next.LANE, Closes.CREDENTIAL)
LANE_GONE = Row(NO, NO, NO, Next.LANE, Closes.LANE)
NEVER = Row(NO, NO, YES, Next.NEVER)
NOBODY = Row(NO, NO, NO, Next.NEVER)
MADE_AND_REFUSED = Row(YES, MAYBE, YES, Next.NEVER)
DOUBT = Row(MAYBE, MAYBE, MAYBE, Next.AMBIGUOUS)
BROKEN_OFF = Row(MAYBE, MAYBE, MAYBE, Next.NEVER)
TOO_LARGE = Row(YES, YES, MAYBE, Next.NEVER)


def row_of_word(word: str, status: int) -> Row | None:
    """What a word of the provider's means at a status; None where it says nothing."""
    meanings = (
        (CREDIT | MODEL | FORBIDDEN, LANE_GONE),
        (KEY | ACCOUNT, KEY_GONE),
        (REQUEST | REFUSED, NEVER),
        (RATE, WAIT),
        (ELSEWHERE, NOBODY),
        (TROUBLES | SLOW, WAIT if 400 <= status and not proves_nothing(status) else DOUBT),
    )
    return next((row for words, row in meanings if word in words), None)


def proves_nothing(status: int) -> bool:
    """A gateway's status, or one that is no error at all."""
    return status < 400 or status in {408, 502, 504, 530} or 520 <= status <= 528


def row_of_status(status: int, *, own: bool) -> Row:
    """What a status means by itself."""
    if not own and 300 <= status < 400:
        return NOBODY
    told = {401: KEY_GONE, 402: LANE_GONE, 409: WAIT, 429: WAIT}
    if status in told:
        return told[status]
    if not own:
        if status in {403, 404, 405, 407, 426, 451}:
            return NOBODY
        if status in {421, 425}:
            return WAIT
        return NEVER if status in {400, 413, 414, 415, 422, 431} else DOUBT
    if proves_nothing(status):
        return DOUBT
    if status == 403:
        return LANE_GONE
    if status < 500:
        return NEVER
    return WAIT if status in {500, 503, 529} else DOUBT


def row_of(status: int, problem: Problem) -> Row:
    """The row of an error reply: the code before the type, both before the status."""
    code, kind = problem.code, problem.type
    if not problem.own or (status in {404, 405} and code is None and kind is None):
        return row_of_status(status, own=False)
    found = row_of_word(code or "", status)
    if found is None and not (kind in TROUBLES | SLOW and 400 <= status < 500):
        found = row_of_word(kind or "", status)
    row = found if found is not None else row_of_status(status, own=True)
    named = code if code in WORDS else kind
    silent = problem.stage is None and problem.usage is None and status >= 400
    if named in REFUSED and problem.stage != "input" and not silent:
        row = MADE_AND_REFUSED if problem.usage is None else Row(YES, YES, YES, Next.NEVER)
    limit = problem.limit
    if row == WAIT and limit is OVER and (named in RATE or (named not in WORDS and status == 429)):
        return SPLIT
    if row == WAIT and limit is OVER and status == 429 and code not in WORDS and kind in TROUBLES | SLOW:
        return SPLIT  # a type that a 429 does not have
    return row


def billed(row: Row, dialect: str) -> Three:
    """What a dialect bills of it: a local server nothing, OpenRouter only what was delivered."""
    if dialect == "local" or (dialect == "openrouter" and row in (DOUBT, BROKEN_OFF)):
        return NO
    if dialect == "openrouter" and row.executed is YES and row.next is Next.NEVER and row != TOO_LARGE:
        return NO
    return row.billed


def check(verdict: Judgement, row: Row, dialect: str, case: object) -> None:
    """A judgement is this row."""
    told = (verdict.executed, verdict.billed, verdict.quota, verdict.next, verdict.closes)
    unread = dialect == "openrouter" and verdict.kind == "unreadable"  # a 200 that was delivered, whatever it held
    expected = (row.executed, MAYBE if unread else billed(row, dialect), row.quota, row.next, row.closes)
    assert expected == told, (case, verdict.kind)


STAGES = (("input", None), ("output", None), ("unknown", None), (None, Usage(1)), ("output", Usage(1)))


def readings(code: str | None, kind: str | None, *, own: bool) -> Iterator[Problem]:
    """An error of these words in all variants that may matter: a limit that it names, a stage, a usage."""
    yield Problem(code, kind, own=own)
    if {code, kind} & (RATE | TROUBLES | SLOW) or code is None:
        yield from (Problem(code, kind, limit=limit, own=own) for limit in (UNDER, OVER))
    if {code, kind} & (REFUSED | REQUEST):
        yield from (Problem(code, kind, own=own, stage=stage, usage=usage) for stage, usage in STAGES)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("own", [True, False])
def test_every_reply_stands_in_its_row(dialect: str, own: bool) -> None:
    """Over statuses, codes, types, limits, stages: the axes are those of the contract's row, and a code goes first."""
    kinds = (None, *NEUTRAL, *WORDS) if own else (None, *NEUTRAL, *sorted(RATE | REFUSED | TROUBLES))
    for status, code, kind in product(STATUSES, (None, *NEUTRAL, *WORDS), kinds):
        for problem in readings(code, kind, own=own):
            verdict = judge(Responded(AttemptId(1), status, (), problem), dialect)
            check(verdict, row_of(status, problem), dialect, (status, problem))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_unreadable_reply_stands_in_its_row(dialect: str) -> None:
    """What cannot be read refuses only by a status that nobody answers who made a picture."""
    for status in STATUSES:
        verdict = judge(Responded(AttemptId(1), status, (), Malformed("not JSON")), dialect)
        check(verdict, row_of_status(status, own=False), dialect, status)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("kind", "reached"), list(product(Kind, Reached)))
def test_every_failure_stands_in_its_row(kind: Kind, reached: Reached, dialect: str) -> None:
    """Before its first byte nothing happened; afterwards nobody knows, but for a reply that was too large."""
    if reached in {Reached.NOTHING, Reached.CONNECTED}:
        row = AT_ONCE
    else:
        row = {Kind.TOO_LARGE: TOO_LARGE, Kind.ABORTED: BROKEN_OFF}.get(kind, DOUBT)
    check(judge(Failed(AttemptId(1), kind, reached), dialect), row, dialect, (kind, reached))


BLOCKS = (
    "The OpenAI account associated with this API key has been deactivated. Please check your email.",
    "This key is associated with a deactivated account.",
    "Your OpenAI account has been deactivated, please check your email for more information.",
    "Your account has been temporarily suspended for violations of our content policy.",
    "Your resource has been temporarily blocked because we detected behavior that may violate our content policy.",
    "The organization tied to this key has been archived.",
    "Organization has been restricted. Please reach out to support if you believe this was in error.",
    "Your IP address 203.0.113.7 is not authorized to access this project.",
    "IP not authorised",
)
VERIFIED = "Your organization must be verified to use the model `gpt-image-2`. Please go to the settings."
INNOCENT = (
    "Your request was rejected by the safety system.",
    "Your request was rejected. Repeated violations may lead to your account being suspended.",
    "This prompt is blocked by our content policy; your account was not charged.",
    "The project is fine, and the prompt is blocked.",
    "Rate limit reached for gpt-image-1 in organization org-1: it is blocked for 12s.",
)
GUISES = (
    (400, "moderation_blocked", "image_generation_user_error"),
    (400, "content_policy_violation", "invalid_request_error"),
    (400, None, "invalid_request_error"),
    (401, "invalid_api_key", "invalid_request_error"),
    (403, "Forbidden", None),
    (403, None, "permission_error"),
    (404, "model_not_found", "invalid_request_error"),
    (404, None, None),
    (404, None, "invalid_request_error"),
    (502, "moderation_blocked", None),
)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("status", "code", "kind"), GUISES)
def test_a_block_of_the_account_is_not_a_refused_prompt(
    status: int, code: str | None, kind: str | None, dialect: str
) -> None:
    """Whatever code it comes under, what is said of the account closes its key, and blames nobody's prompt."""
    for message in BLOCKS:
        verdict = judge(Responded(AttemptId(1), status, (), Problem(code, kind, message)), dialect)
        assert ("account", Closes.CREDENTIAL, Next.LANE) == (verdict.kind, verdict.closes, verdict.next), message
    verdict = judge(Responded(AttemptId(1), status, (), Problem(code, kind, VERIFIED)), dialect)
    assert ("forbidden", Closes.LANE, Next.LANE) == (verdict.kind, verdict.closes, verdict.next)


@pytest.mark.parametrize(("status", "code", "kind"), GUISES)
def test_words_about_accounts_alone_block_nothing(status: int, code: str | None, kind: str | None) -> None:
    """A message that mentions an account, or a page that is not the provider's, is judged as if it did not."""
    plain = judge(Responded(AttemptId(1), status, (), Problem(code, kind)), "openai")
    for message in INNOCENT:
        assert plain == judge(Responded(AttemptId(1), status, (), Problem(code, kind, message)), "openai"), message
    foreign = judge(Responded(AttemptId(1), status, (), Problem(code, kind, BLOCKS[0], own=False)), "openai")
    assert "account" != foreign.kind


def test_a_rate_limit_is_not_a_block() -> None:
    """A busy or failing server that speaks of the account is still busy, and the credit is still used up."""
    for status, code, expected in (
        (429, None, "rate_limited"),
        (503, None, "overloaded"),
        (402, None, "quota_exhausted"),
    ):
        problem = Problem(code, None, BLOCKS[3])
        assert expected == judge(Responded(AttemptId(1), status, (), problem), "openai").kind


def test_a_403_of_openrouter_may_be_a_refused_prompt() -> None:
    """There it says that the input was flagged, which closes no lane; elsewhere, and otherwise, it closes one."""
    flagged = Problem("403", None, "The model requires moderation. Your input was flagged for: violence.")
    limit = Problem("403", None, "Key limit exceeded (total limit).")
    for dialect, problem, expected in (
        ("openrouter", flagged, ("moderation", Closes.NOTHING)),
        ("openai", flagged, ("forbidden", Closes.LANE)),
        ("openrouter", limit, ("forbidden", Closes.LANE)),
    ):
        verdict = judge(Responded(AttemptId(1), 403, (), problem), dialect)
        assert expected == (verdict.kind, verdict.closes)
