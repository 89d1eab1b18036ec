"""The health of a lane: the table, rests that double, one probe at a time, refused keys, and credit that is gone."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.breaker import CLOSED_FOR, IN_A_ROW, LIFE, LONGEST, PROOF, Breaker, Health, Sign
from penstock.commands import Finish, LaneClosed, Notify, Send
from penstock.config import Credential, Limits
from penstock.events import Reconfigured
from penstock.ids import JobId
from penstock.outcomes import Status
from penstock.work import OnAmbiguous
from tests.histories.bench import CONFIG, Bench, work

WIDE = Credential("c1", "p", Limits(concurrency=64))
SERVICE = evolve(CONFIG, credentials=(WIDE,), unproven=None)


def test_every_pair_of_the_table_is_there_or_cannot_be() -> None:
    """What is missing is what its methods never ask for: errors that no longer count, and rests that are none."""
    missing = set(product(Health, Sign)) - set(LIFE)
    never = {
        *product((Health.RESTING, Health.EMPTY, Health.SHUT, Health.PROBING), (Sign.ERROR,)),
        *product((Health.RESTING, Health.EMPTY, Health.SHUT), (Sign.TRIP,)),
        *product((Health.UNPROVEN, Health.GOOD, Health.PROBING, Health.SHUT), (Sign.DUE,)),
    }
    assert never == missing


class Lane:
    """A breaker and what is out on it."""

    def __init__(self, bound: int | None) -> None:
        self.breaker = Breaker(bound)
        self.now = 0.0
        self.out: list[float] = []

    def ends(self, what: str, sent: float) -> None:
        """What was sent then comes back so."""
        self.breaker.back(sent)
        if what == "alive":
            self.breaker.alive(self.now)
        elif what == "error":
            self.breaker.error(sent, self.now, 0.5)
        elif what == "exhausted":
            self.breaker.exhausted(self.now)
        elif what == "rejected":
            self.breaker.rejected(self.now)


STEPS = st.lists(
    st.tuples(st.sampled_from("send send alive error exhausted rejected again wait void".split()), st.integers(0, 9)),
    max_size=80,
)


@given(STEPS, st.sampled_from((None, 1, 2)))
def test_whatever_happens_its_counts_are_true(steps: list[tuple[str, int]], bound: int | None) -> None:
    """What is out is counted, a probe is alone, and a lane that is shut or rests lets nothing go."""
    lane = Lane(bound)
    one = lane.breaker
    for what, figure in steps:
        one.due(lane.now)
        if what == "send":
            if one.ready_at(lane.now) <= lane.now:
                assert one.health not in (Health.RESTING, Health.EMPTY, Health.SHUT)
                one.sent(lane.now)
                lane.out.append(lane.now)
        elif what == "wait":
            lane.now += figure / 4
        elif what == "again":
            one.again(lane.now)
        elif lane.out:
            lane.ends(what, lane.out.pop(figure % len(lane.out)))
        assert len(lane.out) == one.out
        assert 0 <= one.probes <= 1
        assert one.until <= lane.now + CLOSED_FOR


def test_rests_double_to_half_a_minute() -> None:
    """Each probe that fails doubles the rest; a good one ends it for good."""
    one, now, rests = Breaker(), 0.0, list[float]()
    for _ in range(IN_A_ROW):
        one.sent(now)
        one.back(now)
        one.error(now, now, 0.5)
    for _ in range(9):
        assert Health.RESTING is one.health
        rests.append(one.until - now)
        assert not one.due(one.until - 0.001)
        now = one.until
        assert one.due(now)
        one.sent(now)
        assert one.ready_at(now) == float("inf")
        one.back(now)
        one.error(now, now, 0.5)
    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST, LONGEST] == rests
    now = one.until
    one.due(now)
    one.sent(now)
    one.back(now)
    one.alive(now)
    assert (Health.GOOD, 0, None) == (one.health, one.rests, one.down)


def test_what_went_before_a_rest_says_nothing_after_it() -> None:
    """Sixty that were out together are one event: they do not double the rest, and do not fail the probe."""
    one = Breaker()
    for _ in range(60):
        one.sent(0.0)
    for _ in range(60):
        one.back(0.0)
        one.error(0.0, 1.0, 0.5)
    assert (Health.RESTING, 1, 1.5) == (one.health, one.rests, one.until)
    one.sent(1.2)
    assert one.due(1.5)
    one.sent(1.5)
    one.back(1.2)
    one.error(1.2, 1.6, 0.5)
    assert (Health.PROBING, 1) == (one.health, one.probes)


def test_an_unproven_lane_waits_for_its_first_reply_or_a_second() -> None:
    """Two out, then one second; nobody there lifts the bound, because no key can be refused by nobody."""
    one = Breaker(2)
    one.sent(5.0)
    one.sent(5.1)
    assert 5.0 + PROOF == one.ready_at(5.2)
    assert one.ready_at(6.0) <= 6.0
    one = Breaker(1)
    one.sent(5.0)
    one.back(5.0)
    one.unsent()
    one.sent(5.1)
    assert one.ready_at(5.2) <= 5.2


# In an engine


def test_errors_in_a_row_hold_up_whoever_waits() -> None:
    """An outage costs ten attempts and one probe at a time, not six for each of a hundred; then all go on."""
    bench = Bench(evolve(SERVICE, credentials=(evolve(WIDE, limits=Limits(concurrency=4)),), patience=None))
    for number in range(100):
        bench.ask(f"k{number}")
    failed, reason = 0, ""
    while bench.now < 60.0:
        while not bench.none(Send):
            bench.refuses(bench.take(Send), 503)
            failed += 1
        reason = bench.engine.explain(JobId(bench.jobs)).reason
        bench.at(max(bench.now + 0.001, bench.engine.next_deadline() or 0.0))
    assert "errors" == reason
    assert failed < 30
    bench.at(bench.now + 100.0)
    done = 0
    while not bench.none(Send) or bench.engine.next_deadline() is not None:
        if bench.none(Send):
            bench.at(bench.engine.next_deadline() or bench.now)
        else:
            bench.pays(bench.take(Send))
            done += 1
    assert done >= 95


def test_a_lane_that_fails_fast_does_not_draw_all_work() -> None:
    """Of two keys one has nothing but errors: it looks idle, and gets ten attempts and probes, not half of all."""
    keys = (evolve(WIDE, name="bad"), evolve(WIDE, name="good"))
    bench = Bench(evolve(SERVICE, credentials=keys))
    sent = {"bad": 0, "good": 0}
    for number in range(300):
        bench.submit(evolve(work(f"k{number}"), on_ambiguous=OnAmbiguous.RETRY))
        bench.at(bench.now + 0.01)
        while not bench.none(Send):
            send = bench.take(Send)
            sent[send.lane.credential] += 1
            if send.lane.credential == "bad":
                bench.refuses(send, 500)
            else:
                bench.pays(send)
    assert sent["bad"] < 20
    assert sent["good"] > 250


def test_credit_that_is_used_up_is_tried_again_after_a_quarter_of_an_hour() -> None:
    """In a service: until then jobs fail at once; then one goes, and with it being answered all."""
    bench = Bench(SERVICE)
    bench.ask("k1")
    bench.refuses(bench.take(Send), 429, "insufficient_quota")
    assert "quota_exhausted" == getattr(bench.take(Finish).outcome.error, "kind", "")
    assert "quota_exhausted" == getattr(bench.take(Notify).notice, "reason", "")
    bench.at(CLOSED_FOR - 1.0)
    bench.ask("k2")
    assert "quota_exhausted" == getattr(bench.take(Finish).outcome.error, "kind", "")
    bench.at(CLOSED_FOR)
    for number in range(3):
        bench.ask(f"l{number}")
    probe = bench.take(Send)
    assert bench.none(Send)
    bench.pays(probe)
    assert 2 == len([bench.take(Send) for _ in range(2)])


def test_a_refused_key_stays_closed_until_it_is_reconfigured() -> None:
    """However long it lasts: said once, and opened by a resume or another credential of its name."""
    bench = Bench(SERVICE)
    bench.ask("k1")
    bench.refuses(bench.take(Send), 401, "invalid_api_key")
    assert isinstance(bench.take(Notify).notice, LaneClosed)
    bench.at(10 * CLOSED_FOR)
    bench.ask("k2")
    assert ["credential"] * 2 == [getattr(bench.take(Finish).outcome.error, "kind", "") for _ in range(2)]
    bench.tell(Reconfigured(evolve(bench.config), resume=True))
    bench.ask("k3")
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert bench.none(Notify)


@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (429, "insufficient_quota")])
def test_a_second_refusal_of_what_was_out_says_nothing_new(status: int, code: str) -> None:
    """Sixty refusals of one bad key are one notice."""
    bench = Bench(evolve(SERVICE, halts=True))
    for number in range(30):
        bench.ask(f"k{number}")
    for _ in range(30):
        bench.refuses(bench.take(Send), status, code)
    notices = [
        command for command in bench.log if isinstance(command, Notify) and isinstance(command.notice, LaneClosed)
    ]
    assert 1 == len(notices)


def test_patience_counts_from_the_first_error_on() -> None:
    """An outage that lasts longer than a job's patience ends it, and says what it waited for."""
    bench = Bench(SERVICE)
    jobs = [bench.ask(f"k{number}") for number in range(20)]
    while bench.now < 1000.0:
        while not bench.none(Send):
            bench.refuses(bench.take(Send), 503)
        bench.at(max(bench.now + 0.001, bench.engine.next_deadline() or 1000.0))
    ends = [command.outcome for command in bench.log if isinstance(command, Finish)]
    assert len(jobs) == len(ends)
    assert {"server_error", "overloaded", "patience"} >= {end.error.kind for end in ends if end.error is not None}
    assert bench.now < 1100.0
    assert bench.rests()
