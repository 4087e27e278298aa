"""A request in the words of the Messages API. Pure: a `Request` in, a body out.

Three cache marks: behind the system prompt (tools come before it, so they are covered), behind the newest message of
the user side, and where that mark was one request ago: a mark finds older ones only within twenty blocks, and a turn
may hold more. What is said to one request only stands behind the last mark.

Format: https://platform.claude.com/docs/en/api/messages
Cache: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from responder.analyzer.llm.turn import Message, Question, Reply, Request, ToolResult, ToolSpec
from responder.domain.manifest import Json

_MARK = {"cache_control": {"type": "ephemeral"}}
_NOT_RUN = "not run: the reply was cut"


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How one backend asks, the same in every request."""

    model: str
    thinking: bool
    effort: str
    """Empty: the model's default."""


def body(request: Request, manner: Manner) -> dict[str, Json]:
    messages = _merged(request.messages)
    _mark_newest(messages)
    sent: dict[str, Json] = {
        "model": manner.model,
        "max_tokens": request.max_output_tokens,
        "messages": messages,
        "stream": True,
    }
    if request.tools:
        sent["tools"] = [_tool(spec) for spec in request.tools]
    if request.system:
        sent["system"] = [{"type": "text", "text": request.system, **_MARK}]
    elif request.tools:
        sent["tools"][-1].update(_MARK)
    if manner.effort:
        sent["output_config"] = {"effort": manner.effort}
    if manner.thinking:
        sent["thinking"] = {"type": "adaptive", "display": "summarized"}
    if request.must_call:
        _force(sent, request.must_call)
    return sent


def _force(sent: dict[str, Json], tool: str) -> None:
    """With thinking a tool cannot be forced, and to leave thinking out would make the whole conversation uncached."""
    if "thinking" not in sent:
        sent["tool_choice"] = {"type": "tool", "name": tool}
        return
    said = {"type": "text", "text": f"Your reply now has to be one call of the tool `{tool}`, and nothing else."}
    _append(sent["messages"], "user", [said])


def _tool(spec: ToolSpec) -> dict[str, Json]:
    return {"name": spec.name, "description": spec.description, "input_schema": dict(spec.parameters)}


def _merged(messages: tuple[Message, ...]) -> list[Json]:
    """With roles that alternate, and every call answered: the provider refuses anything else."""
    merged: list[Json] = []
    for message in messages:
        if isinstance(message, Reply):
            _append(merged, "assistant", list(_returned(message.own)))
        else:
            _append(merged, "user", [*_answers(merged, message), *_said(message)])
    return merged


def _append(messages: list[Json], role: str, blocks: list[Json]) -> None:
    if not blocks:
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"].extend(blocks)
    else:
        messages.append({"role": role, "content": blocks})


def _returned(own: Json) -> Iterator[Json]:
    """A reply's blocks unchanged, but for text of blanks only, which models write and the provider does not take."""
    for block in own or ():
        if block["type"] != "text" or block["text"].strip():
            yield dict(block)


def _answers(messages: list[Json], message: Question | tuple[ToolResult, ...]) -> Iterator[Json]:
    """One result for each call of the reply before, in the order of its calls."""
    if not messages or messages[-1]["role"] != "assistant":
        return
    given = {result.call.id: result for result in message} if isinstance(message, tuple) else {}
    for block in messages[-1]["content"]:
        if block["type"] != "tool_use":
            continue
        result = given.get(block["id"])
        answer = {"type": "tool_result", "tool_use_id": block["id"], "content": result.text if result else _NOT_RUN}
        yield {**answer, "is_error": True} if result is None or result.error else answer


def _said(message: Question | tuple[ToolResult, ...]) -> Iterator[Json]:
    if isinstance(message, Question):
        yield {"type": "text", "text": message.text}


def _mark_newest(messages: list[Json]) -> None:
    ends = [message["content"] for message in messages if message["role"] == "user"]
    for content in ends[-2:]:
        content[-1] = {**content[-1], **_MARK}
