"""A stub of OpenAI's Chat Completions, as vLLM, Ollama and llama.cpp speak it; how far they differ is a `Dialect`.

Requests are held to what the strict ones among them check, so that a conversation that is accepted here is accepted
there: every tool call answered, every argument JSON, tools with a schema.

Reference: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from responder.domain.manifest import Json, dig, items, mapping, text
from responder.patterns import Pattern
from responder.sandbox.providers.accounting import Counted, PrefixCache, canonical, tokens
from responder.sandbox.providers.script import Call, Conversation, Result, Script, Turn
from responder.sandbox.providers.server import ProviderServer, RequestRefused, event, pieces

_NAME = Pattern(r"^[A-Za-z0-9_-]{1,64}$")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Where servers differ from the reference, each a thing that some real one does."""

    reports_usage: bool = True
    """False: no count of tokens, even where it is asked for."""
    whole_calls: bool = False
    """Name and arguments of a tool call in one chunk: Ollama."""
    call_ids: str = "given"
    """`given`, `empty`, or `missing`: older Ollama."""
    call_index: str = "given"
    """`given`, `zero` (every call is number 0: older Ollama), or `missing`."""
    says_stop: bool = False
    """`finish_reason` is `stop` although there are tool calls."""
    null_content: bool = False
    """Every chunk without text says `content: null`."""
    says_done: bool = True
    """False: the stream ends without `[DONE]`."""
    reasoning_field: str = "reasoning_content"
    """`reasoning` in newer vLLM, Ollama and OpenRouter."""
    tool_choice: str = "named"
    """What can be forced: `named`, `required`, or `none`; anything beyond is a 400."""
    knows_stream_options: bool = True
    limit: str = "max_tokens"
    """`max_completion_tokens`: the other name is a 400, as for newer models of OpenAI's own."""
    streams: bool = True
    """False: one JSON body, even where a stream is asked for."""
    error_after_events: int | None = None
    """After so many events of the stream comes an error in place of a chunk, and nothing more."""
    error: Mapping[str, Any] | None = None
    """The error of `error_after_events`; None: vLLM's form of an internal error."""
    indexed_pieces_repeat: bool = False
    """Every piece of a tool call repeats its id and name: some gateways."""


class ChatApi(ProviderServer):
    """`async with ChatApi(script) as server`; the client's base address is `server.base_url`."""

    paths = ("/v1/chat/completions",)
    request_id_header = "x-request-id"

    def __init__(self, script: Script, *, key: str | None = None, dialect: Dialect | None = None) -> None:
        super().__init__(script, key=key)
        self.dialect = dialect or Dialect()
        self._cache = PrefixCache()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def parse(self, path: str, headers: Mapping[str, str], body: Json) -> Conversation:
        _check_parameters(body, self.dialect)
        tools = tuple(_tool_name(tool) for tool in body.get("tools") or ())
        _check_choice(body.get("tool_choice"), tools, self.dialect)
        return _conversation(body if self.dialect.streams else {**body, "stream": False}, headers, tools)

    def count(self, conversation: Conversation, turn: Turn) -> Counted:
        body = conversation.body
        prompt = b"".join(canonical(part) for part in (body.get("tools") or [], *body["messages"]))
        written = tokens(len(canonical([turn.thinking, turn.text, [[c.name, _raw(c)] for c in turn.calls]])))
        return self._cache.count(prompt) + Counted(output=written)

    def events(self, conversation: Conversation, turn: Turn, counted: Counted) -> Sequence[bytes]:
        dialect = self.dialect
        id_, model = self.mint("chatcmpl-"), conversation.body["model"]

        def chunk(choices: list[Json], **more: Json) -> bytes:
            frame = {"id": id_, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
            return event({**frame, "choices": choices, **more})

        deltas = [*self._deltas(turn), {}]
        reasons = [None] * (len(deltas) - 1) + [_finish_reason(turn, dialect)]
        told = [
            chunk([{"index": 0, "delta": self._shaped(delta), "finish_reason": reason}])
            for delta, reason in zip(deltas, reasons, strict=True)
        ]
        usage = _usage(turn, counted)
        if usage is not None and dialect.reports_usage and dig(conversation.body, "stream_options", "include_usage"):
            told.append(chunk([], usage=usage))
        if dialect.says_done:
            told.append(event("[DONE]"))
        if dialect.error_after_events is None:
            return told
        error = dialect.error or {"message": "EngineCore died", "type": "InternalServerError", "code": 500}
        return [*told[: dialect.error_after_events], event({"error": error})]

    def whole(self, conversation: Conversation, turn: Turn, counted: Counted) -> Json:
        message: dict[str, Json] = {"role": "assistant", "content": turn.text or None}
        if turn.thinking:
            message[self.dialect.reasoning_field] = turn.thinking
        if turn.calls:
            message["tool_calls"] = [self._call(call) for call in turn.calls]
        usage = _usage(turn, counted)
        return {
            "id": self.mint("chatcmpl-"),
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": conversation.body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": _finish_reason(turn, self.dialect)}],
            **({} if usage is None or not self.dialect.reports_usage else {"usage": usage}),
        }

    def error(self, status: int, message: str, request_id: str) -> Json:
        kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def _deltas(self, turn: Turn) -> Iterator[dict[str, Json]]:
        yield {"role": "assistant", "content": ""}
        for piece in pieces(turn.thinking):
            yield {self.dialect.reasoning_field: piece}
        for piece in pieces(turn.text):
            yield {"content": piece}
        for index, call in enumerate(turn.calls):
            numbered: dict[str, Json] = {"given": {"index": index}, "zero": {"index": 0}}.get(
                self.dialect.call_index, {}
            )
            for part in self._call_pieces(call):
                yield {"tool_calls": [{**numbered, **part}]}

    def _call_pieces(self, call: Call) -> Iterator[dict[str, Json]]:
        whole = self._call(call)
        raw = whole["function"]["arguments"]
        if self.dialect.whole_calls:
            yield whole
            return
        again = whole if self.dialect.indexed_pieces_repeat else {"function": {}}
        yield {**whole, "function": {"name": call.name, "arguments": ""}}
        for piece in pieces(raw):
            yield {**again, "function": {**again["function"], "arguments": piece}}

    def _call(self, call: Call) -> dict[str, Json]:
        spelt: dict[str, Json] = {"type": "function", "function": {"name": call.name, "arguments": _raw(call)}}
        match self.dialect.call_ids:
            case "given":
                spelt["id"] = call.id or self.mint("call_")
            case "empty":
                spelt["id"] = ""
        return spelt

    def _shaped(self, delta: dict[str, Json]) -> dict[str, Json]:
        return {"content": None, **delta} if self.dialect.null_content else delta


def _raw(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else orjson.dumps(dict(call.arguments)).decode()


def _finish_reason(turn: Turn, dialect: Dialect) -> str:
    return turn.stop or ("tool_calls" if turn.calls and not dialect.says_stop else "stop")


def _usage(turn: Turn, counted: Counted) -> Json:
    if turn.usage is None:
        return None
    return dict(turn.usage) or {
        "prompt_tokens": counted.prompt,
        "completion_tokens": counted.output,
        "total_tokens": counted.prompt + counted.output,
        "prompt_tokens_details": {"cached_tokens": counted.cache_read},
    }


def _check_parameters(body: Mapping[str, Json], dialect: Dialect) -> None:
    if not text(body, "model"):
        raise RequestRefused("you must provide a model parameter")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise RequestRefused("messages: at least one message is required")
    if not isinstance(body.get("stream", False), bool):
        raise RequestRefused("stream: not a boolean")
    if "stream_options" in body and not (body.get("stream") and dialect.knows_stream_options):
        raise RequestRefused("unsupported parameter: stream_options")
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[dialect.limit]
    if other == "max_tokens" and other in body:
        raise RequestRefused(f"unsupported parameter: '{other}' is not supported, use '{dialect.limit}' instead")
    limit = body.get(dialect.limit)
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise RequestRefused(f"{dialect.limit}: must be at least 1")


def _tool_name(tool: Json) -> str:
    name = text(tool, "function", "name")
    if dig(tool, "type") != "function" or not _NAME.found(name):
        raise RequestRefused(f"tools: not a function with a name of letters, digits, _ and -: {name!r}")
    if dig(tool, "function", "parameters", "type") != "object":
        raise RequestRefused(f"tools: the schema of {name} has to be of type object")
    return name


def _check_choice(choice: Json, tools: tuple[str, ...], dialect: Dialect) -> None:
    if choice in (None, "auto", "none"):
        return
    if not tools:
        raise RequestRefused("tool_choice is only allowed when tools are specified")
    if choice == "required":
        if dialect.tool_choice == "none":
            raise RequestRefused("tool_choice: only auto is supported")
        return
    name = text(choice, "function", "name")
    if dialect.tool_choice != "named" or dig(choice, "type") != "function" or name not in tools:
        raise RequestRefused(f"tool_choice: not supported, or no such tool: {name!r}")


def _conversation(body: Json, headers: Mapping[str, str], tools: tuple[str, ...]) -> Conversation:
    system: list[str] = []
    questions: list[str] = []
    results: list[Result] = []
    turn = 1
    open_calls: dict[str, str] = {}
    for place, message in enumerate(body["messages"]):
        role = text(message, "role")
        if role not in _ROLES:
            raise RequestRefused(f"messages[{place}]: unknown role {role!r}")
        if open_calls and role != "tool":
            raise RequestRefused(f"messages[{place}]: tool calls without an answer: {', '.join(open_calls)}")
        match role:
            case "system" | "developer":
                system.append(_content(message, place))
            case "user":
                questions.append(_content(message, place))
            case "assistant":
                turn += 1
                open_calls = _open_calls(message, place)
            case "tool":
                results.append(_result(message, place, open_calls))
    if open_calls:
        raise RequestRefused(f"tool calls without an answer: {', '.join(open_calls)}")
    return Conversation(
        turn=turn,
        system="\n".join(system),
        tools=tools,
        questions=tuple(questions),
        results=tuple(results),
        body=body,
        headers=headers,
    )


def _content(message: Json, place: int) -> str:
    content = mapping(message).get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(text(part, "type") == "text" for part in content):
        return "".join(text(part, "text") for part in content)
    raise RequestRefused(f"messages[{place}]: content has to be a text or a list of text parts")


def _open_calls(message: Json, place: int) -> dict[str, str]:
    """Names of the tools by the ids of their calls."""
    calls: dict[str, str] = {}
    for call in items(message, "tool_calls"):
        id_, name = text(call, "id"), text(call, "function", "name")
        if not id_ or id_ in calls or dig(call, "type") != "function" or not _NAME.found(name):
            raise RequestRefused(f"messages[{place}]: a tool call without an id of its own, a type or a name")
        try:
            arguments = orjson.loads(text(call, "function", "arguments"))
        except orjson.JSONDecodeError as exc:
            raise RequestRefused(f"messages[{place}]: the arguments of {id_} are no JSON") from exc
        if not isinstance(arguments, dict):
            raise RequestRefused(f"messages[{place}]: the arguments of {id_} are no object")
        calls[id_] = name
    if not calls:
        _content(message, place)
    return calls


def _result(message: Json, place: int, open_calls: dict[str, str]) -> Result:
    id_ = text(message, "tool_call_id")
    if id_ not in open_calls:
        raise RequestRefused(f"messages[{place}]: tool_call_id {id_!r} answers no call before it")
    content = _content(message, place)
    return Result(tool=open_calls.pop(id_), text=content, error=content.startswith("error:\n"))
