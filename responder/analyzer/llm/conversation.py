"""What a model was told and what it said, in order, and how large that is. It only ever grows at its end."""

from __future__ import annotations

from typing import assert_never

import orjson

from responder.analyzer.llm.budget import Charge, Size
from responder.analyzer.llm.turn import Block, Message, Question, Reply, Request, Text, Thinking, ToolCall, ToolSpec

_MARKS_BYTES = 128
"""Around each message, block and tool on the wire: kinds, ids, brackets."""


_OWN_BYTES_PER_TOKEN = 2
"""At least, of the system prompt and the tools: prose and schemas of ours, which nobody outside can make costly."""


class Conversation:
    def __init__(self, system: str, tools: tuple[ToolSpec, ...], question: str) -> None:
        self._system = system
        self._tools = tools
        self._messages: list[Message] = []
        self._known_tokens = 0
        self._bytes = bytes_of(system) + sum(_bytes_of_tool(spec) for spec in tools)
        self._new_tokens = self._bytes // _OWN_BYTES_PER_TOKEN
        self.add(Question(text=question))

    def add(self, message: Message) -> None:
        size = bytes_of_message(message)
        self._messages.append(message)
        self._bytes += size
        if not isinstance(message, Reply):  # a reply is part of its provider's own count
            self._new_tokens += size

    def counted(self, charge: Charge) -> None:
        """The provider's count of all so far, its newest reply included, or the most that it can be."""
        self._known_tokens = charge.usage.all_tokens
        self._new_tokens = 0

    @property
    def size(self) -> Size:
        return Size(known_tokens=self._known_tokens, new_tokens=self._new_tokens, request_bytes=self._bytes)

    def request(self, *, output_tokens: int, must_call: str) -> Request:
        return Request(
            system=self._system,
            tools=self._tools,
            messages=tuple(self._messages),
            max_output_tokens=output_tokens,
            must_call=must_call,
        )


def bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def bytes_of_message(message: Message) -> int:
    match message:
        case Question(text=text):
            return bytes_of(text) + _MARKS_BYTES
        case Reply(blocks=blocks):
            return sum(map(bytes_of_block, blocks)) + _MARKS_BYTES
        case tuple():
            return sum(bytes_of(result.text) + _MARKS_BYTES for result in message) + _MARKS_BYTES
        case _:
            assert_never(message)


def bytes_of_block(block: Block) -> int:
    match block:
        case Text(text=text) | Thinking(text=text):
            return bytes_of(text) + _MARKS_BYTES
        case ToolCall(name=name, raw=raw):
            return bytes_of(name) + bytes_of(raw) + _MARKS_BYTES
        case _:
            assert_never(block)


def _bytes_of_tool(spec: ToolSpec) -> int:
    return bytes_of(spec.name) + bytes_of(spec.description) + len(orjson.dumps(spec.parameters)) + _MARKS_BYTES
