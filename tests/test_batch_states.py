"""What is kept of a row beside the books: it survives its text, and tells what a row asked for."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.ids import JobId, Key, Ref
from penstock.outcomes import Meta, Outcome, Picture, Source, Status, Trouble
from penstock.requests import ImageRequest, Scalar
from penstock_io.batch.states import (
    ASIDE,
    FINAL,
    NEW,
    PASSING,
    RUNS,
    Refusal,
    RowState,
    Runs,
    asked_of,
    digest,
    dump_runs,
    dump_state,
    here_of,
    load_runs,
    load_state,
    load_states,
)
from penstock_io.journal import Account

KEYS = (Key("k1"), Key("k2"))
JOB, LATER = (1, JobId(5)), (2, JobId(1))
REQUEST = ImageRequest(prompt="a fox", model="gpt-image-2", size="1024x1024", n=2)
SENT = NEW.sent(JOB, KEYS, REQUEST, "c0ffee")

TEXT = st.text()
SCALARS: st.SearchStrategy[Scalar] = st.none() | st.booleans() | st.integers() | st.text()
TROUBLES = st.builds(Trouble, TEXT, TEXT, st.none() | st.integers(), st.none() | TEXT, st.none() | TEXT)
STATES = st.builds(
    RowState,
    jobs=st.lists(st.tuples(st.integers(1, 9), st.integers(-9, 9).map(JobId)), max_size=3).map(tuple),
    keys=st.lists(TEXT.map(Key), max_size=3).map(tuple),
    asked=st.dictionaries(TEXT, SCALARS, min_size=1, max_size=4),
    prompt=TEXT,
    content=TEXT,
    sample=st.integers(0, 2**31),
)
ENDED = st.builds(
    lambda state, status, error, warnings, seconds, flags, revised: evolve(
        state,
        status=status.value,
        error=error,
        warnings=tuple(warnings),
        seconds=seconds,
        cached=flags[0],
        shared=flags[1],
        revised=tuple(revised),
        worth=tuple((Key(text), number) for number, text in enumerate(warnings)),
        reproducible=("", "seed", "stored")[len(revised) % 3],
        refusals=() if error is None else (Refusal(state.keys, status.value, error),) * len(revised),
    ),
    STATES,
    st.sampled_from(Status),
    st.none() | TROUBLES,
    st.lists(TEXT, max_size=2),
    st.floats(0, 1e6),
    st.tuples(st.booleans(), st.booleans()),
    st.lists(st.none() | TEXT, max_size=3),
)


@given(STATES | ENDED | st.just(NEW))
def test_a_state_survives_its_text(state: RowState) -> None:
    """What is kept of a row comes back as it was, whatever a server said in it."""
    assert state == load_state(dump_state(state))


def test_figures_of_all_runs_survive_their_text_and_are_no_row() -> None:
    """Figures add up over runs; a folder without any has none; an id, which is free text, cannot be taken for them."""
    runs = Runs(3, 4, 5.5, 120.0, 240.0, 1, "some rows are not complete.")
    assert runs == load_runs({RUNS: dump_runs(runs), "row": "x"})
    assert Runs() == load_runs({})
    rows = {RUNS: dump_runs(runs), "/runs": dump_state(SENT), "row": dump_state(NEW)}
    assert {"/runs": SENT, "row": NEW} == load_states(rows)
    assert not ASIDE.isprintable()


def test_all_but_the_prompt_is_remembered_of_a_request() -> None:
    """What was not said is left out; the prompt leaves a digest, pairs of `extra` their names."""
    request = ImageRequest(prompt="p", model="m", seed=3, extra=(("steps", 4), ("size2", None)))
    assert {"model": "m", "n": 1, "seed": 3, "extra.steps": 4, "extra.size2": None} == asked_of(request)
    state = NEW.sent(JOB, KEYS, request)
    assert (asked_of(request), digest("p"), 16) == (state.asked, state.prompt, len(state.prompt))
    assert "a fox" not in dump_state(SENT)


def test_a_row_asks_for_the_same_by_its_keys_or_by_its_words() -> None:
    """Other keys for the same words are the same request, so are other words for the same keys; nothing else is."""
    others = (Key("x1"), Key("x2"))
    assert SENT.same(KEYS, evolve(REQUEST, user="somebody"), 0)
    assert SENT.same(others, REQUEST, 0)
    changed = [
        (evolve(REQUEST, prompt="a cat"), 0),
        (evolve(REQUEST, quality="high"), 0),
        (evolve(REQUEST, n=1), 0),
        (REQUEST, 2),
    ]
    assert [False] * 4 == [SENT.same(others, request, sample) for request, sample in changed]
    assert not NEW.same(KEYS, REQUEST, 0)


def test_another_job_forgets_how_the_last_one_ended_but_not_that_it_was() -> None:
    """Jobs are kept in their order; status, error and what else belongs to one job goes."""
    ended = SENT.ended(Outcome(Status.FAILED, error=Trouble("invalid", "no")), 1.0)
    again = ended.sent(LATER, (Key("x"),), evolve(REQUEST, n=1), "beef", sample=3)
    assert ((JOB, LATER), (Key("x"),), 3, "beef") == (again.jobs, again.keys, again.sample, again.content)
    assert ("", None, None) == (again.status, again.error, again.seconds)
    assert ended.asking((Key("x"),), evolve(REQUEST, n=1), "beef", 3) == evolve(again, jobs=(JOB,))


def test_what_was_refused_for_good_stays_so_whatever_was_asked_for_since() -> None:
    """A row that asks for it again stands as it did; another try at it, or an end that may pass, leaves no trace."""
    error, high, low = Trouble("moderation", "no", 400, "blocked"), (Key("high"),), (Key("low"),)
    refused = NEW.sent(JOB, high, REQUEST).ended(Outcome(Status.REFUSED, error=error), 1.0)
    since = refused.sent(LATER, low, REQUEST).ended(Outcome(Status.FAILED, error=Trouble("server_error", "no")), 1.0)
    assert (("refused", error), None) == ((since.refusals[0].status, since.refusals[0].error), since.refusal(low))
    assert since.refusal(high) == load_state(dump_state(since)).refusals[0]
    back = since.asking(high, REQUEST, "", 0)
    assert (high, "refused", error, ()) == (back.keys, back.status, back.error, back.refusals)
    assert back == back.asking(high, REQUEST, "", 0)
    assert ("", None, ()) == ((tried := since.sent(JOB, high, REQUEST)).status, tried.error, tried.refusals)
    deferred = NEW.sent(JOB, high, REQUEST).ended(Outcome(Status.DEFERRED, error=error), 1.0)
    assert () == deferred.asking(low, REQUEST, "", 0).refusals


def test_an_end_says_where_pictures_came_from_and_what_became_of_the_prompt() -> None:
    """Cached and shared pictures, and prompts as they were revised; where none was, nothing is kept."""
    picture = Picture(0, Ref("m:1"), Source.SHARED, Meta(), Key("k1"))
    shared = SENT.ended(Outcome(Status.COMPLETED, (picture,)), 1.23456, (None, None))
    assert (True, False, 1.235, ()) == (shared.shared, shared.cached, shared.seconds, shared.revised)
    cached = SENT.ended(Outcome(Status.CACHED), 0.0, ("a red fox", None))
    assert (False, True, ("a red fox", None)) == (cached.shared, cached.cached, cached.revised)


def test_an_end_says_what_keeps_the_promise_of_a_seed() -> None:
    """The stored copy where no provider was told; else the seed, once there is a picture; nothing without one."""
    picture = Picture(0, Ref("m:1"), Source.BOUGHT, Meta(), Key("k1"))
    seeded = NEW.sent(JOB, KEYS, evolve(REQUEST, seed=0))
    came = Outcome(Status.COMPLETED, (picture,))
    ends = [seeded.ended(one, 1.0) for one in (came, evolve(came, reproducible="stored"), Outcome(Status.FAILED))]
    assert ["seed", "stored", ""] == [end.reproducible for end in ends]
    assert "" == SENT.ended(came, 1.0).reproducible


def test_what_another_try_would_not_mend_is_final() -> None:
    """A refusal of what was asked is final; a fault of keys, money or the way there passes; no kind is both."""
    assert {"moderation", "invalid", "refused", "lost"} <= FINAL
    assert {"unsent", "no_endpoint", "budget"} <= PASSING
    assert frozenset() == PASSING & FINAL


def test_files_of_a_row_are_those_that_are_in_use() -> None:
    """A later job's file stands in place of an earlier one's; superseded files are left out."""
    shown = {
        JOB: {Key("k1"): "images/fox-1.png", Key("k2"): "images/fox-2.png", Key("old"): "images/fox.png"},
        LATER: {Key("k2"): "originals/fox-2.png", Key("k1"): "superseded/fox-1.png"},
        (9, JobId(9)): {Key("k1"): "images/other.png"},
    }
    state = evolve(SENT, jobs=(JOB, LATER))
    account = Account(shown=shown)
    files = {Key("k1"): "images/fox-1.png", Key("k2"): "originals/fox-2.png", Key("old"): "images/fox.png"}
    assert files == here_of(state, account)
