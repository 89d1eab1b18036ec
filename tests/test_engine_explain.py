"""What is said of a job that waits is what then happens: until when, on what, and behind whom."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.commands import Send
from penstock.config import Config, Credential, Limits, Retry
from penstock.engine.waiting import Waiting
from penstock.events import Responded, Ticked
from penstock.ids import JobId
from penstock.readings import Problem
from penstock.simulation.server import Latency, Server, ServerSettings, parse_faults
from penstock.work import Demand, Priority, Work
from tests.field.admission import Watched, give, jobs
from tests.histories.bench import Bench, work

QUIET = ServerSettings(latency=Latency(0.4, 0.4), headers=False)
"""A provider that teaches nothing: what is believed stays as it is."""


@frozen
class Said:
    """What was said of a job at a moment. `busy`: a key had as many out as it may, so that each reply makes room."""

    at: float
    job: int
    waiting: Waiting
    busy: bool


class Asked(Watched):
    """A world in which everybody is asked now and then what he waits for. `gone` has when each job was sent."""

    def __init__(self, config: Config, server: Server) -> None:
        super().__init__(config, server)
        self.said: list[Said] = []
        self.gone: dict[int, list[float]] = {}

    def _send(self, send: Send) -> None:
        for job, _ in send.parts:
            self.gone.setdefault(int(job), []).append(self.now)
        super()._send(send)

    def ask(self) -> None:
        """Ask everybody who is not done. What is said is of the engine's last step: nothing happened since."""
        quotas = [lane.quota for lane in self.engine.snapshot().lanes]
        busy = any(quota.in_flight == quota.concurrency for quota in quotas)
        for job in range(1, self._jobs + 1):
            if JobId(job) not in self.outcomes:
                self.said.append(Said(self.now, job, self.engine.explain(JobId(job)), busy))

    def watch(self, until: float, every: float) -> None:
        """Let time pass, and ask after every step that comes later than the last question by so much."""
        last = self.now
        while self.now < until and self.step():
            if self.now >= last + every:
                last = self.now
                self.ask()

    def next_send(self, said: Said) -> float | None:
        """When the job was sent next, after something was said of it."""
        return next((at for at in self.gone.get(said.job, ()) if at >= said.at), None)


LIMITS = st.builds(
    Limits,
    rpm=st.sampled_from((None, 60.0, 240.0)),
    ipm=st.sampled_from((None, 90.0)),
    tpm=st.sampled_from((None, 12_000.0)),
    concurrency=st.sampled_from((2, 5, None)),
    burst=st.sampled_from((1 / 20, 0.2)),
    ceiling=st.just(True),
)
LOADS = st.lists(
    st.tuples(
        st.floats(0.0, 3.0),
        st.integers(1, 12),
        st.sampled_from((Demand(1, 1, 100), Demand(1, 3, 400), Demand(1, 0, 50))),
        st.sampled_from(tuple(Priority)),
        st.sampled_from(("", "a", "b")),
    ),
    min_size=1,
    max_size=6,
)


def town(limits: Limits, faults: str = "", keys: int = 1) -> Asked:
    """A world with these limits at each key."""
    credentials = tuple([Credential(f"c{number}", limits=limits) for number in range(keys)])
    server = Server(evolve(QUIET, faults=parse_faults(faults)), rng=Random(3))
    return Asked(Config(credentials, patience=None, retry=Retry(base=1.0), unproven=None), server)


def load(made: Asked, loads: list[tuple[float, int, Demand, Priority, str]]) -> None:
    """Bring the work, and ask on the way."""
    first = 1
    for gap, count, demand, priority, tenant in loads:
        made.watch(made.now + gap, 0.1)
        for one in jobs(count, first=first, demand=demand):
            made.submit(evolve(one, priority=priority, tenant=tenant))
        first += count
        made.ask()
    made.watch(1e9, 0.3)


FEW, MANY = Demand(1, 1, 100), Demand(1, 3, 400)


@settings(max_examples=40, deadline=None)
@given(LIMITS, LOADS, st.integers(1, 3))
@example(
    Limits(ipm=90.0, concurrency=2, burst=1 / 20, ceiling=True),
    [
        (0.0, 8, FEW, Priority.NORMAL, ""),
        (0.25, 3, MANY, Priority.INTERACTIVE, ""),
        (0.0, 4, MANY, Priority.INTERACTIVE, ""),
        (0.0, 3, FEW, Priority.INTERACTIVE, "a"),
    ],
    3,
)
def test_nobody_goes_before_he_was_told(
    limits: Limits, loads: list[tuple[float, int, Demand, Priority, str]], keys: int
) -> None:
    """Who waits for a quota until a moment is not sent before it, unless a reply makes room; and everybody is sent."""
    made = town(limits, keys=keys)
    load(made, loads)
    assert made.said
    for said in made.said:
        waiting = said.waiting
        sent = made.next_send(said)
        assert waiting.until is None or waiting.until >= said.at - 1e-9
        if waiting.reason == "quota" and waiting.until is not None and sent is not None and not said.busy:
            assert waiting.until <= sent + 1e-6, said
        if waiting.reason == "provider":
            assert made.gone[said.job][-1] <= said.at
        if waiting.reason in {"quota", "line"}:
            assert sent is not None, said


@settings(max_examples=40, deadline=None)
@given(st.sampled_from((30.0, 60.0, 240.0)), st.integers(1, 3), st.integers(4, 25))
def test_each_one_of_a_line_is_told_when_its_turn_comes(rpm: float, keys: int, count: int) -> None:
    """Also who stands far behind: among equals, whom nothing new befalls, it is right to about one request of a key."""
    made = town(Limits(rpm=rpm, burst=1 / rpm, concurrency=None, ceiling=True), keys=keys)
    give(made, jobs(count))
    made.ask()
    made.watch(1e9, 1.0)
    told = [said for said in made.said if said.waiting.reason == "quota"]
    assert told
    for said in told:
        assert said.waiting.about is not None
        late = 0.03 * ((said.waiting.place or 0) + 1)  # what a bucket of one loses while a request travels
        assert made.next_send(said) == pytest.approx(said.waiting.about, abs=60.0 / rpm + late)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from((30.0, 60.0, 240.0)), st.sampled_from((1 / 30, 0.2)), st.integers(2, 25))
def test_the_next_one_goes_when_it_was_told(rpm: float, burst: float, count: int) -> None:
    """Where nothing new is learned, the head of the line goes at the very moment that was said, for what was said."""
    made = town(Limits(rpm=rpm, burst=burst, concurrency=None, ceiling=True))
    give(made, jobs(count))
    made.ask()
    made.watch(1e9, 0.0)
    heads = [said for said in made.said if said.waiting.place == 0 and said.waiting.reason == "quota"]
    for said in heads:
        assert "requests of c0" == said.waiting.on or said.waiting.on.startswith("blocked")
        assert said.waiting.until is not None
        assert made.next_send(said) == pytest.approx(said.waiting.until, abs=1e-6)
    assert heads or count <= max(1.0, rpm * burst)


@settings(max_examples=30, deadline=None)
@given(LIMITS, st.integers(5, 40))
def test_the_place_in_line_counts_those_who_go_before(limits: Limits, count: int) -> None:
    """Among equals: exactly as many of those who stood there are sent before it as its place says."""
    made = town(limits)
    ids = give(made, jobs(count))
    places = {job: made.engine.explain(job).place for job in ids}
    standing = [job for job in ids if places[job] is not None]
    assert list(range(len(standing))) == sorted(place for place in places.values() if place is not None)
    made.run()
    order = sorted(standing, key=lambda job: (made.gone[job][0], job))
    assert [places[job] for job in order] == list(range(len(order)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("500=0.3", "503=0.3,refuse_connection=0.2", "busy=0.4")))
def test_who_waits_to_be_tried_again_is_not_tried_before(seed: int, faults: str) -> None:
    """After an error: the moment of the next try is said, with the error, and it is not tried before."""
    made = town(Limits(concurrency=3), faults)
    made.server._rng.seed(seed)
    load(made, [(0.0, 12, Demand(1, 1, 100), Priority.NORMAL, "")])
    retries = [said for said in made.said if said.waiting.reason == "retry"]
    for said in retries:
        sent = made.next_send(said)
        assert said.waiting.until is not None
        assert said.waiting.on
        assert sent is None or sent >= said.waiting.until - 1e-9


def test_behind_a_large_demand_of_another_tenant_nobody_is_next() -> None:
    """Who would fit now stands in line all the same while the head needs more; no moment that is past is told."""
    limits = Limits(tpm=6000, burst=1 / 60, concurrency=None, ceiling=True)
    made = town(limits)
    give(made, jobs(1, demand=Demand(1, 1, 100)))
    made.run_until(0.5)
    large, small = (
        made.submit(evolve(next(jobs(1, first=number, demand=Demand(1, 1, tokens))), tenant=tenant))
        for number, tenant, tokens in ((2, "a", 90), (3, "b", 20))
    )
    made.run_until(0.7)
    made.tell(Ticked())
    first, second = made.engine.explain(large), made.engine.explain(small)
    assert ("quota", 0) == (first.reason, first.place)
    assert ("line", None, 1) == (second.reason, second.until, second.place)
    made.run()
    assert first.until == made.gone[large][0]
    assert made.gone[large][0] < made.gone[small][0]


def test_who_waits_for_proof_goes_with_the_first_reply_or_a_second_later() -> None:
    """A new key has two out until it has answered: the third is told so, and when it goes at the latest."""
    for replies in (True, False):
        bench = Bench(Config((Credential("c1", "p", Limits(concurrency=8)),), patience=None))
        third = [bench.ask(f"k{number}") for number in range(3)][-1]
        bench.at(0.5)
        told = bench.engine.explain(third)
        assert Waiting("proof", "the first reply to c1", 1.0, 0) == told
        out = [bench.take(Send), bench.take(Send)]
        assert bench.none(Send)
        if replies:
            bench.pays(out[0])
        else:
            bench.at(0.99)
            assert bench.none(Send)
            bench.at(1.0)
        assert third == bench.take(Send).parts[0][0]


def refused(bench: Bench, wait: str) -> None:
    """What is out is refused, with a wait."""
    told = (("retry-after", wait),)
    problem = Problem("rate_limit_exceeded", None, "slower")
    bench.tell(Responded(bench.take(Send).attempt, 429, told, problem))


def test_a_refusal_is_told_with_its_end() -> None:
    """Whoever was refused, and whoever stands behind him, is told until when; then it goes, and says so no more."""
    bench = Bench(Config((Credential("c1", "p", Limits(concurrency=1)),), patience=None))
    first, second = bench.ask("k1"), bench.ask("k2")
    refused(bench, "20")
    told = bench.engine.explain(second)
    assert ("quota", "blocked of c1") == (told.reason, told.on)
    assert 20.0 == told.until
    assert 20.0 == bench.engine.explain(first).until
    bench.at(19.9)
    assert bench.none(Send)
    bench.at(20.0)
    assert "provider" in {bench.engine.explain(job).reason for job in (first, second)}


def test_the_key_that_is_free_first_is_named() -> None:
    """With one key blocked for an hour and one for ten seconds it is the second that is waited for."""
    keys = tuple(Credential(name, "p", Limits(concurrency=1)) for name in ("c1", "c2"))
    bench = Bench(Config(keys, patience=None))
    bench.ask("k1")
    bench.ask("k2")
    refused(bench, "3600")
    refused(bench, "10")
    waiting = bench.engine.explain(bench.ask("k3"))
    assert ("quota", 10.0) == (waiting.reason, waiting.until)
    assert waiting.on.endswith(" of c2")


def test_a_limit_that_can_never_be_met_is_no_wait() -> None:
    """What can never go ends; of what ended nothing is waited for."""
    bench = Bench(Config((Credential("c1", "p", Limits(ipm=5, burst=1.0, ceiling=True)),)))
    one = work("k")
    job = bench.submit(Work((evolve(one.targets[0], demand=Demand(1, 9, 0), divisible=False),)))
    assert Waiting("done") == bench.engine.explain(job)
