"""What a server does not let itself be told, and how it is then asked without."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.commands import Abort, Deliver, Finish, Record, Send
from penstock.config import Config, Limits, Retry
from penstock.entries import Failed as FailedEntry
from penstock.entries import Intent
from penstock.events import Responded, Streamed
from penstock.ids import AttemptId, JobId, Ref
from penstock.judging.judge import judge
from penstock.judging.judgement import Next
from penstock.outcomes import Status
from penstock.readings import Malformed, Partial, Problem, Reading
from penstock.three import Three
from penstock.work import Target, Work
from tests.histories.bench import CONFIG, Bench, target

ONCE = evolve(CONFIG, retry=Retry(attempts=1))
REFUSED = Problem("unknown_parameter", "invalid_request_error", "Unknown parameter: 'stream'.", param="stream")
SAID = "p/m refused to be told stream: it was asked otherwise"


def streaming(*keys: str, model: str = "m") -> Target:
    """A target that says two words that can be said otherwise."""
    return evolve(target(*keys, model=model), stream=True, most=1, adapts=("stream", "max_completion_tokens"))


def bench_of(config: Config = ONCE) -> Bench:
    """A bench whose calls have one try."""
    return Bench(config)


def refuse(bench: Bench, send: Send, reading: Reading = REFUSED, status: int = 400, *headers: tuple[str, str]) -> None:
    """The provider's word."""
    bench.tell(Responded(send.attempt, status, headers, reading))


def test_a_refused_word_is_left_out_at_once_and_from_then_on() -> None:
    """The same call goes again in the same step, although it has but one try; later calls never say the word."""
    bench = bench_of()
    job = bench.submit(Work((streaming("a"),)))
    first = bench.take(Send)
    assert ((), True) == (first.without, first.stream)
    refuse(bench, first, REFUSED, 400, ("x-should-retry", "false"))  # it is another request now
    second = bench.take(Send)
    assert (first.call, ("stream",)) == (second.call, second.without)
    bench.pays(second)
    ended = bench.take(Finish)
    assert (job, Status.COMPLETED, (SAID,)) == (ended.job, ended.outcome.status, ended.outcome.warnings)
    bench.submit(Work((streaming("b"),)))
    later = bench.take(Send)
    assert ("stream",) == later.without
    bench.pays(later)
    assert (SAID,) == bench.take(Finish).outcome.warnings
    assert bench.rests()


def test_each_word_is_left_out_for_itself() -> None:
    """A server that knows neither word refuses twice, and is then asked for what it knows."""
    bench = bench_of()
    bench.submit(Work((streaming("a"),)))
    refuse(bench, bench.take(Send))
    refuse(bench, bench.take(Send), Problem("unsupported_parameter", None, "no", param="max_completion_tokens"))
    third = bench.take(Send)
    assert ("stream", "max_completion_tokens") == third.without
    bench.pays(third)
    said = "p/m refused to be told stream and max_completion_tokens: it was asked otherwise"
    assert (SAID, said) == bench.take(Finish).outcome.warnings


def test_a_word_that_was_not_said_is_not_left_out_again() -> None:
    """A server that refuses the same word twice refuses the request."""
    bench = bench_of()
    bench.submit(Work((streaming("a"),)))
    refuse(bench, bench.take(Send))
    refuse(bench, bench.take(Send))
    ended = bench.take(Finish)
    assert ended.outcome.error is not None
    assert (Status.FAILED, "invalid") == (ended.outcome.status, ended.outcome.error.kind)
    assert bench.none(Send)


def test_another_group_is_told_the_word() -> None:
    """What one model's server refuses says nothing of another's."""
    bench = bench_of()
    bench.submit(Work((streaming("a"),)))
    refuse(bench, bench.take(Send))
    bench.pays(bench.take(Send))
    bench.submit(Work((streaming("a", model="other"),)))
    assert () == bench.take(Send).without


def test_both_of_two_that_were_out_go_again() -> None:
    """Two calls that were sent before anybody knew are both asked without."""
    bench = bench_of(evolve(ONCE, credentials=(evolve(CONFIG.credentials[0], limits=Limits()),)))
    bench.submit(Work((streaming("a"),)))
    bench.submit(Work((streaming("b"),)))
    first = bench.take(Send)
    second = bench.take(Send)
    refuse(bench, first)
    refuse(bench, second)
    bench.at(5.0)  # a key that has served nobody yet is given little at a time
    assert [("stream",), ("stream",)] == [bench.take(Send).without for _ in range(2)]


def test_the_journal_has_both_exchanges() -> None:
    """The refused one is a failure that cost nothing, and the changed one has an intent of its own."""
    bench = bench_of(evolve(ONCE, journal=True))
    bench.submit(Work((streaming("a"),)))
    bench.records(bench.take(Record))
    refuse(bench, bench.take(Send))
    entries = [bench.take(Record) for _ in range(2)]
    failed, intent = (entry.entry for entry in entries)
    assert isinstance(failed, FailedEntry)
    assert isinstance(intent, Intent)
    assert failed.attempt != intent.attempt


def test_a_preview_that_was_delivered_rules_out_another_try() -> None:
    """After a preview a broken stream is the end: its caller saw something else begin."""
    bench = bench_of()
    bench.submit(Work((streaming("a"),)))
    send = bench.take(Send)
    bench.tell(Streamed(send.attempt, Partial(0, Ref("b:9"))))
    assert JobId(1) == bench.take(Deliver).job
    refuse(bench, send, Malformed("truncated"), 200)
    ended = bench.take(Finish)
    assert ended.outcome.error is not None
    assert (Status.FAILED, "broken_stream") == (ended.outcome.status, ended.outcome.error.kind)
    assert 100 == ended.outcome.maybe
    assert bench.none(Send)
    assert bench.none(Abort)


@pytest.mark.parametrize(
    ("reading", "word"),
    [
        (REFUSED, "stream"),
        (Problem("invalid_value", None, "no", param="stream"), "stream"),
        (Problem(None, None, "Streaming is not supported for this model."), "stream"),
        (Problem(None, None, "body.stream: Extra inputs are not permitted"), "stream"),
        (Problem("unsupported_parameter", None, "'max_completion_tokens' is not known"), "max_completion_tokens"),
        (Problem("unknown_parameter", None, "Unknown parameter: 'stream'.", param="size"), ""),
        (Problem("invalid_value", None, "the upstream said no"), ""),
        (Problem("moderation_blocked", None, "a stream of blood"), ""),
        (Problem("model_not_found", None, "no such model can stream"), ""),
        (Problem(None, None, "stream", own=False), ""),
        (Malformed("stream"), ""),
    ],
)
def test_only_a_refusal_that_names_the_word_is_about_it(reading: Reading, word: str) -> None:
    """By its parameter, and by its message where it names none; nothing ran, nothing is billed, quota is gone."""
    fact = Responded(AttemptId(1), 400, (), reading)
    found = judge(fact, "openai", ("stream", "max_completion_tokens"))
    assert word == found.adapts
    if word:
        assert ("unsupported", Three.NO, Three.NO, Three.YES, Next.ADAPT, False) == (
            found.kind,
            found.executed,
            found.billed,
            found.quota,
            found.next,
            found.blames,
        )
    assert judge(fact, "openai").adapts == ""


KINDS = ["ask", "pay", "refuse", "item", "break", "rate", "wait"]
ACTIONS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 7)))


@given(ACTIONS)
def test_in_any_history_no_refused_word_is_said_again(actions: list[tuple[str, int]]) -> None:
    """Jobs of two models, refusals of either word, previews, breaks, waits: whatever happens, in any order."""
    bench = bench_of(evolve(CONFIG, credentials=(evolve(CONFIG.credentials[0], limits=Limits()),)))
    refused: set[tuple[str, str]] = set()
    out: list[Send] = []
    ended = 0
    for action, number in [*actions, *(("end", 0),) * 60]:
        model = ("m", "other")[number % 2]
        if action == "ask":
            bench.submit(Work((streaming(f"{model}-{bench.jobs}", model=model),)))
        elif action in ("wait", "end") and bench.engine.next_deadline() is not None:
            bench.at(max(bench.now, bench.engine.next_deadline() or 0.0))
        if out and action not in ("ask", "wait"):
            _answer(bench, out, action, number, refused)
        while not bench.none(Send):
            send = bench.take(Send)
            assert not {word for group, word in refused if group == send.lane.model} - set(send.without)
            out.append(send)
        while not bench.none(Finish):
            bench.take(Finish)
            ended += 1
    assert bench.jobs == ended
    assert bench.rests()


def _answer(bench: Bench, out: list[Send], action: str, number: int, refused: set[tuple[str, str]]) -> None:
    send = out[number % len(out)]
    if action == "item":
        bench.tell(Streamed(send.attempt, Partial(0, bench.ref())))
        return
    out.remove(send)
    word = ("stream", "max_completion_tokens")[number // 2 % 2]
    match action:
        case "refuse" if word not in send.without:
            refuse(bench, send, Problem("unknown_parameter", None, "no", param=word))
            refused.add((send.lane.model, word))
        case "break":
            bench.breaks(send)
        case "rate":
            bench.refuses(send, 429, "rate_limit_exceeded")
        case _:
            bench.pays(send)
