"""The Messages API on loopback: replies by a script, in events or whole, by the paths of Anthropic, Bedrock and Vertex.

A request is checked by `messages_check` before the script is asked. Thinking comes with a signature that only this
server can make, so that a client that changes it is found out.

Protocol: https://platform.claude.com/docs/en/api/messages, https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from responder.domain.manifest import Json
from responder.sandbox.providers import messages_check
from responder.sandbox.providers.accounting import BreakpointCache, Counted, canonical, tokens
from responder.sandbox.providers.script import Call, Conversation, Result, Script, Turn
from responder.sandbox.providers.server import ProviderServer, RequestRefused, event, pieces

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class MessagesApi(ProviderServer):
    """`async with MessagesApi(script) as server:` and post to `server.url`."""

    paths = (
        "/v1/messages",
        "/anthropic/v1/messages",
        "/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:streamRawPredict",
        "/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict",
    )
    request_id_header = "request-id"

    def __init__(self, script: Script, *, key: str | None = None) -> None:
        super().__init__(script, key=key)
        self._cache = BreakpointCache()
        self._thinking_of: dict[str, list[Json]] = {}
        """Of each tool call: the thinking that its reply holds, which has to come back with it."""
        self._paused: set[bytes] = set()

    def parse(self, path: str, headers: Mapping[str, str], body: Json) -> Conversation:
        if path.startswith("/projects/"):
            body = {**body, "model": path.rpartition("/")[2].partition(":")[0]}
        elif "anthropic-version" not in headers:
            raise RequestRefused("anthropic-version: header is required")
        messages_check.check(body)
        self._check_thinking(body["messages"])
        last = body["messages"][-1]
        if last["role"] == "assistant" and canonical(_plain(last["content"])[-1]) not in self._paused:
            raise RequestRefused("This model does not support assistant message prefill.")
        return _conversation(body, headers)

    def count(self, conversation: Conversation, turn: Turn) -> Counted:
        prompt = self._cache.count(tuple(_prompt(conversation.body)))
        spoken = [turn.thinking, turn.text, *((call.name, call.arguments) for call in turn.calls)]
        return prompt + Counted(output=tokens(len(canonical([part for part in spoken if part]))))

    def events(self, conversation: Conversation, turn: Turn, counted: Counted) -> Sequence[bytes]:
        return tuple(self._events(conversation, turn, counted))

    def _events(self, conversation: Conversation, turn: Turn, counted: Counted) -> Iterator[bytes]:
        content = self._content(conversation, turn)
        start = {**self._message(conversation), "content": [], "stop_reason": None}
        usage = _usage(turn, counted)
        if usage is not None:
            start["usage"] = {**usage, "output_tokens": 1} if turn.usage == {} else usage
        yield _event({"type": "message_start", "message": start})
        yield _event({"type": "ping"})
        for index, block in enumerate(content):
            yield from _block(index, block)
        end: dict[str, Any] = {
            "type": "message_delta",
            "delta": {"stop_reason": _stop(turn), "stop_sequence": None},
        }
        if usage is not None:
            end["usage"] = usage
        yield _event(end)
        yield _event({"type": "message_stop"})

    def whole(self, conversation: Conversation, turn: Turn, counted: Counted) -> Json:
        content = [
            {**block, "input": _arguments(block["input"])} if block["type"] == "tool_use" else block
            for block in self._content(conversation, turn)
        ]
        body = {**self._message(conversation), "content": content, "stop_reason": _stop(turn)}
        usage = _usage(turn, counted)
        return body if usage is None else {**body, "usage": usage}

    def error(self, status: int, message: str, request_id: str) -> Json:
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}

    def _message(self, conversation: Conversation) -> dict[str, Json]:
        return {
            "id": self.mint("msg_"),
            "type": "message",
            "role": "assistant",
            "model": conversation.body["model"],
            "stop_sequence": None,
        }

    def _content(self, conversation: Conversation, turn: Turn) -> list[dict[str, Any]]:
        """The reply's blocks, and what the next request is held to."""
        blocks: list[dict[str, Any]] = []
        if turn.thinking and _thinks(conversation.body):
            blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": _signature(turn.thinking)})
        if turn.text:
            blocks.append({"type": "text", "text": turn.text})
        thinking = list(blocks[:1]) if blocks and blocks[0]["type"] == "thinking" else []
        for call in turn.calls:
            blocks.append(self._call(call))
            self._thinking_of[blocks[-1]["id"]] = thinking
        if turn.stop == "pause_turn" and blocks:
            self._paused.add(canonical(blocks[-1]))
        return blocks

    def _call(self, call: Call) -> dict[str, Any]:
        arguments = call.arguments if isinstance(call.arguments, str) else dict(call.arguments)
        return {"type": "tool_use", "id": call.id or self.mint("toolu_"), "name": call.name, "input": arguments}

    def _check_thinking(self, messages: Sequence[Json]) -> None:
        for message in messages:
            if message["role"] != "assistant":
                continue
            blocks = _plain(message["content"])
            given = [block for block in blocks if block["type"] == "thinking"]
            for block in given:
                if block.get("signature") != _signature(block.get("thinking", "")):
                    raise RequestRefused("Invalid `signature` in `thinking` block")
            for block in blocks:
                wanted = self._thinking_of.get(block.get("id", ""), [])
                if any(thinking not in given for thinking in wanted):
                    raise RequestRefused("`thinking` blocks in the latest assistant message cannot be modified.")


def _event(data: dict[str, Json]) -> bytes:
    return event(data, data["type"])


def _block(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    """One block as events: an empty start, its pieces, its end."""
    match block["type"]:
        case "thinking":
            start: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            start = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case _:
            start = {**block, "input": {}}
            raw = block["input"] if isinstance(block["input"], str) else orjson.dumps(block["input"]).decode()
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(raw))]
    yield _event({"type": "content_block_start", "index": index, "content_block": start})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _stop(turn: Turn) -> str:
    return turn.stop or ("tool_use" if turn.calls else "end_turn")


def _usage(turn: Turn, counted: Counted) -> dict[str, Json] | None:
    if turn.usage is None:
        return None
    return dict(turn.usage) or {
        "input_tokens": counted.input,
        "cache_creation_input_tokens": counted.cache_write,
        "cache_read_input_tokens": counted.cache_read,
        "output_tokens": counted.output,
    }


def _arguments(arguments: Json) -> Json:
    if not isinstance(arguments, str):
        return arguments
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments


def _signature(thinking: str) -> str:
    return base64.b64encode(hashlib.sha256(b"signed:" + thinking.encode()).digest()).decode()


def _thinks(body: Mapping[str, Any]) -> bool:
    return body.get("thinking", {}).get("type") in {"adaptive", "enabled"}


def _plain(content: Json) -> list[dict[str, Any]]:
    """Content as blocks without their cache marks."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [{name: value for name, value in block.items() if name != "cache_control"} for block in content]


def _prompt(body: Mapping[str, Any]) -> Iterator[tuple[Json, bool]]:
    """The prompt in the order of the cache. A change of tool choice or thinking makes the messages new, as it does."""
    for tool in body.get("tools", ()):
        yield _plain([tool])[0], "cache_control" in tool
    system = body.get("system", [])
    for block, plain in zip(_blocks(system), _plain(system), strict=True):
        yield {"system": plain}, "cache_control" in block
    context = (body.get("tool_choice"), body.get("thinking"))
    for number, message in enumerate(body["messages"]):
        final = number == len(body["messages"]) - 1 and "cache_control" in body
        content = message["content"]
        for place, (block, plain) in enumerate(zip(_blocks(content), _plain(content), strict=True), start=1):
            marked = "cache_control" in block or (final and place == len(_blocks(content)))
            first = {"context": context} if number == 0 and place == 1 else {}
            yield {"role": message["role"], "block": plain, **first}, marked


def _blocks(content: Json) -> Sequence[Mapping[str, Any]]:
    return ({"type": "text"},) if isinstance(content, str) else content


def _conversation(body: Mapping[str, Any], headers: Mapping[str, str]) -> Conversation:
    names: dict[str, str] = {}
    questions: list[str] = []
    results: list[Result] = []
    for message in body["messages"]:
        for block in _plain(message["content"]):
            match block["type"]:
                case "tool_use":
                    names[block["id"]] = block["name"]
                case "tool_result":
                    text = "".join(part["text"] for part in _plain(block.get("content", "")))
                    name = names[block["tool_use_id"]]
                    results.append(Result(tool=name, text=text, error=bool(block.get("is_error"))))
                case "text" if message["role"] == "user":
                    questions.append(block["text"])
    return Conversation(
        turn=1 + sum(message["role"] == "assistant" for message in body["messages"]),
        system="\n".join(block["text"] for block in _plain(body.get("system", []))),
        tools=tuple(tool["name"] for tool in body.get("tools", ())),
        questions=tuple(questions),
        results=tuple(results),
        body=body,
        headers=headers,
    )
