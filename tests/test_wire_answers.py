"""Replies there and back: what the provider's side writes is what readers find; and what a tick of xAI costs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.readings import Problem, Success, Usage
from penstock.requests import ChatRequest, Message
from penstock.wire import MemorySink, chat, moderations, reader

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.sampled_from(["violence", "hate/threatening", "a new one", "é"])
verdicts = st.fixed_dictionaries(
    {"flagged": st.booleans()},
    optional={
        "categories": st.dictionaries(names, st.booleans() | st.none()),
        "category_scores": st.dictionaries(names, st.floats(0, 1) | st.integers(0, 10**30)),
        "category_applied_input_types": st.dictionaries(names, st.lists(st.sampled_from(["text", "image"]))),
    },
)
choices = st.fixed_dictionaries(
    {
        "message": st.fixed_dictionaries(
            {"role": st.just("assistant"), "content": st.none() | texts}, optional={"refusal": st.none() | texts}
        ),
        "finish_reason": st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    }
)


def taken(operation: str, body: bytes, cuts: list[int], *, answers: int = 1, dialect: str = "openai") -> Any:
    """The reading of a reply in pieces, and the JSON of each part."""
    sink = MemorySink()
    made = reader(operation, sink, dialect=dialect, status=200, content_type="application/json", answers=answers)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for begin, end in pairwise(edges):
        made.feed(body[begin:end])
    told = made.close()
    assert isinstance(told, Success), told
    return told, [json.loads(sink.pictures[part.ref]) for part in told.parts if part.format == "json"]


@given(st.lists(verdicts, min_size=1, max_size=5), st.lists(st.integers(0, 400), max_size=4))
def test_verdicts_come_back(results: list[dict[str, object]], cuts: list[int]) -> None:
    """Each under its place, whole, whatever its categories are called."""
    told, parts = taken("moderations", moderations.reply(results, "m").body, cuts, answers=len(results))
    assert results == parts
    assert list(range(len(results))) == [part.index for part in told.parts]


@given(
    st.lists(choices, min_size=1, max_size=3),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.lists(st.integers(0, 600), max_size=4),
)
def test_answers_come_back(
    said: list[dict[str, object]], given_tokens: int, cached: int, made: int, cuts: list[int]
) -> None:
    """All of them in one payload, and the tokens by their classes; none at all is how servers say they do not count."""
    used = Usage(input_text=given_tokens, input_cached_text=cached, output_text=made)
    request = ChatRequest(messages=(Message("user", "x"),), model="m", n=len(said))
    told, (body,) = taken("chat.completions", chat.reply(said, used, request, 7).body, cuts, answers=len(said))
    assert [{"index": place, **one} for place, one in enumerate(said)] == body["choices"]
    assert told.usage == (used if given_tokens or cached or made else None)


TICKED = '{"data":[{"b64_json":"iVBORw0KGgo="}],"usage":{"cost_in_usd_ticks":%s}}'


@pytest.mark.parametrize(
    ("ticks", "cost"),
    [
        ("200000000", 20_000_000_000),  # two cents
        ("10000000000", 10**12),  # a dollar
        ("1", 100),
        ("0", 0),
        (str(10**16 - 1), 100 * (10**16 - 1)),
        (str(10**16), None),
        ("9" * 300, None),
        ("-1", None),
        ("true", None),
        ("0.5", None),
        ("1e9", None),
        ('"200000000"', None),
        ("null", None),
        ("[]", None),
        ("{}", None),
    ],
)
def test_what_ticks_cost(ticks: str, cost: int | None) -> None:
    """Ten billion are a dollar; what is no whole number of them is no figure, and the bound stands."""
    told, _ = taken("images.generate", (TICKED % ticks).encode(), [], dialect="xai")
    assert cost == (told.usage.cost if told.usage is not None else None)


def test_ticks_are_xais_alone() -> None:
    """Anywhere else they are no cost."""
    told, _ = taken("images.generate", (TICKED % "200000000").encode(), [], dialect="openai")
    assert told.usage is None


@pytest.mark.parametrize("ticks", ["null", "5"])
def test_what_is_held_back_costs_what_it_says(ticks: str) -> None:
    """A refusal inside a 200 has its cost, where it says one."""
    body = (TICKED % ticks).replace('"}]', '","respect_moderation":false}]').encode()
    told, _ = held(body)
    assert isinstance(told, Problem)
    assert told.usage == (None if ticks == "null" else Usage(cost=500))


def held(body: bytes) -> tuple[object, MemorySink]:
    """A reading that need not be a success."""
    sink = MemorySink()
    made = reader("images.generate", sink, dialect="xai", status=200, content_type="application/json")
    made.feed(body)
    return made.close(), sink
