"""A request in the words of Chat Completions, as far as servers differ in them. Pure: a `Request` in, a body out.

Format: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from responder.analyzer.llm.turn import Message, Question, Reply, Request, ToolCall, ToolResult, ToolSpec
from responder.domain.manifest import Json


class Forcing(Enum):
    """How a server is told to call one tool, strongest first."""

    NAMED = "named"
    REQUIRED = "required"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a request is put, as far as servers differ."""

    forcing: Forcing = Forcing.NAMED
    limit: str = "max_tokens"
    """The name that every server knows, but for the newest models of OpenAI's own."""
    counted: bool = True
    """Whether the count of tokens is asked for."""

    def other(self, problem: str, *, forced: bool) -> Spelling | None:
        """What to try after the server refused this one with `problem`; None where nothing is left."""
        if self.limit == "max_tokens" and "max_completion_tokens" in problem:
            return replace(self, limit="max_completion_tokens")
        if self.counted and "stream_options" in problem:
            return replace(self, counted=False)
        if forced and self.forcing is Forcing.NAMED:
            return replace(self, forcing=Forcing.REQUIRED)
        if forced and self.forcing is Forcing.REQUIRED:
            return replace(self, forcing=Forcing.NONE)
        return None


def body(request: Request, spelling: Spelling) -> dict[str, Json]:
    """Everything of a request besides the model. Its beginning never changes: the server keeps it in its cache."""
    sent: dict[str, Json] = {
        "messages": [{"role": "system", "content": request.system}, *_messages(request.messages)],
        spelling.limit: request.max_output_tokens,
    }
    if spelling.counted:
        sent["stream_options"] = {"include_usage": True}
    if request.tools:
        sent["tools"] = [_tool(spec) for spec in request.tools]
    if request.must_call and spelling.forcing is Forcing.NAMED:
        sent["tool_choice"] = {"type": "function", "function": {"name": request.must_call}}
    elif request.must_call and spelling.forcing is Forcing.REQUIRED:
        sent["tool_choice"] = "required"
    return sent


def _messages(messages: tuple[Message, ...]) -> list[Json]:
    """In the provider's words. A call that nobody answered is answered here: servers refuse it open."""
    sent: list[Json] = []
    unanswered: tuple[str, ...] = ()
    for message in messages:
        answers = {result.call.id: _result(result) for result in message} if isinstance(message, tuple) else {}
        for call_id in unanswered:
            sent.append({"role": "tool", "tool_call_id": call_id, "content": answers.get(call_id, "not run")})
        unanswered = ()
        if isinstance(message, Question):
            sent.append({"role": "user", "content": message.text})
        elif isinstance(message, Reply):
            sent.append(message.own)
            unanswered = tuple(block.id for block in message.blocks if isinstance(block, ToolCall))
    return sent


def _result(result: ToolResult) -> str:
    """The protocol has no mark for an error."""
    return f"error:\n{result.text}" if result.error else result.text


def _tool(spec: ToolSpec) -> Json:
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)},
    }
