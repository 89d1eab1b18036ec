"""Traces: every event whole, the same commands again, nothing that must not be in them."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import replay as benchmark
from penstock.config import Budget, Config, Credential, Limits
from penstock.events import Closed, Mode, Responded, Submitted, Ticked
from penstock.ids import AttemptId, Handle, JobId, Key
from penstock.readings import LimitHint, Problem
from penstock.simulation.server import Server, ServerLimits, ServerSettings, parse_faults
from penstock.simulation.trace import Diverged, Recorder, TraceError, engine_of, load, pack, replay, unpack
from penstock.simulation.world import World
from penstock.work import Demand, Target, Work

CONFIG = Config(
    (Credential("a", limits=Limits(rpm=600)), Credential("b")),
    budget=Budget((("run", 10**12),)),
    journal=True,
    store=True,
)


def recorded(seed: int, jobs: int = 60) -> list[str]:
    """The trace of a run with limits, faults, a journal and a store."""
    settings = ServerSettings(
        limits=ServerLimits(rpm=300, ipm=300, burst=0.1), faults=parse_faults("reset=0.1,500=0.1")
    )
    lines: list[str] = []
    world = World(CONFIG, Server(settings, rng=Random(seed)), rng=Random(seed))
    world.engine = Recorder(CONFIG, rng=Random(seed), epoch=1_790_000_000.0, write=lines.append)
    target = Target("default", "m", (), Demand(1, 1, 100), 1000, 900)
    world.run(
        Work((Target(target.provider, target.model, (Key(f"k{i % 40}"),), target.demand, 1000, 900),), Handle(i))
        for i in range(jobs)
    )
    world.close()
    while world.step():
        pass
    return lines


@given(st.integers(0, 10_000))
def test_a_trace_replays_to_the_same_commands(seed: int) -> None:
    """Whatever happened: a fresh engine orders the same, step by step."""
    lines = recorded(seed, jobs=12)
    assert len(lines) - 1 == replay(lines, Random())


def test_a_changed_trace_is_found_out() -> None:
    """A trace whose events were tampered with does not replay."""
    lines = recorded(3)
    place = next(number for number, line in enumerate(lines) if "Responded" in line and '"status":200' in line)
    head, _, tail = lines[place].partition('"reading":')
    assert tail
    lines[place] = head + '"reading":{"":"readings.Malformed","reason":"cut"}},' + tail.rsplit(",", 1)[1]
    with pytest.raises(Diverged, match=f"line {place + 1}"):
        replay(lines, Random())


def test_events_survive_the_way_there_and_back() -> None:
    """Packing and unpacking gives an equal event."""
    problem = Problem("rate_limit_exceeded", "requests", "slow down", 1.5, LimitHint("requests", 5, 5, 1))
    work = Work((Target("p", "m", (Key("k"),), Demand(1, 1, 10), None),), Handle(1), tags=("x",))
    for event in (
        Submitted(JobId(1), work),
        Responded(AttemptId(3), 429, (("retry-after", "1"),), problem),
        Ticked(12.5),
        Ticked(),
        Closed(Mode.ABORT),
    ):
        assert event == unpack(pack(event))


def test_bad_lines_are_named() -> None:
    """A line that is no step says which one it is and what is wrong."""
    lines = recorded(1, jobs=2)
    with pytest.raises(TraceError, match="line 3"):
        list(load([*lines[:2], "{"]))
    with pytest.raises(TraceError, match="line 2 has no event"):
        list(load([lines[0], '[1, {"":"work.Demand"}, "x"]']))
    with pytest.raises(TraceError, match="line 1"):
        engine_of("[]", Random())
    with pytest.raises(TraceError, match="version 9"):
        engine_of(lines[0].replace('"version":1', '"version":9'), Random())
    with pytest.raises(TraceError, match="empty"):
        replay([], Random())


def test_the_trace_of_a_real_client_replays_and_holds_no_secret() -> None:
    """Recorded over HTTP, with faults: the same commands again, and neither a prompt nor a key in any line."""
    lines, pictures = benchmark.real(40)
    assert 40 == pictures
    assert len(lines) - 1 == replay(lines, Random())
    assert 0 == benchmark.leaks(lines, (*benchmark.KEYS.values(), *benchmark.prompts(40)))
    assert 1 == benchmark.leaks(["x", "a violet heron number 1 over a tin roof"], benchmark.prompts(2))
