"""What the Messages API refuses about a request, so that tests find what a client gets wrong.

Only what this project can get wrong: the shape of the conversation, the pairing of calls and results, the limits on
cache marks. Models, sizes and prices are not judged.

Rules: https://platform.claude.com/docs/en/api/messages, https://platform.claude.com/docs/en/build-with-claude/tool-use
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from responder.domain.manifest import Json
from responder.sandbox.providers.server import RequestRefused

_KNOWN = frozenset(
    {
        "anthropic_version",
        "cache_control",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
_BLOCKS = {
    "user": frozenset({"text", "tool_result"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking", "tool_use"}),
}
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_CACHE_MARKS = 4


def check(body: Mapping[str, Any]) -> None:
    """Raises RequestRefused."""
    for name in body:
        _require(name in _KNOWN, f"{name}: Extra inputs are not permitted")
    _require(isinstance(body.get("model"), str) and body["model"] != "", "model: Field required")
    limit = body.get("max_tokens")
    _require(type(limit) is int and limit > 0, "max_tokens: a positive integer is required")
    _check_tools(body)
    _check_thinking(body)
    _check_system(body.get("system", []))
    _check_messages(body.get("messages"))
    marks = sum(1 for _ in _marks(body))
    _require(marks <= _MAX_CACHE_MARKS, f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


def _require(holds: bool, problem: str) -> None:  # noqa: FBT001 - reads as the sentence it is
    if not holds:
        raise RequestRefused(problem)


def _check_tools(body: Mapping[str, Any]) -> None:
    names: list[str] = []
    for tool in body.get("tools", ()):
        name = tool.get("name")
        _require(isinstance(name, str) and bool(_TOOL_NAME.fullmatch(name)), f"tools: bad name {name!r}")
        schema = tool.get("input_schema")
        _require(
            isinstance(schema, dict) and schema.get("type") == "object", f"tools.{name}.input_schema: Field required"
        )
        names.append(name)
    _require(len(set(names)) == len(names), "tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice is not None:
        _require(choice.get("type") in {"auto", "any", "tool", "none"}, "tool_choice.type: unknown")
        _require(choice["type"] != "tool" or choice.get("name") in names, "tool_choice.name: no such tool")


def _check_thinking(body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking", {"type": "disabled"})
    _require(thinking.get("type") in {"adaptive", "enabled", "disabled"}, "thinking.type: unknown")
    _require(thinking.get("display", "summarized") in {"summarized", "omitted"}, "thinking.display: unknown")
    forced = body.get("tool_choice", {}).get("type") in {"any", "tool"}
    _require(
        not forced or thinking["type"] == "disabled", "Thinking may not be enabled when tool_choice forces tool use."
    )
    effort = body.get("output_config", {}).get("effort")
    _require(effort is None or effort in _EFFORTS, "output_config.effort: unknown")


def _check_system(system: Json) -> None:
    if not isinstance(system, str):
        for block in system:
            _require(block.get("type") == "text" and block.get("text", "") != "", "system: text must be non-empty")


def _check_messages(messages: Json) -> None:
    _require(isinstance(messages, list) and bool(messages), "messages: at least one message is required")
    waiting: list[str] = []
    seen: set[str] = set()
    for number, message in enumerate(messages):
        role = "assistant" if number % 2 else "user"
        _require(message.get("role") == role, f"messages.{number}: roles must alternate, expected {role}")
        blocks = _content(message.get("content"), number)
        for block in blocks:
            _check_block(block, role, number)
        if role == "user":
            _check_answers(blocks, waiting, number)
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        _require(
            len(set(waiting)) == len(waiting) and not seen.intersection(waiting),
            f"messages.{number}: `tool_use` ids must be unique",
        )
        seen.update(waiting)
    _require(not waiting, "messages: `tool_use` ids were found without `tool_result` blocks immediately after")


def _content(content: Json, number: int) -> Sequence[Mapping[str, Any]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    _require(isinstance(blocks, list) and bool(blocks), f"messages.{number}: content must be non-empty")
    return list(blocks)


def _check_block(block: Mapping[str, Any], role: str, number: int) -> None:
    kind = block.get("type")
    _require(kind in _BLOCKS[role], f"messages.{number}: {kind!r} is not allowed in a message of role {role}")
    match kind:
        case "text":
            _require(
                isinstance(block.get("text"), str) and block["text"].strip() != "",
                f"messages.{number}: text content blocks must contain non-whitespace text",
            )
        case "thinking":
            _require("cache_control" not in block, f"messages.{number}: thinking cannot have cache_control")
            _require(bool(block.get("signature")), f"messages.{number}: thinking.signature: Field required")
        case "tool_use":
            _require(isinstance(block.get("input"), dict), f"messages.{number}: tool_use.input must be an object")
            identity = block.get("id")
            _require(
                isinstance(identity, str) and bool(_CALL_ID.fullmatch(identity)), f"messages.{number}: tool_use.id"
            )


def _check_answers(blocks: Sequence[Mapping[str, Any]], waiting: Sequence[str], number: int) -> None:
    kinds = [block["type"] for block in blocks]
    first = kinds.index("text") if "text" in kinds else len(kinds)
    _require("tool_result" not in kinds[first:], f"messages.{number}: tool_result blocks must come first")
    answered = [block.get("tool_use_id") for block in blocks[:first]]
    _require(
        sorted(map(str, answered)) == sorted(waiting),
        f"messages.{number}: each `tool_use` must have exactly one `tool_result` in the next message",
    )


def _marks(body: Json) -> Iterator[Json]:
    if isinstance(body, dict):
        if "cache_control" in body:
            yield body
        for name in ("tools", "system", "messages", "content"):
            yield from _marks(body.get(name))
    elif isinstance(body, list):
        for part in body:
            yield from _marks(part)
