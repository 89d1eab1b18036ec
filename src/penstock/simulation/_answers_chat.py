"""How the simulated provider answers conversations: it repeats what was said last, or calls a tool with it.

Where there are tools, the first of them (or the one that has to be) is called, with arguments that its schema allows,
until a tool has answered; where a schema is asked for, the answer is of it.
"""

from __future__ import annotations

import json
from typing import cast

from attrs import frozen

from penstock.http import HttpReply
from penstock.readings import Usage
from penstock.requests import ChatRequest, Frozen
from penstock.simulation._answers_texts import LETTERS, TextCase, bill, tokens_of
from penstock.simulation._case import Telling
from penstock.simulation._schemas import example
from penstock.wire import chat
from penstock.wire.chat_stream import chunks
from penstock.work import Demand

PICTURE_TOKENS = 765
"""What a picture in a conversation takes here."""

LONGEST_ANSWER = 2_000


@frozen
class ChatCase(TextCase[ChatRequest]):
    """Answers to a conversation."""

    @property
    def words(self) -> str:
        return " ".join(self.request.private)

    def usage(self) -> Usage:
        """Tokens of the conversation, its pictures and its answers."""
        given = sum(tokens_of(one) for one in self.request.private) + PICTURE_TOKENS * self.request.pictures
        return Usage(input_text=given, output_text=self.request.n * tokens_of(self._bounded(self._told()[1])))

    def demand(self) -> Demand:
        asked = (self.request.max_completion_tokens or 0) * self.request.n
        return Demand(images=self.request.pictures, tokens=self.usage().input_text + asked)

    def cost(self, unix: float) -> int:
        return bill(self.usage(), self.model, unix)

    def reply(self, telling: Telling) -> HttpReply:
        choices = [self._choice(place) for place in range(self.request.n)]
        return chat.reply(choices, self.usage(), self.request, telling.created, telling.headers)

    @property
    def streams(self) -> bool:
        return self.request.stream

    def events(self, telling: Telling) -> list[bytes]:
        choices = [self._choice(place) for place in range(self.request.n)]
        return chunks(choices, self.usage(), self.request, telling.created)

    def _choice(self, place: int) -> dict[str, object]:
        tool, whole = self._told()
        text = self._bounded(whole)
        cut = text != whole
        if not tool:
            message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None}
            return {"message": message, "finish_reason": "length" if cut else "stop"}
        called = {"id": f"call_{place}", "type": "function", "function": {"name": tool, "arguments": text}}
        message = {"role": "assistant", "content": None, "tool_calls": [called]}
        return {"message": message, "finish_reason": "length" if cut else "tool_calls"}

    def _told(self) -> tuple[str, str]:
        """The tool that is called ("": none), and its arguments or what is answered, where nothing bounds it."""
        said = [one for one in self.request.private if one]
        last = said[-1] if said else "nothing"
        tool = self._tool()
        if tool:
            fields = {"type": "object", **_object(tool.get("parameters"))}
            return str(tool["name"]), json.dumps(example(fields, last[:LONGEST_ANSWER]))
        text = f"You said: {last}"[:LONGEST_ANSWER]
        wanted = _object(_value(self.request.response_format))
        schema = _object(wanted.get("json_schema")).get("schema")
        if schema:
            return "", json.dumps(example(schema, text))
        return "", json.dumps({"answer": text}) if wanted.get("type") in ("json_object", "json_schema") else text

    def _tool(self) -> dict[str, object]:
        """The function that is called; empty: none is."""
        choice, listed = _value(self.request.tool_choice), _value(self.request.tools)
        listed = cast("list[object]", listed) if isinstance(listed, list) else []
        tools = [_object(_object(one).get("function")) for one in listed]
        tools = [one for one in tools if one.get("name") and isinstance(one.get("name"), str)]
        if choice == "none":
            return {}
        named = _object(_object(choice).get("function")).get("name")
        if named:
            tools = [one for one in tools if one["name"] == named]
        answered = self.request.messages[-1].role == "tool"
        return tools[0] if tools and (named or choice == "required" or not answered) else {}

    def _bounded(self, whole: str) -> str:
        short = self.request.max_completion_tokens
        if short is None or tokens_of(whole) <= short:
            return whole
        return whole.encode()[: short * LETTERS].decode("utf-8", "ignore")


def _value(said: Frozen | None) -> object:
    return None if said is None else said.value


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
