"""The backend `claude` over the real SDK, against the protocol's stub on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import anyio
import httpx2
import pytest
from aiohttp.web_protocol import RequestHandler

from responder.analyzer.llm.claude import ClaudeBackend, refusal_of
from responder.analyzer.llm.claude_request import Manner
from responder.analyzer.llm.turn import (
    MAX_REPLY_BYTES,
    Block,
    ProviderError,
    Question,
    Refusal,
    Reply,
    Request,
    Stop,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from responder.domain.errors import ConfigError
from responder.domain.investigation import Usage
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Turn, requests, turns
from responder.settings import Claude

KEY = "sk-ant-test-0123456789abcdefghij"
GET = ToolSpec(
    name="get",
    description="Reads one object",
    parameters={"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False},
)
CONCLUDE = ToolSpec(name="conclude", description="Ends the run", parameters={"type": "object"})
LOOK = Turn(thinking="What does the pod say?", text="I look.", calls=(Call(name="get", arguments={"name": "web"}),))
DONE = Turn(text="It lacks a file.")

Open = Callable[..., Any]


class Told:
    """What `on_block` was told."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    async def __call__(self, block: Block) -> None:
        self.blocks.append(block)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    return path


@pytest.fixture
async def open_backend(key_file: Path) -> AsyncIterator[Open]:
    backends: list[ClaudeBackend] = []

    async def opened(url: str, **changes: Any) -> ClaudeBackend:
        settings = Claude(**{"model": "claude-test", "base_url": url, "api_key_file": key_file, **changes})
        backends.append(await ClaudeBackend.open(settings))
        return backends[-1]

    yield opened
    for backend in backends:
        await backend.close()


def asked(*more: Reply | Question | tuple[ToolResult, ...], system: str = "You look.", must_call: str = "") -> Request:
    return Request(
        system=system,
        tools=(GET, CONCLUDE),
        messages=(Question(text="Why is web down?"), *more),
        max_output_tokens=1000,
        must_call=must_call,
    )


def results(reply: Reply, text: str = "nothing") -> tuple[ToolResult, ...]:
    return tuple(ToolResult(call=block, text=text) for block in reply.blocks if isinstance(block, ToolCall))


async def refused(backend: ClaudeBackend, told: Told, seconds: float = 20.0) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await backend.complete(asked(), seconds=seconds, on_block=told)
    return caught.value


async def test_reply_comes_block_by_block(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(LOOK), key=KEY) as server:
        reply = await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
    thinking, text, call = reply.blocks
    assert thinking == Thinking(text=LOOK.thinking)
    assert text == Text(text=LOOK.text)
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments, json.loads(call.raw)) == ("get", {"name": "web"}, {"name": "web"})
    assert tuple(told.blocks) == reply.blocks
    assert (reply.stop, reply.stop_reason, reply.model) == (Stop.TOOLS, "tool_use", "claude-test")
    assert reply.request_id.startswith("req_")


async def test_request_is_what_the_settings_say(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(DONE)) as server:
        backend = await open_backend(server.url, effort="high")
        await backend.complete(asked(), seconds=20, on_block=told)
        body, headers = server.requests[0].body, server.requests[0].headers
    assert body["model"] == "claude-test"
    assert body["max_tokens"] == 1000
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "high"}
    assert headers["authorization"] == f"Bearer {KEY}"


async def test_headers_tell_nothing_about_the_host(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(DONE)) as server:
        await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
        names = set(server.requests[0].headers)
    assert {name for name in names if name.startswith("x-")} == {"x-stainless-raw-response"}


async def test_thinking_goes_back_unchanged_with_its_signature(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(LOOK, DONE)) as server:
        backend = await open_backend(server.url)
        first = await backend.complete(asked(), seconds=20, on_block=told)
        second = await backend.complete(asked(first, results(first)), seconds=20, on_block=told)
        sent = server.requests[1].body["messages"][1]["content"][0]
    assert (sent["type"], sent["thinking"]) == ("thinking", LOOK.thinking)
    assert sent["signature"]
    assert second.stop is Stop.DONE


async def test_results_reach_the_model_with_their_errors(open_backend: Open, told: Told) -> None:
    two = Turn(calls=(Call(name="get", arguments={"name": "a"}), Call(name="get", arguments={"name": "b"})))
    async with MessagesApi(turns(two, DONE)) as server:
        backend = await open_backend(server.url)
        reply = await backend.complete(asked(), seconds=20, on_block=told)
        one, other = results(reply)
        answered = (one, ToolResult(call=other.call, text="forbidden", error=True))
        await backend.complete(asked(reply, answered), seconds=20, on_block=told)
        conversation = server.requests[1].conversation
    assert conversation is not None
    assert [(result.tool, result.text, result.error) for result in conversation.results] == [
        ("get", "nothing", False),
        ("get", "forbidden", True),
    ]


async def test_thousand_calls_in_one_reply_come_in_order(open_backend: Open, told: Told) -> None:
    many = Turn(calls=tuple(Call(name="get", arguments={"name": f"p{n}"}) for n in range(1000)))
    async with MessagesApi(turns(many, DONE)) as server:
        backend = await open_backend(server.url)
        reply = await backend.complete(asked(), seconds=60, on_block=told)
        again = await backend.complete(asked(reply, results(reply)), seconds=60, on_block=told)
    assert [block.arguments["name"] for block in results_calls(reply)] == [f"p{n}" for n in range(1000)]
    assert again.stop is Stop.DONE


def results_calls(reply: Reply) -> list[Any]:
    return [block for block in reply.blocks if isinstance(block, ToolCall)]


async def test_question_follows_results_in_one_message(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(LOOK, DONE)) as server:
        backend = await open_backend(server.url)
        reply = await backend.complete(asked(), seconds=20, on_block=told)
        await backend.complete(asked(reply, results(reply), Question(text="Conclude.")), seconds=20, on_block=told)
        kinds = [block["type"] for block in server.requests[1].body["messages"][2]["content"]]
    assert kinds == ["tool_result", "text"]


async def test_call_that_nobody_answered_is_answered_as_not_run(open_backend: Open, told: Told) -> None:
    cut = Turn(calls=(Call(name="get", arguments='{"name": "we'),), stop="max_tokens")
    async with MessagesApi(turns(cut, DONE)) as server:
        backend = await open_backend(server.url)
        reply = await backend.complete(asked(), seconds=20, on_block=told)
        await backend.complete(asked(reply, Question(text="Go on.")), seconds=20, on_block=told)
        conversation = server.requests[1].conversation
    assert reply.stop is Stop.LENGTH
    assert conversation is not None
    assert conversation.results[0].error


async def test_paused_reply_goes_on_in_the_same_turn(open_backend: Open, told: Told) -> None:
    async with MessagesApi(requests(Turn(text="Half", stop="pause_turn"), LOOK, DONE)) as server:
        backend = await open_backend(server.url)
        half = await backend.complete(asked(), seconds=20, on_block=told)
        rest = await backend.complete(asked(half), seconds=20, on_block=told)
        end = await backend.complete(asked(half, rest, results(rest)), seconds=20, on_block=told)
    assert half.stop is Stop.PAUSED
    assert end.stop is Stop.DONE


async def test_text_of_blanks_is_not_sent_back(open_backend: Open, told: Told) -> None:
    blank = Turn(text="\n\n", calls=(Call(name="get", arguments={}),))
    async with MessagesApi(turns(blank, DONE)) as server:
        backend = await open_backend(server.url, thinking=False)
        reply = await backend.complete(asked(), seconds=20, on_block=told)
        await backend.complete(asked(reply, results(reply)), seconds=20, on_block=told)


async def test_tool_is_forced_where_there_is_no_thinking(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(DONE)) as server:
        backend = await open_backend(server.url, thinking=False)
        await backend.complete(asked(must_call="conclude"), seconds=20, on_block=told)
        body = server.requests[0].body
    assert body["tool_choice"] == {"type": "tool", "name": "conclude"}
    assert "thinking" not in body


async def test_tool_is_asked_for_behind_the_cache_mark_where_thinking_bars_force(
    open_backend: Open, told: Told
) -> None:
    async with MessagesApi(turns(DONE)) as server:
        backend = await open_backend(server.url)
        await backend.complete(asked(must_call="conclude"), seconds=20, on_block=told)
        body = server.requests[0].body
    question, said = body["messages"][-1]["content"]
    assert "tool_choice" not in body
    assert "cache_control" in question
    assert "cache_control" not in said
    assert "conclude" in said["text"]


async def test_all_but_the_newest_turn_is_read_from_the_cache(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(LOOK, LOOK, LOOK, LOOK, DONE)) as server:
        backend = await open_backend(server.url)
        history: list[Any] = []
        for _ in range(5):
            reply = await backend.complete(asked(*history, system="word " * 2000), seconds=20, on_block=told)
            history += [reply, results(reply, "line of a log\n" * 200)]
        first, *later = server.accounting.each
    assert first.cache_write > 2000
    for before, count in zip([first, *later], later, strict=False):
        assert count.cache_read == before.cache_read + before.cache_write
        assert count.input < 20


async def test_turn_of_more_blocks_than_the_cache_looks_back_still_reads_what_came_before(
    open_backend: Open, told: Told
) -> None:
    many = Turn(calls=tuple(Call(name="get", arguments={"name": f"p{n}"}) for n in range(30)))
    async with MessagesApi(turns(many, DONE)) as server:
        backend = await open_backend(server.url)
        reply = await backend.complete(asked(system="word " * 2000), seconds=20, on_block=told)
        await backend.complete(asked(reply, results(reply), system="word " * 2000), seconds=20, on_block=told)
        first, second = server.accounting.each
    assert second.cache_read == first.cache_write


async def test_usage_is_what_the_provider_counted(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(DONE)) as server:
        reply = await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
        counted = server.accounting.total
    assert reply.usage == Usage(input_tokens=counted.input, output_tokens=counted.output)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (None, None),
        ({"input_tokens": 10**12, "output_tokens": -5}, Usage(input_tokens=10**12, output_tokens=-5)),
        ({"input_tokens": "12", "output_tokens": True}, Usage(input_tokens=-1, output_tokens=-1)),
        ({"output_tokens": 3}, Usage(input_tokens=-1, output_tokens=3)),
    ],
)
async def test_usage_passes_through_however_absurd(
    open_backend: Open, told: Told, reported: dict[str, Any] | None, usage: Usage | None
) -> None:
    async with MessagesApi(turns(Turn(text="x", usage=reported))) as server:
        reply = await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
    assert reply.usage == usage


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("end_turn", Stop.DONE),
        ("stop_sequence", Stop.DONE),
        ("max_tokens", Stop.LENGTH),
        ("refusal", Stop.REFUSED),
        ("model_context_window_exceeded", Stop.CONTEXT),
        ("pause_turn", Stop.PAUSED),
        ("something_new", Stop.OTHER),
    ],
)
async def test_stop_reasons(open_backend: Open, told: Told, word: str, stop: Stop) -> None:
    async with MessagesApi(turns(Turn(text="x", stop=word))) as server:
        reply = await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
    assert (reply.stop, reply.stop_reason) == (stop, word)


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, Refusal.REJECTED),
        (401, Refusal.UNAUTHORIZED),
        (402, Refusal.UNAUTHORIZED),
        (403, Refusal.UNAUTHORIZED),
        (404, Refusal.REJECTED),
        (408, Refusal.TIMED_OUT),
        (413, Refusal.REJECTED),
        (422, Refusal.REJECTED),
        (429, Refusal.RATE_LIMITED),
        (500, Refusal.FAILED),
        (503, Refusal.FAILED),
        (529, Refusal.OVERLOADED),
    ],
)
async def test_status_is_a_refusal_with_the_providers_words(
    open_backend: Open, told: Told, status: int, refusal: Refusal
) -> None:
    async with MessagesApi(turns(Turn(status=status, text="so it is"))) as server:
        error = await refused(await open_backend(server.url), told)
        assert len(server.requests) == 1
    assert error.refusal is refusal
    assert "so it is" in error.problem


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1e30"}, 1e30),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"date": "Mon, 02 Nov 2026 10:00:00 GMT", "retry-after": "Mon, 02 Nov 2026 10:01:30 GMT"}, 90.0),
        ({}, None),
    ],
)
async def test_retry_after_is_told_and_not_obeyed(
    open_backend: Open, told: Told, headers: dict[str, str], seconds: float | None
) -> None:
    async with MessagesApi(turns(Turn(status=429, text="slowly", headers=headers))) as server:
        error = await refused(await open_backend(server.url), told)
    assert error.retry_after == seconds


def _replace(key_file: Path, key: str) -> None:
    key_file.write_text(key)


def _remove(key_file: Path) -> None:
    key_file.unlink()


async def test_new_key_in_the_file_is_used_by_the_next_request(open_backend: Open, told: Told, key_file: Path) -> None:
    async with MessagesApi(turns(DONE), key="new-key-0123456789") as server:
        backend = await open_backend(server.url)
        assert (await refused(backend, told)).refusal is Refusal.UNAUTHORIZED
        _replace(key_file, "new-key-0123456789")
        assert (await backend.complete(asked(), seconds=20, on_block=told)).stop is Stop.DONE


async def test_missing_key_is_no_request(open_backend: Open, told: Told, key_file: Path) -> None:
    async with MessagesApi(turns(DONE)) as server:
        backend = await open_backend(server.url)
        _remove(key_file)
        error = await refused(backend, told)
        assert not server.requests
    assert error.refusal is Refusal.UNAUTHORIZED
    assert str(key_file) in error.problem


@pytest.mark.inv(46)
async def test_key_is_in_no_error(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(Turn(status=400, text=f"what is {KEY} and password=hunter2hunter2?"))) as server:
        error = await refused(await open_backend(server.url), told)
    assert KEY not in str(error)
    assert "hunter2" not in str(error)
    assert error.__cause__ is None


async def test_nobody_listening_is_unreachable(open_backend: Open, told: Told, unused_tcp_port: int) -> None:
    error = await refused(await open_backend(f"http://127.0.0.1:{unused_tcp_port}"), told)
    assert error.refusal is Refusal.UNREACHABLE


async def test_stall_ends_with_the_time_given(open_backend: Open, told: Told) -> None:
    turn = Turn(text="I think", calls=LOOK.calls, stall_after_events=6)
    async with MessagesApi(turns(turn)) as server:
        error = await refused(await open_backend(server.url), told, seconds=0.5)
    assert error.refusal is Refusal.TIMED_OUT
    assert told.blocks == [Text(text="I think")]


async def test_silence_ends_with_the_time_given(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(Turn(text="late", delay_seconds=60))) as server:
        error = await refused(await open_backend(server.url), told, seconds=0.3)
    assert error.refusal is Refusal.TIMED_OUT


async def test_blocks_before_a_cut_stay_told(open_backend: Open, told: Told) -> None:
    turn = Turn(text="I look.", calls=LOOK.calls, cut_after_events=7)
    async with MessagesApi(turns(turn)) as server:
        error = await refused(await open_backend(server.url), told)
    assert error.refusal is Refusal.CUT
    assert told.blocks == [Text(text="I look.")]


async def test_connection_closed_before_anything_came_is_unreachable(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(Turn(raw_body=b""))) as server:
        error = await refused(await open_backend(server.url), told)
    assert error.refusal is Refusal.UNREACHABLE


def _stream(*events: Any) -> bytes:
    return b"".join(b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events)


_START = {"type": "message_start", "message": {"model": "m"}}
_TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
_TOOL = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "name": "get"}}
_CLOSE = {"type": "content_block_stop", "index": 0}
_END = {"type": "message_stop"}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        _stream(b"{no json"),
        _stream(_TEXT),
        _stream(_START, _START),
        _stream(_START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}),
        _stream(_START, _TEXT, _TEXT),
        _stream(_START, {**_TEXT, "index": "0"}),
        _stream(_START, {**_TEXT, "content_block": None}),
        _stream(_START, _TOOL, _CLOSE),
        _stream(_START, _CLOSE),
        _stream(_START, _TEXT, _END),
        _stream([_START], 7, None, "x"),
        b"data: " + b"x" * (3 * MAX_REPLY_BYTES),
    ],
)
async def test_stream_that_contradicts_the_protocol_is_malformed(open_backend: Open, told: Told, body: bytes) -> None:
    async with MessagesApi(turns(Turn(raw_body=body))) as server:
        error = await refused(await open_backend(server.url), told)
    assert error.refusal is Refusal.MALFORMED


async def test_unknown_events_and_blocks_are_passed_over(open_backend: Open, told: Told) -> None:
    body = _stream(
        _START,
        {"type": "weather", "rain": True},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "mood", "data": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "mood_delta", "mood": "y"}},
        _CLOSE,
        _END,
    )
    async with MessagesApi(turns(Turn(raw_body=body))) as server:
        reply = await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
    assert reply.blocks == ()
    assert reply.own == [{"type": "mood", "data": "x"}]


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("overloaded_error", Refusal.OVERLOADED),
        ("api_error", Refusal.FAILED),
        ("rate_limit_error", Refusal.RATE_LIMITED),
    ],
)
async def test_error_in_the_stream_is_a_refusal(open_backend: Open, told: Told, kind: str, refusal: Refusal) -> None:
    body = _stream(_START, {"type": "error", "error": {"type": kind, "message": "Sorry"}})
    async with MessagesApi(turns(Turn(raw_body=body))) as server:
        error = await refused(await open_backend(server.url), told)
    assert (error.refusal, error.problem) == (refusal, f"{kind}: Sorry")


@pytest.mark.parametrize("arguments", ['{"name": ', "[1, 2]", '"web"', "NaN", '{"a": ' * 600 + "1" + "}" * 600])
async def test_arguments_that_are_no_object_stay_as_they_came(open_backend: Open, told: Told, arguments: str) -> None:
    async with MessagesApi(turns(Turn(calls=(Call(name="get", arguments=arguments),)), DONE)) as server:
        backend = await open_backend(server.url)
        reply = await backend.complete(asked(), seconds=20, on_block=told)
        (call,) = results_calls(reply)
        await backend.complete(asked(reply, results(reply)), seconds=20, on_block=told)
    assert call.arguments is None
    assert call.raw == arguments


@pytest.mark.inv(43)
@pytest.mark.parametrize(
    "turn", [Turn(text="x" * 5_000_000), Turn(calls=(Call(name="get", arguments="x" * 5_000_000),))]
)
async def test_reply_of_five_megabytes_is_malformed(open_backend: Open, told: Told, turn: Turn) -> None:
    async with MessagesApi(turns(turn)) as server:
        error = await refused(await open_backend(server.url), told)
    assert error.refusal is Refusal.MALFORMED
    assert not told.blocks


async def test_error_body_of_five_megabytes_is_not_kept(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(Turn(status=500, text="x" * 5_000_000))) as server:
        error = await refused(await open_backend(server.url), told)
    assert len(str(error)) < 500


async def test_error_of_the_listener_comes_out_as_it_is(open_backend: Open) -> None:
    async def broken(_: Block) -> None:
        raise LookupError("the record is full")

    async with MessagesApi(turns(DONE)) as server:
        with pytest.raises(LookupError):
            await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=broken)


async def test_cancelled_request_is_cancelled(open_backend: Open, told: Told) -> None:
    seen = asyncio.Event()

    def script(_: Any) -> Turn:
        seen.set()
        return Turn(text="late", delay_seconds=60)

    async with MessagesApi(script) as server:
        backend = await open_backend(server.url)
        task = asyncio.create_task(backend.complete(asked(), seconds=60, on_block=told))
        await asyncio.wait_for(seen.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_environment_is_not_read(open_backend: Open, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of-the-environment")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of-the-environment")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-leak: a\nAuthorization: Bearer b\nanthropic-version: c")
    async with MessagesApi(turns(DONE), key=KEY) as server:
        await (await open_backend(server.url)).complete(asked(), seconds=20, on_block=told)
        headers = server.requests[0].headers
    assert "x-leak" not in headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["anthropic-version"][:2] == "20"


async def test_gateway_without_a_key_gets_no_authorization(open_backend: Open, told: Told) -> None:
    async with MessagesApi(turns(DONE)) as server:
        backend = await open_backend(server.url, api_key_file=None)
        await backend.complete(asked(), seconds=20, on_block=told)
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("platform", "path", "asked_at"),
    [
        ("direct", "", "/v1/messages"),
        ("bedrock", "/anthropic", "/anthropic/v1/messages"),
        (
            "vertex",
            "",
            "/projects/shop-1/locations/europe-west1/publishers/anthropic/models/claude-test:streamRawPredict",
        ),
    ],
)
async def test_platforms_ask_at_their_own_address_with_the_token_of_the_file(
    open_backend: Open, told: Told, monkeypatch: pytest.MonkeyPatch, platform: str, path: str, asked_at: str
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "of-the-environment")
    async with MessagesApi(turns(LOOK), key=KEY) as server:
        backend = await open_backend(server.url + path, platform=platform, region="europe-west1", project="shop-1")
        reply = await backend.complete(asked(), seconds=20, on_block=told)
        assert server.requests[0].path == asked_at
    assert reply.stop is Stop.TOOLS


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (Claude(), "claude.model"),
        (Claude(model="m"), "claude.api_key_file"),
        (Claude(model="m", platform="bedrock", api_key_file=Path("k")), "claude.region"),
        (Claude(model="m", platform="vertex", api_key_file=Path("k"), region="global"), "claude.project"),
    ],
)
async def test_missing_setting_is_named(settings: Claude, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        await ClaudeBackend.open(settings)


def test_sdk_is_not_imported_with_the_module() -> None:
    code = "import sys, responder.analyzer.llm.claude; print(sorted({'anthropic', 'httpx2'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


async def test_sdk_tells_no_requests_to_the_log(
    open_backend: Open, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    async with MessagesApi(turns(DONE)) as server:
        backend = await open_backend(server.url)
        await backend.complete(asked(), seconds=20, on_block=told)
    assert not [record for record in caplog.records if record.name.startswith(("anthropic", "httpx2", "httpcore"))]


def _kinds_of(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds_of(kind)


def _made(kind: type[Exception]) -> Exception:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
    if issubclass(kind, anthropic.APIStatusError):
        status = getattr(kind, "status_code", 500)
        return kind("x", response=httpx2.Response(status, request=request), body=None)
    if issubclass(kind, anthropic.APITimeoutError):
        return kind(request)
    if issubclass(kind, anthropic.APIConnectionError):
        return kind(request=request)
    if issubclass(kind, anthropic.APIResponseValidationError):
        return kind(httpx2.Response(200, request=request), None)
    if issubclass(kind, anthropic.APIError):
        return kind("x", request, body=None)
    if kind is httpx2.HTTPStatusError:
        return kind("x", request=request, response=httpx2.Response(500, request=request))
    return kind() if kind.__name__ in _WITHOUT_WORDS else kind("x")


_WITHOUT_WORDS = {"StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead"}
_CUT = {
    "APIConnectionError", "CloseError", "ConnectError", "HTTPError", "HTTPStatusError", "NetworkError", "ProtocolError",
    "ProxyError", "ReadError", "RemoteProtocolError", "RequestError", "RequestNotRead", "ResponseNotRead",
    "StreamClosed", "StreamConsumed", "StreamError", "TransportError", "WriteError",
}  # fmt: skip
_OTHERS = {
    "APITimeoutError": Refusal.TIMED_OUT,
    "TimeoutException": Refusal.TIMED_OUT,
    "ConnectTimeout": Refusal.TIMED_OUT,
    "ReadTimeout": Refusal.TIMED_OUT,
    "WriteTimeout": Refusal.TIMED_OUT,
    "PoolTimeout": Refusal.TIMED_OUT,
    "DecodingError": Refusal.MALFORMED,
    "SSEError": Refusal.MALFORMED,
    "APIResponseValidationError": Refusal.MALFORMED,
    "LocalProtocolError": Refusal.REJECTED,
    "UnsupportedProtocol": Refusal.REJECTED,
    "TooManyRedirects": Refusal.REJECTED,
    "InvalidURL": Refusal.REJECTED,
    "APIError": Refusal.FAILED,
    "APIWebhookValidationError": Refusal.FAILED,
}
_BY_STATUS = {
    400: Refusal.REJECTED, 401: Refusal.UNAUTHORIZED, 402: Refusal.UNAUTHORIZED, 403: Refusal.UNAUTHORIZED,
    404: Refusal.REJECTED, 408: Refusal.TIMED_OUT, 409: Refusal.FAILED, 412: Refusal.REJECTED, 413: Refusal.REJECTED,
    422: Refusal.REJECTED, 429: Refusal.RATE_LIMITED, 431: Refusal.REJECTED, 499: Refusal.CUT, 500: Refusal.FAILED,
    501: Refusal.FAILED, 503: Refusal.FAILED, 504: Refusal.TIMED_OUT, 529: Refusal.OVERLOADED,
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    sorted(
        {
            kind
            for root in (anthropic.APIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)
            for kind in _kinds_of(root)
        },
        key=lambda kind: kind.__name__,
    ),
)
def test_every_error_of_the_sdk_is_a_known_refusal(kind: type[Exception]) -> None:
    error = _made(kind)
    if isinstance(error, anthropic.APIStatusError):
        assert refusal_of(error, began=False) is _BY_STATUS[error.status_code]
    elif kind.__name__ in _CUT:
        assert refusal_of(error, began=True) is Refusal.CUT
        assert refusal_of(error, began=False) is Refusal.UNREACHABLE
    else:
        assert refusal_of(error, began=False) is _OTHERS[kind.__name__]


@pytest.mark.parametrize(("began", "refusal"), [(False, Refusal.UNREACHABLE), (True, Refusal.CUT)])
def test_tls_connection_that_ends_rudely_is_a_cut(began: bool, refusal: Refusal) -> None:
    assert {refusal_of(error, began=began) for error in (ssl.SSLError(), anyio.EndOfStream())} == {refusal}


class Rude(httpx2.AsyncByteStream):
    """A body that breaks as a TLS connection does."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
        raise ssl.SSLError("bad record")


async def _broken_off(body: bytes, told: Told) -> Reply:
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Rude(body))
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: answer))
    client = anthropic.AsyncAnthropic(api_key="k", base_url="http://stub", max_retries=0, http_client=http)
    backend = ClaudeBackend(client, manner=Manner(model="m", thinking=False, effort=""), keys=None)
    try:
        return await backend.complete(asked(), seconds=20, on_block=told)
    finally:
        await backend.close()


async def test_tls_error_in_the_middle_of_a_reply_is_a_cut(told: Told) -> None:
    with pytest.raises(ProviderError) as caught:
        await _broken_off(_stream(_START), told)
    assert caught.value.refusal is Refusal.CUT


async def test_tls_error_behind_a_whole_reply_takes_nothing_from_it(told: Told) -> None:
    whole = _stream(_START, _END)
    assert (await _broken_off(whole, told)).model == "m"


async def test_requests_share_a_connection(open_backend: Open, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    connected = RequestHandler.connection_made

    def count(self: RequestHandler, transport: asyncio.BaseTransport) -> None:
        nonlocal made
        made += 1
        connected(self, transport)

    monkeypatch.setattr(RequestHandler, "connection_made", count)
    async with MessagesApi(turns(Turn(text="hm"))) as server:
        backend = await open_backend(server.url)
        for _ in range(3):
            await backend.complete(asked(), seconds=20, on_block=told)
    assert made == 1


def test_error_of_the_sdk_that_is_no_answer_is_a_failure() -> None:
    assert refusal_of(anthropic.AnthropicError("x"), began=False) is Refusal.FAILED
