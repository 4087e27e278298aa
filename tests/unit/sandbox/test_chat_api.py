"""What the stub of Chat Completions takes and refuses, and how it answers without a stream."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from responder.sandbox.providers.chat_api import ChatApi, Dialect
from responder.sandbox.providers.script import Call, Turn, turns

ASKED = {"role": "user", "content": "Why?"}
TOOL = {"type": "function", "function": {"name": "get", "parameters": {"type": "object"}}}


def _called(*ids: str, arguments: str = "{}", name: str = "get") -> dict[str, Any]:
    calls = [{"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}} for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _answered(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "seen"}


async def _post(server: ChatApi, **body: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.base_url}/chat/completions", json={"model": "m", **body}) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": [ASKED], "model": ""}, "model"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "unknown role"),
        ({"messages": [{"role": "user", "content": 5}]}, "content"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, "content"),
        ({"messages": [ASKED, _called("a", "b"), _answered("a")]}, "without an answer: b"),
        ({"messages": [ASKED, _called("a"), ASKED]}, "without an answer: a"),
        ({"messages": [ASKED, _called("a"), _answered("x")]}, "answers no call"),
        ({"messages": [ASKED, _called("a"), _answered("a"), _answered("a")]}, "answers no call"),
        ({"messages": [ASKED, _answered("a")]}, "answers no call"),
        ({"messages": [ASKED, _called("a", "a")]}, "of its own"),
        ({"messages": [ASKED, _called("")]}, "without an id"),
        ({"messages": [ASKED, _called("a", arguments="{cut")]}, "no JSON"),
        ({"messages": [ASKED, _called("a", arguments="[]")]}, "no object"),
        ({"messages": [ASKED, _called("a", name="a b")]}, "a name"),
        ({"messages": [ASKED], "stream": "yes"}, "stream"),
        ({"messages": [ASKED], "stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": [ASKED], "max_tokens": 0}, "max_tokens"),
        ({"messages": [ASKED], "tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools"),
        ({"messages": [ASKED], "tools": [{"type": "function", "function": {"name": "get"}}]}, "schema"),
        ({"messages": [ASKED], "tool_choice": "required"}, "tool_choice"),
        (
            {
                "messages": [ASKED],
                "tools": [TOOL],
                "tool_choice": {"type": "function", "function": {"name": "other"}},
            },
            "no such tool",
        ),
    ],
)
async def test_a_request_that_a_strict_server_refuses_is_refused(body: dict[str, Any], problem: str) -> None:
    async with ChatApi(turns(Turn(text="hi"))) as server:
        status, answer = await _post(server, **body)
    assert status == 400
    assert problem in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert server.requests[0].turn is None


async def test_a_conversation_is_read_as_the_model_sees_it() -> None:
    messages = [{"role": "system", "content": "Brief."}, ASKED, _called("a", "b"), _answered("b"), _answered("a")]
    async with ChatApi(turns(Turn(text="first"), Turn(text="second"))) as server:
        _, answer = await _post(server, messages=messages, tools=[TOOL])
    conversation = server.requests[0].conversation
    assert conversation is not None
    assert (conversation.turn, conversation.system, conversation.questions) == (2, "Brief.", ("Why?",))
    assert [(result.tool, result.text) for result in conversation.results] == [("get", "seen")] * 2
    assert answer["choices"][0]["message"]["content"] == "second"


async def test_without_a_stream_the_reply_is_one_body() -> None:
    turn = Turn(thinking="hm", calls=(Call(name="get", arguments={"a": 1}, id="c1"),))
    async with ChatApi(turns(turn), dialect=Dialect(reasoning_field="reasoning")) as server:
        status, answer = await _post(server, messages=[ASKED], tools=[TOOL])
    (choice,) = answer["choices"]
    assert (status, choice["finish_reason"], choice["message"]["reasoning"]) == (200, "tool_calls", "hm")
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}}
    ]
    assert answer["usage"]["prompt_tokens"] == server.accounting.total.prompt


async def test_a_wrong_key_is_refused_before_the_script_is_asked() -> None:
    async with ChatApi(turns(Turn(text="hi")), key="right") as server:
        status, answer = await _post(server, messages=[ASKED])
    assert (status, answer["error"]["type"]) == (401, "authentication_error")
    assert server.requests[0].conversation is None
