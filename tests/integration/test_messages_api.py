"""The stub of the Messages API is as strict as the real one about what this project can get wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from responder.domain.manifest import Json
from responder.sandbox.providers.accounting import BreakpointCache, Counted, PrefixCache
from responder.sandbox.providers.messages_api import MessagesApi
from responder.sandbox.providers.script import Call, Turn, turns

VERSION = {"anthropic-version": "2026-10-21"}
MARK = {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "get", "description": "d", "input_schema": {"type": "object"}}
QUESTION = {"role": "user", "content": "Why?"}
CALL = {"type": "tool_use", "id": "t1", "name": "get", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}


def body(**changes: Json) -> dict[str, Json]:
    whole = {"model": "m", "max_tokens": 100, "messages": [QUESTION], "tools": [TOOL], **changes}
    return {name: value for name, value in whole.items() if value is not None}


def said(*contents: Json) -> dict[str, Json]:
    """Messages of both sides in turn, the user's first."""
    return {"messages": [{"role": ("user", "assistant")[n % 2], "content": c} for n, c in enumerate(contents)]}


async def post(server: MessagesApi, sent: Json, headers: Mapping[str, str] = VERSION) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/messages", json=sent, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ([], "no JSON object"),
        (body(temperature=0.5), "temperature: Extra inputs"),
        (body(model=None), "model"),
        (body(max_tokens=None), "max_tokens"),
        (body(max_tokens=True), "max_tokens"),
        (body(messages=[]), "at least one message"),
        (body(tools=[{"name": "get"}]), "input_schema"),
        (body(tools=[TOOL, TOOL]), "unique"),
        (body(tool_choice={"type": "tool", "name": "other"}), "no such tool"),
        (body(tool_choice={"type": "any"}, thinking={"type": "adaptive"}), "Thinking may not be enabled"),
        (body(output_config={"effort": "extreme"}), "effort"),
        (body(messages=[QUESTION, QUESTION]), "alternate"),
        (body(messages=[{"role": "user", "content": []}]), "non-empty"),
        (body(**said("Why?", "Because", " ")), "non-whitespace"),
        (body(**said("Why?", "Because")), "prefill"),
        (body(**said("Why?", [CALL])), "without `tool_result`"),
        (body(**said("Why?", [CALL], "And?")), "exactly one `tool_result`"),
        (body(**said("Why?", [CALL], [{"type": "text", "text": "x"}, RESULT])), "must come first"),
        (body(**said("Why?", [CALL], [RESULT, RESULT])), "exactly one `tool_result`"),
        (body(**said("Why?", "Because", [RESULT])), "exactly one `tool_result`"),
        (body(**said("Why?", [CALL, CALL], [RESULT, RESULT])), "unique"),
        (body(**said("Why?", [{**CALL, "input": "x"}], [RESULT])), "must be an object"),
        (
            body(**said("Why?", [{"type": "thinking", "thinking": "x", "signature": "y"}], "And?")),
            "Invalid `signature`",
        ),
        (body(**said([{"type": "text", "text": "x", **MARK}] * 5)), "maximum of 4"),
    ],
)
async def test_mistake_is_refused(sent: Json, problem: str) -> None:
    async with MessagesApi(turns(Turn(text="x"))) as server:
        status, answer = await post(server, sent)
    assert status == 400
    assert answer["type"] == "error"
    assert problem in answer["error"]["message"]


async def test_request_without_a_version_is_refused() -> None:
    async with MessagesApi(turns(Turn(text="x"))) as server:
        status, _ = await post(server, body(), headers={})
    assert status == 400


async def test_thinking_that_was_left_out_is_refused() -> None:
    async with MessagesApi(turns(Turn(thinking="hm", calls=(Call(name="get", arguments={}, id="t1"),)))) as server:
        _, first = await post(server, body(thinking={"type": "adaptive"}))
        without = [block for block in first["content"] if block["type"] != "thinking"]
        status, answer = await post(server, body(**said("Why?", without, [RESULT])))
        kept, _ = await post(server, body(**said("Why?", first["content"], [RESULT])))
    assert (status, kept) == (400, 200)
    assert "cannot be modified" in answer["error"]["message"]


async def test_wrong_key_is_refused_until_it_is_the_right_one() -> None:
    async with MessagesApi(turns(Turn(text="x")), key="right") as server:
        first, _ = await post(server, body(), {**VERSION, "x-api-key": "wrong"})
        server.key = "wrong"
        second, _ = await post(server, body(), {**VERSION, "authorization": "Bearer wrong"})
    assert (first, second) == (401, 200)


async def test_unknown_path_is_an_error_of_the_protocol() -> None:
    async with (
        MessagesApi(turns(Turn(text="x"))) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v2/messages", json={}) as answer,
    ):
        error = await answer.json()
    assert (answer.status, error["error"]["type"]) == (404, "not_found_error")


async def test_server_closes_while_a_client_stalls() -> None:
    async with aiohttp.ClientSession() as session:
        async with MessagesApi(turns(Turn(text="x", stall_after_events=1))) as server:
            answer = await session.post(f"{server.url}/v1/messages", json=body(stream=True), headers=VERSION)
            await answer.content.readline()
        answer.close()


def blocks(*marked: bool) -> tuple[tuple[Any, bool], ...]:
    return tuple(({"text": f"{n:03}" + "x" * 3997}, mark) for n, mark in enumerate(marked))


def test_breakpoint_writes_and_the_same_prefix_reads() -> None:
    cache = BreakpointCache()
    first = cache.count(blocks(False, True, False))
    second = cache.count(blocks(False, True, False))
    assert first.cache_write == second.cache_read > 2000
    assert first.input == second.input > 1000


def test_prefix_below_the_minimum_is_not_cached() -> None:
    cache = BreakpointCache(minimum=5000)
    cache.count(blocks(True))
    assert cache.count(blocks(True)).cache_read == 0


def test_prefix_without_a_breakpoint_is_not_cached() -> None:
    cache = BreakpointCache()
    cache.count(blocks(False, False))
    assert cache.count(blocks(False, False)) == Counted(input=cache.count(blocks(False, False)).input)


@pytest.mark.parametrize(("between", "found"), [(20, True), (21, False)])
def test_breakpoint_looks_back_twenty_blocks(between: int, found: bool) -> None:
    cache = BreakpointCache()
    cache.count(blocks(False, True))
    later = cache.count(blocks(False, False, *[False] * (between - 1), True))
    assert (later.cache_read > 0) is found


def test_longest_common_prefix_is_read_in_steps() -> None:
    cache = PrefixCache()
    cache.count(b"a" * 4 * 2000)
    assert cache.count(b"a" * 4 * 2000 + b"b" * 400) == Counted(cache_read=1920, input=180)
    assert cache.count(b"b" * 4 * 2000).cache_read == 0
