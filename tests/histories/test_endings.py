"""What a job that ended says: what served it, what went wrong, in words, and what to do."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import evolve

from penstock.commands import Finish, Record, Send
from penstock.engine.sums import trouble_of
from penstock.events import Closed, Failed, Mode, Responded
from penstock.http import REQUEST_ID_HEADERS
from penstock.ids import AttemptId
from penstock.judging.judge import TABLE, judge
from penstock.outcomes import REMEDIES, Route, Status, Trouble
from penstock.readings import Kind, Malformed, Problem, Reached, Reading, Success
from penstock.wire import ALLOWED
from penstock.work import OnAmbiguous, Work
from tests.histories.bench import CONFIG, Bench, target, work


def said(fact: Responded | Failed) -> Trouble:
    """What an attempt's end amounts to."""
    return trouble_of(judge(fact, "openai"), fact)


def replied(status: int, reading: Reading, *headers: tuple[str, str]) -> Trouble:
    """The same of a reply."""
    return said(Responded(AttemptId(1), status, headers, reading))


def test_the_route_is_what_served_or_was_tried_last() -> None:
    """A partial job names what served, one without a picture what was tried last, one that never began nothing."""
    chain = Work((evolve(target("a", "b"), most=1), evolve(target("a2", "b2", model="other"), most=1)))
    bench = Bench()
    bench.submit(chain)
    bench.pays(bench.take(Send))
    bench.refuses(bench.take(Send), 400)
    bench.refuses(bench.take(Send), 400)
    outcome = bench.take(Finish).outcome
    assert (Status.PARTIAL, 0, Route("p", "m", 0)) == (outcome.status, outcome.strategy, outcome.route)
    bench.submit(chain)
    for _ in range(4):
        bench.refuses(bench.take(Send), 400)
    outcome = bench.take(Finish).outcome
    assert (Status.FAILED, 1, Route("p", "other", 1)) == (outcome.status, outcome.strategy, outcome.route)
    bench.submit(evolve(chain, deadline=-1.0))
    assert None is bench.take(Finish).outcome.route


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (429, "insufficient_quota")])
def test_what_is_closed_while_halted_says_what_halted_it(mode: Mode, status: int, code: str) -> None:
    """Its status says that it is still to be done, its error why nothing could be sent; new jobs hear the same."""
    bench = Bench(evolve(CONFIG, halts=True))
    for key in ("a", "b", "c"):
        bench.ask(key)
    bench.refuses(bench.take(Send), status, code)
    halt = bench.engine.snapshot().halted
    assert halt is not None
    bench.tell(Closed(mode))
    bench.ask("d")
    for _ in range(4):
        outcome = bench.take(Finish).outcome
        assert outcome.error is not None
        assert (Status.CANCELLED, halt.cause, halt.message) == (
            outcome.status,
            outcome.error.kind,
            outcome.error.message,
        )
    assert bench.rests()


def test_what_is_closed_while_the_journal_is_down_is_unrecorded() -> None:
    """Whether it was waiting for its record or in line behind it: its status says that it is still to be done."""
    bench = Bench(evolve(CONFIG, journal=True))
    bench.ask("a")
    bench.ask("b")
    bench.records(bench.take(Record), "OSError: No space left on device")
    bench.tell(Closed(Mode.DRAIN))
    bench.records(bench.take(Record), "OSError: No space left on device")
    for _ in range(2):
        outcome = bench.take(Finish).outcome
        assert (Status.CANCELLED, "unrecorded") == (outcome.status, getattr(outcome.error, "kind", ""))
        assert "No space left on device" in getattr(outcome.error, "message", "")


def test_the_name_of_the_exchange_stays_with_the_trouble() -> None:
    """Also where it is said to be ambiguous; the best-known header goes first."""
    headers = (("request-id", "r2"), ("apim-request-id", "r1"), ("x-request-id", "r0"))
    for status, kind in ((400, "invalid"), (502, "ambiguous")):
        bench = Bench()
        bench.submit(evolve(work("a"), on_ambiguous=OnAmbiguous.SKIP))
        problem = Problem("a_code", None, "no", own=status == 400)
        bench.tell(Responded(bench.take(Send).attempt, status, headers, problem))
        error = bench.take(Finish).outcome.error
        assert error is not None
        assert (kind, status, "a_code", "r0") == (error.kind, error.status, error.code, error.request_id)
    assert None is replied(400, Problem()).request_id
    assert ["r1", "r2"] == [replied(400, Problem(), *headers[:count]).request_id for count in (2, 1)]
    assert set(REQUEST_ID_HEADERS) <= ALLOWED


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (
            replied(401, Problem("invalid_api_key", None, "Incorrect API key provided: ***.")),
            "Incorrect API key provided: ***; set a valid key",
        ),
        (replied(400, Problem(None, None, "")), "the provider answered 400 and did not say why; change the request"),
        (
            replied(404, Problem(message="Not Found", own=False)),
            f"the address is none of the API's: it answered 404; {REMEDIES['no_endpoint']}",
        ),
        (
            replied(301, Malformed("not JSON")),
            f"the address leads elsewhere: it answered 301; {REMEDIES['no_endpoint']}",
        ),
        (
            replied(404, Problem("unknown_url", None, "Unknown request URL: POST /v1/v1/images.")),
            f"Unknown request URL: POST /v1/v1/images; {REMEDIES['no_endpoint']}",
        ),
        (replied(502, Problem(message="Bad Gateway.", own=False)), "the answer 502 is not the API's own: Bad Gateway"),
        (replied(502, Problem(own=False)), "the answer 502 is not the API's own"),
        (replied(200, Malformed("truncated")), "the reply could not be read: truncated"),
        (replied(200, Success()), "the reply had no picture"),
        (
            said(Failed(AttemptId(1), Kind.DNS, Reached.NOTHING, "a.b:443: Name not known")),
            "the provider's name could not be looked up: a.b:443: Name not known; check the network and the base URL",
        ),
        (
            said(Failed(AttemptId(1), Kind.TIMEOUT, Reached.NOTHING, "10.0.0.1:443")),
            "the time was over while it connected: 10.0.0.1:443; check the network and the base URL",
        ),
        (said(Failed(AttemptId(1), Kind.BROKEN, Reached.SENT)), "the connection broke before the answer began"),
    ],
)  # fmt: skip
def test_troubles_in_words(trouble: Trouble, text: str) -> None:
    """What happened and what to do: one sentence, whose full stop is left to whoever shows it."""
    assert text == trouble.text


def test_every_trouble_of_an_attempt_is_a_sentence() -> None:
    """However an exchange fails it is said in words, without a full stop and without a word of the code."""
    facts: list[Responded | Failed] = [Failed(AttemptId(1), kind, reached) for kind, reached in product(Kind, Reached)]
    readings: tuple[Reading, ...] = (
        Problem(),
        Problem(message="No..."),
        Problem(own=False),
        Malformed("empty"),
        Success(),
    )
    for status, one in product((200, 302, 404, 429, 500), readings):
        facts.append(Responded(AttemptId(1), status, (), one))
    for fact in facts:
        trouble = said(fact)
        assert trouble.message
        assert not trouble.text.endswith(".")
        assert " " in trouble.message or trouble.message == "No"
        assert "_" not in trouble.message


def test_remedies_are_for_kinds_that_exist_and_end_without_a_full_stop() -> None:
    """Each kind that a job can end with and something helps against has its word of what to do."""
    judged = {kind for table in TABLE.values() for kind in table} - {"ok", "uncertain", "unreadable", "aborted"}
    assert set() == judged - set(REMEDIES) - {"too_large"}
    assert [] == [kind for kind, remedy in REMEDIES.items() if remedy.endswith(".") or not remedy]
    assert "" == Trouble("lost", "gone").remedy
    assert "gone" == Trouble("lost", "gone").text
