"""How an ended attempt is judged: four axes, one data table by dialect.

A reply or a failure is first put into a *class* (a word); the tables below say everything else about it. An error's
`code` speaks before its `type`, and both before the status, because the type of a quota fault may be that of another
(OpenAI's error guide, 2026). What a message says of the whole account speaks before all of them: a block of the account
comes under the codes of a refused prompt, too, and changing the prompt does not lift it. At the statuses of gateways
(408, 502, 504, 52x), inside a 200, and where the body is not of the provider's error shape, a word like "server_error"
proves nothing: the request may have been executed.
"""

from __future__ import annotations

import re

from attrs import evolve

from penstock.events import Failed, Headers, Responded
from penstock.judging.judgement import Closes, Judgement, Next
from penstock.readings import Kind, Malformed, Problem, Reached, Success
from penstock.three import Three

_NO, _MAYBE, _YES = Three.NO, Three.MAYBE, Three.YES

_ROWS = (
    # what it is, executed, billed (as OpenAI bills: what ran, whether or not anybody took it), quota, next
    Judgement("ok", _YES, _YES, _YES, Next.NEVER),
    Judgement("unsent", _NO, _NO, _NO, Next.NOW),
    Judgement("no_endpoint", _NO, _NO, _NO, Next.NEVER),
    Judgement("rate_limited", _NO, _NO, _YES, Next.WAIT, rate=True),
    Judgement("slow_down", _NO, _NO, _YES, Next.WAIT, rate=True),
    Judgement("overloaded", _NO, _NO, _YES, Next.WAIT),
    Judgement("server_error", _NO, _NO, _YES, Next.WAIT),
    Judgement("conflict", _NO, _NO, _YES, Next.WAIT),
    Judgement("over_limit", _NO, _NO, _YES, Next.ADAPT, rate=True),
    Judgement("credential", _NO, _NO, _NO, Next.LANE, Closes.CREDENTIAL),
    Judgement("quota_exhausted", _NO, _NO, _NO, Next.LANE, Closes.LANE),
    Judgement("model_not_found", _NO, _NO, _NO, Next.LANE, Closes.LANE),
    Judgement("forbidden", _NO, _NO, _NO, Next.LANE, Closes.LANE),
    Judgement("account", _NO, _NO, _NO, Next.LANE, Closes.CREDENTIAL),
    Judgement("blocked", _NO, _NO, _NO, Next.NEVER),
    Judgement("invalid", _NO, _NO, _YES, Next.NEVER, blames=True),
    Judgement("unsupported", _NO, _NO, _YES, Next.ADAPT),
    Judgement("moderation", _NO, _NO, _YES, Next.NEVER, blames=True),
    Judgement("moderation_output", _YES, _MAYBE, _YES, Next.NEVER, blames=True),
    Judgement("uncertain", _MAYBE, _MAYBE, _MAYBE, Next.AMBIGUOUS),
    Judgement("unreadable", _MAYBE, _MAYBE, _MAYBE, Next.AMBIGUOUS),
    Judgement("too_large", _YES, _YES, _MAYBE, Next.NEVER),
    Judgement("aborted", _MAYBE, _MAYBE, _MAYBE, Next.NEVER),
)

_BILLED: dict[str, dict[str, Three]] = {
    # where a dialect bills otherwise: OpenRouter only what was delivered, a server of one's own nothing
    "openrouter": {"moderation_output": _NO, "uncertain": _NO, "aborted": _NO},
    **{dialect: {row.kind: _NO for row in _ROWS} for dialect in ("local", "localai", "sdwebui")},
}


def _table(dialect: str) -> dict[str, Judgement]:
    billed = _BILLED.get(dialect, {})
    return {row.kind: evolve(row, billed=billed.get(row.kind, row.billed)) for row in _ROWS}


_OPENAI = _table("openai")
TABLE: dict[str, dict[str, Judgement]] = {"openai": _OPENAI, **{dialect: _table(dialect) for dialect in _BILLED}}
"""Every judgement there is: dialect, class, judgement. A dialect that is not listed is judged as "openai"."""

WORDS: dict[str, str] = {
    # `code` or `type` of an error body, and its class
    "insufficient_quota": "quota_exhausted",
    "credit_balance_exhausted": "quota_exhausted",
    "organization_spend_limit_exceeded": "quota_exhausted",
    "project_spend_limit_exceeded": "quota_exhausted",
    "organization_usage_limit_exceeded": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
    "billing_error": "quota_exhausted",
    "invalid_api_key": "credential",
    "authentication_error": "credential",
    "no_organization": "credential",
    "account_deactivated": "account",
    "ip_not_authorized": "account",
    "organization_restricted": "account",
    "model_not_found": "model_not_found",
    "DeploymentNotFound": "model_not_found",
    "moderation_blocked": "moderation",
    "content_policy_violation": "moderation",
    "content_filter": "moderation",
    "contentFilter": "moderation",
    "content_moderation": "moderation",
    "CONTENT_FILTERED": "moderation",
    "rate_limit_exceeded": "rate_limited",
    "slow_down": "slow_down",
    "rate_limit_error": "rate_limited",
    "server_is_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "service_unavailable_error": "overloaded",
    "server_error": "server_error",
    "api_error": "server_error",
    "unknown_parameter": "invalid",
    "invalid_value": "invalid",
    "unsupported_parameter": "invalid",
    "invalid_input_fidelity_model": "invalid",
    "image_generation_user_error": "invalid",
    "permission_error": "forbidden",
    "unknown_url": "no_endpoint",
}

STATUSES: dict[int, str] = {
    # the class of an error that no word names; other statuses of 4xx are "invalid", of 5xx and 2xx "uncertain"
    401: "credential",
    402: "quota_exhausted",
    403: "forbidden",
    408: "uncertain",
    409: "conflict",
    429: "rate_limited",
    500: "server_error",
    503: "overloaded",
    529: "overloaded",
}

_CERTAIN = frozenset({400, 401, 402, 403, 404, 405, 407, 409, 413, 414, 415, 421, 422, 425, 426, 429, 431, 451})
"""Statuses that mean a refusal, whoever wrote the body: a server that answers so has made no picture."""

FOREIGN = {
    401: "credential",
    402: "quota_exhausted",
    403: "blocked",
    404: "no_endpoint",
    405: "no_endpoint",
    407: "blocked",
    409: "conflict",
    421: "conflict",
    425: "conflict",
    426: "blocked",
    429: "rate_limited",
    451: "blocked",
}
"""What such a refusal means where it is not just "invalid": a proxy's 403 says nothing of the account."""

_BODY = r"\b(?:account|organi[sz]ation|project|resource|subscription|workspace)\b[^.,:;]{0,80}?"
_HOW = r"(?:deactivated|suspended|blocked|disabled|banned|terminated|restricted|locked|deleted|archived)\b"
_ACCOUNT = re.compile(
    rf"{_BODY}\b(?:(?:has|have) been|is|was)(?: \w+ly)? {_HOW}|\bdeactivated account\b"
    r"|\bip(?: address)?\b[^,:;]{0,60}?\bnot (?:authori[sz]ed|allowed|permitted)\b",
    re.IGNORECASE,
)
"""A message that speaks of whoever asks: "... account associated with this API key has been deactivated"."""

_UNVERIFIED = re.compile(r"\borgani[sz]ation (?:must be|is not|has not been) verified\b", re.IGNORECASE)
"""A message that says that this model is not for this organization yet."""

_FLAGGED = re.compile(r"\bflagged\b|\bmoderation\b", re.IGNORECASE)
"""What a 403 of OpenRouter says whose prompt a moderation refused (its guide to errors, 2026)."""

_BLAMES = frozenset({"invalid", "moderation", "forbidden", "credential", "model_not_found", "no_endpoint"})
"""Classes that a message about the account overrules: they blame the request, the key, or the model."""

_LOST = frozenset({404, 405})
"""Statuses at which an error without code and type is a web framework's word for "no such path"."""

_NOWHERE = "Invalid URL"
"""How OpenAI's own error begins that says so: `Invalid URL (POST /images/generations)`, with a type, without a code."""

REDIRECTS, ERRORS = 300, 400

_PROMISES = frozenset({"server_error", "overloaded", "slow_down"})
"""Classes that promise "not executed" only in the provider's own error reply at an error status of its own."""

_STATUS = re.compile(r"[45][0-9]{2}", re.ASCII)


def judge(fact: Responded | Failed, dialect: str, adapts: tuple[str, ...] = ()) -> Judgement:
    """Judge how an attempt ended, under the billing rules of `dialect` ("openai", "openrouter", "local").

    `adapts` are words of the request that could be said otherwise: a refusal that names one is "unsupported".
    `x-should-retry: false` is obeyed; `true` is not heard: it overrides neither *never* nor the allowance.
    """
    table = TABLE.get(dialect, _OPENAI)
    if isinstance(fact, Failed):
        return table[_failure(fact)]
    reading = fact.reading
    if isinstance(reading, Success):
        if fact.status < 300:
            return table["ok" if reading.parts or reading.answer is not None or reading.spoilt else "unreadable"]
        verdict = table[_foreign(fact.status)]
    elif isinstance(reading, Malformed):
        verdict = table["unreadable" if 200 <= fact.status < 300 else _foreign(fact.status)]
    else:
        verdict = table[_problem(fact.status, reading, dialect)]
        if verdict.kind == "moderation_output" and reading.usage is not None and verdict.billed is Three.MAYBE:
            verdict = evolve(verdict, billed=Three.YES)
    if verdict.blames and not (isinstance(reading, Problem) and reading.own):
        verdict = evolve(verdict, blames=False)
    if verdict.blames and verdict.kind == "invalid" and isinstance(reading, Problem):
        word = next((name for name in adapts if _names(reading, name)), "")
        if word:
            return evolve(table["unsupported"], adapts=word)
    if verdict.closes is Closes.NOTHING and verdict.next is not Next.NEVER and _refuses_retry(fact.headers):
        return evolve(verdict, next=Next.NEVER)
    return verdict


def _failure(fact: Failed) -> str:
    if fact.reached in {Reached.NOTHING, Reached.CONNECTED}:
        return "unsent"
    if fact.kind is Kind.ABORTED:
        return "aborted"
    return "too_large" if fact.kind is Kind.TOO_LARGE else "uncertain"


def _foreign(status: int) -> str:
    """A body that is not the provider's (a proxy's page): only refusals, and being sent elsewhere, are beyond doubt."""
    if status in _CERTAIN:
        return FOREIGN.get(status, "invalid")
    return "no_endpoint" if REDIRECTS <= status < ERRORS else "uncertain"


def _problem(status: int, problem: Problem, dialect: str) -> str:
    if not problem.own:
        return _foreign(status)
    pathless = problem.type is None or problem.message.startswith(_NOWHERE)
    lost = status in _LOST and problem.code is None and pathless
    word = _foreign(status) if lost else _word(status, problem)
    if word in _BLAMES:
        word = _of_account(problem.message) or word
    if word == "forbidden" and dialect == "openrouter" and _FLAGGED.search(problem.message):
        word = "moderation"
    limit = problem.limit
    if word == "rate_limited":
        over = limit is not None and limit.requested is not None and limit.requested > limit.limit
        return "over_limit" if over else word
    return "moderation_output" if word == "moderation" and _may_have_run(status, problem) else word


def _may_have_run(status: int, problem: Problem) -> bool:
    """Whether a refused prompt may have become a picture before: inside a 200 a stream may have run."""
    if problem.stage is None:
        return problem.usage is not None or status < ERRORS
    return problem.stage != "input"


def _of_account(message: str) -> str | None:
    """The class of a message that speaks of whoever asks, and not of what is asked."""
    if _ACCOUNT.search(message):
        return "account"
    return "forbidden" if _UNVERIFIED.search(message) else None


def _word(status: int, problem: Problem) -> str:
    if status < 400 and problem.code is not None and _STATUS.fullmatch(problem.code):
        # OpenRouter's errors inside a 200 carry the status that they would have had
        status = int(problem.code)
    gateway = status in {408, 502, 504, 530} or 520 <= status <= 528 or status < 400
    word = WORDS.get(problem.code or "")
    if word is None:
        word = WORDS.get(problem.type or "")
        if word in _PROMISES and 400 <= status < 500:
            word = None  # a status of the client's own says more than such a type
    if word is not None:
        return "uncertain" if gateway and word in _PROMISES else word
    if gateway:
        return "uncertain"
    return STATUSES.get(status, "invalid" if status < 500 else "uncertain")


def _names(problem: Problem, word: str) -> bool:
    """Whether a refusal is about this word of the request; its message speaks where it names no parameter."""
    if problem.param is not None:
        return problem.param == word
    return re.search(rf"\b{re.escape(word)}(?:ing)?\b", problem.message, re.IGNORECASE) is not None


def _refuses_retry(headers: Headers) -> bool:
    return any(name == "x-should-retry" and value.strip().lower() == "false" for name, value in headers)
