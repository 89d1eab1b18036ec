"""Tools and schemas at the simulated provider: calls that a program can follow, and answers of the shape asked for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.requests import ChatRequest, Message
from penstock.simulation._answers_chat import ChatCase
from penstock.simulation._case import Telling
from penstock.simulation._schemas import DEEPEST, example

TELLING = Telling("call", 7)
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city"],
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "clock"}},
]

short = st.text(max_size=4)
figures = st.integers(-9, 9)
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": st.integers(0, 9), "maxLength": st.integers(9, 12)}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": st.integers(-9, 9),
            "maximum": st.integers(10, 20),
            "exclusiveMinimum": st.integers(-9, 9),
        },
    ),
    st.fixed_dictionaries({"type": st.just("integer"), "multipleOf": st.integers(1, 5), "minimum": st.integers(0, 9)}),
    st.fixed_dictionaries({"type": st.just("number"), "exclusiveMaximum": st.integers(-9, 0)}),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null", ["null", "string"]])}),
    st.fixed_dictionaries({"enum": st.lists(short | st.integers(), min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": short | st.none()}),
)
schemas: st.SearchStrategy[dict[str, Any]] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 3), "maxItems": st.integers(3, 4)},
        ),
        st.dictionaries(short, inner, max_size=3).map(
            lambda fields: {"type": "object", "properties": fields, "required": list(fields)}
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        inner.map(lambda one: {"$ref": "#/$defs/one", "$defs": {"one": one}} if "$ref" not in str(one) else one),
    ),
    max_leaves=6,
)


def allowed(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a schema (as above) allows a value."""
    if "$ref" in schema:
        return allowed(value, root["$defs"]["one"], root) if root is schema else True
    if "anyOf" in schema:
        return any(allowed(value, one, root) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if "const" in schema:
        return bool(value == schema["const"])
    match schema["type"]:
        case "string":
            return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 99)
        case "integer" | "number" as kind:
            return (
                isinstance(value, int if kind == "integer" else int | float)
                and schema.get("minimum", value) <= value <= schema.get("maximum", value)
                and schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
                and not value % schema.get("multipleOf", 1 if kind == "integer" else value or 1)
            )
        case "boolean":
            return isinstance(value, bool)
        case "array":
            size = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 99)
            return size and all(allowed(one, schema["items"], root) for one in value)
        case "object":
            return value.keys() == schema["properties"].keys() and all(
                allowed(value[name], one, root) for name, one in schema["properties"].items()
            )
        case _:
            return value is None or isinstance(value, str)


@given(schemas, st.text(max_size=20))
def test_what_is_made_is_allowed(schema: dict[str, Any], said: str) -> None:
    """By all that is looked at of a schema; the same every time."""
    made = example(schema, said)
    assert allowed(made, schema, schema)
    assert made == example(schema, said)


@given(st.recursive(st.none() | st.integers() | short, lambda one: st.lists(one) | st.dictionaries(short, one)))
def test_any_value_may_stand_for_a_schema(schema: object) -> None:
    """What is no schema asks for nothing; nothing raises, and JSON can say what comes of it."""
    json.dumps(example(schema, "hi"))


def test_a_schema_may_contain_itself() -> None:
    """It ends."""
    tree = {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {}, "required": ["kids"]}}}
    tree["$defs"]["tree"]["properties"]["kids"] = {"type": "array", "items": {"$ref": "#/$defs/tree"}}  # type: ignore[index] # built above
    assert DEEPEST // 2 <= json.dumps(example(tree, "hi")).count("kids") <= 2 * DEEPEST
    assert example({"$ref": "#"}, "hi") == "hi"
    both = {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}], "type": "object"}
    assert {"a": 1, "b": 2} == example(both, "hi")


def answered(*messages: Message, **fields: Any) -> tuple[dict[str, Any], str]:
    """The first answer's message, and why it ended."""
    request = ChatRequest(messages=messages, model="gpt-4o", **fields)
    choice = json.loads(ChatCase(request).reply(TELLING).body)["choices"][0]
    return choice["message"], choice["finish_reason"]


HELLO = Message("user", "Paris, please")


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (None, "weather"),
        ("auto", "weather"),
        ("required", "weather"),
        ({"type": "function", "function": {"name": "clock"}}, "clock"),
        ("none", ""),
        ({"type": "function", "function": {"name": "nobody"}}, ""),
    ],
)
def test_a_tool_is_called(choice: object, called: str) -> None:
    """The first, or the one that has to be; none where none may be."""
    message, reason = answered(HELLO, tools=TOOLS, tool_choice=choice)
    functions = [one["function"] for one in message.get("tool_calls", ())]
    assert [called] * bool(called) == [one["name"] for one in functions]
    assert ("tool_calls" if called else "stop") == reason
    if called == "weather":
        assert {"city": "Paris, please", "days": 2} == json.loads(functions[0]["arguments"])


def test_a_conversation_with_tools_comes_to_an_end() -> None:
    """Once the tool has answered, so does the model; unless it has to call."""
    message, _ = answered(HELLO, tools=TOOLS)
    calls = message["tool_calls"]
    said = [
        HELLO,
        Message("assistant", None, tool_calls=calls),
        Message("tool", "rain", tool_call_id=calls[0]["id"]),
    ]
    assert ("You said: rain", "stop") == (answered(*said, tools=TOOLS)[0]["content"], answered(*said, tools=TOOLS)[1])
    assert "tool_calls" == answered(*said, tools=TOOLS, tool_choice="required")[1]


def test_arguments_have_the_bound_of_an_answer() -> None:
    """They are cut where it is, and that is said; what they take is counted."""
    message, reason = answered(HELLO, tools=TOOLS, max_completion_tokens=2)
    assert ("length", '{"city":') == (reason, re.sub(r"\s", "", message["tool_calls"][0]["function"]["arguments"]))
    whole = ChatCase(ChatRequest(messages=(HELLO,), model="gpt-4o", tools=TOOLS)).usage()
    assert 5 <= whole.output_text


def test_an_answer_of_a_schema() -> None:
    """What is asked for by its schema is of it; plain JSON is an object."""
    wanted = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER}}
    message, _ = answered(HELLO, response_format=wanted)
    assert {"city": "You said: Paris, please", "days": 2} == json.loads(message["content"])
    plain, _ = answered(HELLO, response_format={"type": "json_object"})
    assert {"answer": "You said: Paris, please"} == json.loads(plain["content"])
