"""The backend `openai_compatible` with the real SDK against the stub of Chat Completions."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from responder.analyzer.llm.keyfile import KeyFile
from responder.analyzer.llm.openai_compatible import OpenAiCompatibleBackend, refusal_of
from responder.analyzer.llm.turn import (
    PASSING,
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
from responder.domain.errors import AnalyzerUnavailable
from responder.domain.investigation import Usage
from responder.sandbox.providers.chat_api import ChatApi, Dialect
from responder.sandbox.providers.script import Call, Script, Turn, requests, turns

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
TOOLS = (
    ToolSpec(name="get_object", description="One object.", parameters=SCHEMA),
    ToolSpec(name="conclude", description="The answer.", parameters=SCHEMA),
)
ASKED = Request(system="Be brief.", tools=TOOLS, messages=(Question(text="Why?"),), max_output_tokens=1000)
LOOKS = Turn(
    thinking="First I look.",
    text="Looking at two pods.",
    calls=(Call(name="get_object", arguments={"name": "web-1"}), Call(name="get_object", arguments={"name": "web-2"})),
)
CONCLUDES = Turn(calls=(Call(name="conclude", arguments={"name": "web"}),))


async def _ignore(_: Block) -> None: ...


@asynccontextmanager
async def _served(
    script: Script, *, dialect: Dialect | None = None, key: str | None = None, key_file: Path | None = None
) -> AsyncIterator[tuple[ChatApi, OpenAiCompatibleBackend]]:
    async with ChatApi(script, key=key, dialect=dialect) as server:
        backend = await OpenAiCompatibleBackend.open(
            model="qwen", base_url=server.base_url, keys=KeyFile(key_file) if key_file else None
        )
        try:
            yield server, backend
        finally:
            await backend.close()


async def _ask(
    script: Script, request: Request = ASKED, *, dialect: Dialect | None = None, seconds: float = 20.0
) -> Reply:
    async with _served(script, dialect=dialect) as (_, backend):
        return await backend.complete(request, seconds=seconds, on_block=_ignore)


async def _refused(script: Script, *, dialect: Dialect | None = None, seconds: float = 20.0) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await _ask(script, dialect=dialect, seconds=seconds)
    return caught.value


def _again(request: Request, reply: Reply, **changes: Any) -> Request:
    results = tuple(
        ToolResult(call=block, text=f"pod {number}", error=number == 1)
        for number, block in enumerate(block for block in reply.blocks if isinstance(block, ToolCall))
    )
    fields = {"system": request.system, "tools": request.tools, "max_output_tokens": request.max_output_tokens}
    return Request(**{**fields, "messages": (*request.messages, reply, results), **changes})


async def test_two_turns_with_parallel_tools() -> None:
    told: list[Block] = []

    async def tell(block: Block) -> None:
        told.append(block)

    async with _served(turns(LOOKS, CONCLUDES)) as (server, backend):
        first = await backend.complete(ASKED, seconds=20, on_block=tell)
        second = await backend.complete(_again(ASKED, first), seconds=20, on_block=_ignore)

    thinking, text, *calls = first.blocks
    assert tuple(told) == first.blocks
    assert (thinking, text) == (Thinking(text="First I look."), Text(text="Looking at two pods."))
    assert [call.arguments for call in calls if isinstance(call, ToolCall)] == [{"name": "web-1"}, {"name": "web-2"}]
    assert (first.stop, first.stop_reason, first.model) == (Stop.TOOLS, "tool_calls", "qwen")
    assert first.request_id
    conversation = server.requests[1].conversation
    assert conversation is not None
    assert conversation.system == "Be brief."
    assert conversation.questions == ("Why?",)
    assert [(result.text, result.error) for result in conversation.results] == [
        ("pod 0", False),
        ("error:\npod 1", True),
    ]
    assert [block.name for block in second.blocks if isinstance(block, ToolCall)] == ["conclude"]


@pytest.mark.parametrize(
    "dialect",
    [
        pytest.param(Dialect(), id="reference"),
        pytest.param(Dialect(whole_calls=True, call_index="zero", call_ids="empty", says_stop=True), id="old Ollama"),
        pytest.param(Dialect(whole_calls=True, call_index="missing", call_ids="missing"), id="neither id nor index"),
        pytest.param(Dialect(call_ids="missing"), id="no ids"),
        pytest.param(Dialect(call_index="missing"), id="no index"),
        pytest.param(Dialect(indexed_pieces_repeat=True), id="id and name with every piece"),
        pytest.param(Dialect(null_content=True, says_done=False), id="null content, no DONE"),
        pytest.param(Dialect(reasoning_field="reasoning", reports_usage=False), id="reasoning, no usage"),
        pytest.param(Dialect(says_stop=True, tool_choice="none"), id="stop, nothing forced"),
        pytest.param(Dialect(limit="max_completion_tokens"), id="newer limit"),
        pytest.param(Dialect(knows_stream_options=False), id="no stream_options"),
        pytest.param(Dialect(streams=False, call_ids="missing"), id="no stream"),
    ],
)
async def test_every_dialect_gives_the_same_conversation(dialect: Dialect) -> None:
    async with _served(turns(LOOKS, CONCLUDES), dialect=dialect) as (_, backend):
        first = await backend.complete(ASKED, seconds=20, on_block=_ignore)
        second = await backend.complete(_again(ASKED, first, must_call="conclude"), seconds=20, on_block=_ignore)
    assert first.blocks[:2] == (Thinking(text="First I look."), Text(text="Looking at two pods."))
    assert [
        (block.name, block.arguments) for block in (*first.blocks[2:], *second.blocks) if isinstance(block, ToolCall)
    ] == [
        ("get_object", {"name": "web-1"}),
        ("get_object", {"name": "web-2"}),
        ("conclude", {"name": "web"}),
    ]
    assert (first.stop, second.stop) == (Stop.TOOLS, Stop.TOOLS)


@pytest.mark.parametrize(
    ("dialect", "choices"),
    [
        (Dialect(), [{"type": "function", "function": {"name": "conclude"}}] * 2),
        (
            Dialect(tool_choice="required"),
            [{"type": "function", "function": {"name": "conclude"}}, "required", "required"],
        ),
        (Dialect(tool_choice="none"), [{"type": "function", "function": {"name": "conclude"}}, "required", None, None]),
    ],
)
async def test_how_a_tool_is_forced_is_found_out_once(dialect: Dialect, choices: list[Any]) -> None:
    forced = Request(system="", tools=TOOLS, messages=ASKED.messages, max_output_tokens=100, must_call="conclude")
    async with _served(turns(CONCLUDES), dialect=dialect) as (server, backend):
        for _ in range(2):
            await backend.complete(forced, seconds=20, on_block=_ignore)
        await backend.complete(ASKED, seconds=20, on_block=_ignore)
    assert [received.body.get("tool_choice") for received in server.requests[:-1]] == choices
    assert "tool_choice" not in server.requests[-1].body


async def test_a_request_that_no_wording_mends_is_rejected_and_nothing_is_learnt_from_it() -> None:
    forced = Request(system="", tools=TOOLS, messages=ASKED.messages, max_output_tokens=100, must_call="conclude")
    script = requests(*[Turn(status=400, text="maximum context length is 4096 tokens")] * 3, CONCLUDES)
    async with _served(script) as (server, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(forced, seconds=20, on_block=_ignore)
        await backend.complete(forced, seconds=20, on_block=_ignore)
    assert caught.value.refusal is Refusal.REJECTED
    assert "maximum context length" in caught.value.problem
    assert server.requests[-1].body["tool_choice"]["function"] == {"name": "conclude"}


async def test_calls_that_were_not_run_are_answered_so_that_the_conversation_can_go_on() -> None:
    async with _served(turns(Turn(calls=LOOKS.calls, stop="length"), CONCLUDES)) as (server, backend):
        first = await backend.complete(ASKED, seconds=20, on_block=_ignore)
        messages = (*ASKED.messages, first, Question(text="Go on."))
        second = Request(system="Be brief.", tools=TOOLS, messages=messages, max_output_tokens=1000)
        await backend.complete(second, seconds=20, on_block=_ignore)
    assert first.stop is Stop.LENGTH
    conversation = server.requests[1].conversation
    assert conversation is not None
    assert [result.text for result in conversation.results] == ["not run", "not run"]
    assert conversation.questions == ("Why?", "Go on.")


async def test_bad_arguments_are_told_raw_and_do_not_spoil_the_next_request() -> None:
    bad = Turn(
        calls=(Call(name="get object", arguments='{"name": "a", "name": "b"}'), Call(name="f", arguments="{cut"))
    )
    async with _served(turns(bad, CONCLUDES)) as (_, backend):
        first = await backend.complete(ASKED, seconds=20, on_block=_ignore)
        second = await backend.complete(_again(ASKED, first), seconds=20, on_block=_ignore)
    assert [(block.arguments, block.raw) for block in first.blocks if isinstance(block, ToolCall)] == [
        (None, '{"name": "a", "name": "b"}'),
        (None, "{cut"),
    ]
    assert second.stop is Stop.TOOLS


async def test_what_the_server_keeps_in_its_cache_is_counted_as_such() -> None:
    long = Request(system="x" * 20_000, tools=TOOLS, messages=ASKED.messages, max_output_tokens=1000)
    async with _served(turns(LOOKS, CONCLUDES)) as (server, backend):
        first = await backend.complete(long, seconds=20, on_block=_ignore)
        second = await backend.complete(_again(long, first), seconds=20, on_block=_ignore)
    assert first.usage is not None
    assert second.usage is not None
    assert first.usage.cache_read_tokens == 0
    assert second.usage.cache_read_tokens > 0.9 * second.usage.all_input_tokens
    counted = server.accounting.each[1]
    assert second.usage == Usage(
        input_tokens=counted.input, cache_read_tokens=counted.cache_read, output_tokens=counted.output
    )


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (None, None),
        ({"prompt_tokens": -1, "completion_tokens": 10**18}, Usage(input_tokens=-1, output_tokens=10**18)),
        ({"prompt_tokens": "many", "completion_tokens": 1}, None),
        ({"total_tokens": 5}, None),
    ],
)
async def test_absent_and_absurd_counts(reported: dict[str, Any] | None, usage: Usage | None) -> None:
    assert (await _ask(turns(Turn(text="hi", usage=reported)))).usage == usage


async def test_an_unknown_finish_reason_is_kept_in_the_providers_word() -> None:
    reply = await _ask(turns(Turn(text="hi", stop="eos_token")))
    assert (reply.stop, reply.stop_reason) == (Stop.OTHER, "eos_token")


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, Refusal.REJECTED),
        (401, Refusal.UNAUTHORIZED),
        (402, Refusal.UNAUTHORIZED),
        (403, Refusal.UNAUTHORIZED),
        (404, Refusal.REJECTED),
        (408, Refusal.TIMED_OUT),
        (409, Refusal.FAILED),
        (413, Refusal.REJECTED),
        (422, Refusal.REJECTED),
        (429, Refusal.RATE_LIMITED),
        (500, Refusal.FAILED),
        (502, Refusal.FAILED),
        (503, Refusal.OVERLOADED),
        (504, Refusal.TIMED_OUT),
        (529, Refusal.OVERLOADED),
    ],
)
async def test_a_status_is_one_refusal_and_one_request(status: int, refusal: Refusal) -> None:
    async with _served(turns(Turn(status=status, text="no"))) as (server, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=_ignore)
    assert (caught.value.refusal, caught.value.problem) == (refusal, f"{status}: no")
    assert len(server.requests) == 1


async def test_a_spent_quota_is_no_rate_limit() -> None:
    body = b'{"error": {"message": "no money", "type": "insufficient_quota", "code": "insufficient_quota"}}'
    error = await _refused(turns(Turn(status=429, raw_body=body)))
    assert error.refusal is Refusal.UNAUTHORIZED


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b'{"detail": "no"}', b"[" * 60_000, b"\xff\xfe"])
async def test_an_error_in_no_known_form_is_still_told_by_its_status(body: bytes) -> None:
    error = await _refused(turns(Turn(status=502, raw_body=body)))
    assert error.refusal is Refusal.FAILED
    assert len(error.problem) <= 300


async def test_an_error_without_end_is_not_read() -> None:
    error = await _refused(turns(Turn(status=500, raw_body=b"x" * 5_000_000)))
    assert error.refusal is Refusal.MALFORMED


async def test_a_redirect_is_not_followed() -> None:
    async with ChatApi(turns(CONCLUDES)) as elsewhere:
        away = Turn(status=307, headers={"location": f"{elsewhere.base_url}/chat/completions"}, raw_body=b"")
        error = await _refused(turns(away))
    assert error.refusal is Refusal.REJECTED
    assert elsewhere.requests == []


async def test_the_wait_that_was_asked_for_comes_with_the_error() -> None:
    error = await _refused(turns(Turn(status=429, text="slow down", headers={"retry-after": "12"})))
    assert error.retry_after == 12.0


async def test_nobody_listens() -> None:
    async with ChatApi(turns(CONCLUDES)) as server:
        address = server.base_url
    backend = await OpenAiCompatibleBackend.open(model="m", base_url=address)
    with pytest.raises(ProviderError) as caught:
        await backend.complete(ASKED, seconds=20, on_block=_ignore)
    await backend.close()
    assert caught.value.refusal is Refusal.UNREACHABLE


async def test_a_server_that_speaks_no_tls() -> None:
    async with ChatApi(turns(CONCLUDES)) as server:
        address = server.base_url.replace("http://", "https://")
        backend = await OpenAiCompatibleBackend.open(model="m", base_url=address)
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=_ignore)
        await backend.close()
    assert caught.value.refusal is Refusal.UNREACHABLE


@pytest.mark.parametrize("turn", [Turn(delay_seconds=60), Turn(text="x" * 500, stall_after_events=3)])
async def test_a_stall_ends_with_the_time_that_was_given(turn: Turn) -> None:
    error = await _refused(turns(turn), seconds=0.5)
    assert error.refusal is Refusal.TIMED_OUT


@pytest.mark.parametrize(
    ("cut_after", "refusal"), [(0, Refusal.UNREACHABLE), (1, Refusal.CUT), (5, Refusal.CUT), (7, Refusal.CUT)]
)
async def test_a_cut_keeps_what_was_told_before_it(cut_after: int, refusal: Refusal) -> None:
    told: list[Block] = []

    async def tell(block: Block) -> None:
        told.append(block)

    # Events: role, thinking, text, then two for each call.
    turn = Turn(thinking=LOOKS.thinking, text=LOOKS.text, calls=LOOKS.calls, cut_after_events=cut_after)
    async with _served(turns(turn)) as (_, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=tell)
    assert caught.value.refusal is refusal
    assert caught.value.refusal in PASSING
    expected = {0: 0, 1: 0, 5: 2, 7: 3}[cut_after]
    assert len(told) == expected


async def test_a_cut_after_the_end_of_the_reply_costs_only_its_count() -> None:
    # Events: role, text, end; the next one is the count.
    reply = await _ask(turns(Turn(text="done", cut_after_events=3)))
    assert (reply.blocks, reply.usage) == ((Text(text="done"),), None)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(None, id="internal"),
        pytest.param({"message": "busy", "code": 503}, id="status"),
        pytest.param({"message": "slow", "code": "rate_limit_exceeded"}, id="word"),
        pytest.param({"message": "too long", "type": "BadRequestError", "code": 400}, id="rejected"),
    ],
)
async def test_an_error_in_the_stream_is_told_by_its_code(error: dict[str, Any] | None) -> None:
    expected = {
        None: Refusal.FAILED,
        503: Refusal.OVERLOADED,
        "rate_limit_exceeded": Refusal.RATE_LIMITED,
        400: Refusal.REJECTED,
    }[error["code"] if error else None]
    caught = await _refused(turns(LOOKS), dialect=Dialect(error_after_events=3, error=error))
    assert caught.refusal is expected


@pytest.mark.parametrize(
    "body",
    [
        b"data: {cut\n\n",
        b"data: [1]\n\n",
        b'data: "hi"\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
        b'data: {"choices": [{"delta": {"content": 5}}]}\n\n',
        b"data: \xff\xfe\n\n",
        b"data: " + b"x" * 5_000_000,
    ],
    ids=["cut JSON", "a list", "a text", "nested", "content is a number", "no text at all", "5 MB without an end"],
)
async def test_what_is_no_chunk_is_malformed(body: bytes) -> None:
    assert (await _refused(turns(Turn(raw_body=body)))).refusal is Refusal.MALFORMED


async def test_a_stream_of_nothing_ends() -> None:
    nothing = b'data: {"choices": [], "padding": "%s"}\n\n' % (b"x" * 60_000) * 600
    assert (await _refused(turns(Turn(raw_body=nothing)))).refusal is Refusal.MALFORMED


async def test_a_key_in_an_error_of_the_stream_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("plainwordkey")
    dialect = Dialect(error_after_events=2, error={"message": "bad plainwordkey"})
    async with _served(turns(LOOKS), dialect=dialect, key_file=tmp_path / "key") as (_, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=_ignore)
    assert caught.value.problem == "bad [key]"


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"data: [DONE]\n\n", b": nothing\n\n"])
async def test_an_answer_without_a_chunk_is_no_reply(body: bytes) -> None:
    assert (await _refused(turns(Turn(raw_body=body)))).refusal is Refusal.UNREACHABLE


@pytest.mark.parametrize(
    "turn",
    [
        Turn(text="x" * 5_000_000),
        Turn(thinking="x" * 5_000_000),
        Turn(calls=(Call(name="f", arguments='{"a":"' + "x" * 5_000_000 + '"}'),)),
    ],
    ids=["text", "thinking", "call"],
)
@pytest.mark.parametrize("dialect", [Dialect(), Dialect(whole_calls=True), Dialect(streams=False)])
async def test_five_megabytes_are_refused(turn: Turn, dialect: Dialect) -> None:
    assert (await _refused(turns(turn), dialect=dialect)).refusal is Refusal.MALFORMED


async def test_a_thousand_calls_are_told_one_by_one() -> None:
    calls = tuple(Call(name="get_object", arguments={"name": f"web-{number}"}) for number in range(1000))
    reply = await _ask(turns(Turn(calls=calls)))
    assert len(reply.blocks) == 1000


async def test_two_calls_with_one_id_are_malformed() -> None:
    twice = Turn(calls=(Call(name="f", arguments={}, id="a"), Call(name="g", arguments={}, id="a")))
    assert (await _refused(turns(twice))).refusal is Refusal.MALFORMED


async def test_a_key_that_was_replaced_is_used_for_the_next_request(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old-key-of-many-letters\n")
    async with _served(turns(CONCLUDES), key="new-key-of-many-letters", key_file=path) as (server, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=_ignore)
        path.write_text("new-key-of-many-letters\n")
        await backend.complete(ASKED, seconds=20, on_block=_ignore)
    assert caught.value.refusal is Refusal.UNAUTHORIZED
    assert [received.headers["authorization"] for received in server.requests] == [
        "Bearer old-key-of-many-letters",
        "Bearer new-key-of-many-letters",
    ]


async def test_a_missing_key_file_asks_nobody(tmp_path: Path) -> None:
    async with _served(turns(CONCLUDES), key_file=tmp_path / "none") as (server, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=_ignore)
    assert caught.value.refusal is Refusal.UNAUTHORIZED
    assert server.requests == []


async def test_a_key_that_the_server_repeats_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("plainwordkey")
    script = turns(Turn(status=401, text="wrong key plainwordkey, and sk-proj-abcdefghijklmnopqrstuvwxyz"))
    async with _served(script, key_file=path) as (_, backend):
        with pytest.raises(ProviderError) as caught:
            await backend.complete(ASKED, seconds=20, on_block=_ignore)
    assert "plainwordkey" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "abcdefghijkl" not in str(caught.value)


async def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OPENAI_API_KEY": "env-key",
        "OPENAI_ADMIN_KEY": "env-admin",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_ORG_ID": "env-org",
        "OPENAI_PROJECT_ID": "env-project",
        "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer env-header\nx-env: env-custom",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    async with _served(turns(CONCLUDES)) as (server, backend):
        await backend.complete(ASKED, seconds=20, on_block=_ignore)
    (received,) = server.requests
    assert set(received.headers) <= {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-type",
        "content-length",
        "user-agent",
    }
    assert "env-" not in json.dumps([dict(received.headers), received.body])


async def test_a_missing_sdk_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(AnalyzerUnavailable, match="extra `openai`"):
        await OpenAiCompatibleBackend.open(model="m", base_url="http://127.0.0.1:1/v1")


async def test_the_sdk_logs_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    await _ask(turns(CONCLUDES))
    assert [record for record in caplog.records if record.name.startswith(("openai", "httpx2", "httpcore2"))] == []


def test_the_sdk_is_not_imported_with_the_module() -> None:
    program = (
        "import sys, responder.analyzer.llm.openai_compatible;"
        "print(sorted({'openai', 'httpx2', 'anthropic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def test_an_error_of_the_one_who_is_told_ends_the_request_and_stays_itself() -> None:
    async def fail(_: Block) -> None:
        raise LookupError("the record is closed")

    async with _served(turns(LOOKS)) as (_, backend):
        with pytest.raises(LookupError, match="the record is closed"):
            await backend.complete(ASKED, seconds=20, on_block=fail)


async def test_a_cancelled_request_leaves_the_backend_usable() -> None:
    begun = asyncio.Event()

    async def begin(_: Block) -> None:
        begun.set()

    async with _served(requests(Turn(thinking="hm", text="so", stall_after_events=3), CONCLUDES)) as (_, backend):
        task = asyncio.create_task(backend.complete(ASKED, seconds=60, on_block=begin))
        await asyncio.wait_for(begun.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await backend.complete(ASKED, seconds=20, on_block=_ignore)).stop is Stop.TOOLS


@pytest.mark.parametrize(("began", "refusal"), [(False, Refusal.UNREACHABLE), (True, Refusal.CUT)])
def test_a_tls_connection_that_ends_rudely_is_a_cut(began: bool, refusal: Refusal) -> None:
    assert {refusal_of(error, began=began) for error in (ssl.SSLError(), anyio.EndOfStream())} == {refusal}


def _family(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(_family(child) for child in root.__subclasses__()))


def test_every_error_of_the_sdk_and_of_its_client_is_one_refusal() -> None:
    import httpx2
    import openai

    before, after = {}, {}
    for kind in _family(openai.APIError) | _family(httpx2.HTTPError) | _family(httpx2.StreamError):
        if not kind.__module__.startswith(("openai", "httpx2")):
            continue
        error = kind.__new__(kind)
        error.body, error.status_code = None, getattr(kind, "status_code", 500)
        before[kind.__name__] = refusal_of(error, began=False)
        after[kind.__name__] = refusal_of(error, began=True)
    assert before == EXPECTED
    broken = {name for name, refusal in EXPECTED.items() if refusal is Refusal.UNREACHABLE}
    assert after == {name: Refusal.CUT if name in broken else refusal for name, refusal in EXPECTED.items()}


EXPECTED = {
    "APIError": Refusal.FAILED,
    "APIResponseValidationError": Refusal.MALFORMED,
    "APIStatusError": Refusal.FAILED,
    "BadRequestError": Refusal.REJECTED,
    "AuthenticationError": Refusal.UNAUTHORIZED,
    "OAuthError": Refusal.UNAUTHORIZED,
    "PermissionDeniedError": Refusal.UNAUTHORIZED,
    "NotFoundError": Refusal.REJECTED,
    "ConflictError": Refusal.FAILED,
    "UnprocessableEntityError": Refusal.REJECTED,
    "RateLimitError": Refusal.RATE_LIMITED,
    "InternalServerError": Refusal.FAILED,
    "APIConnectionError": Refusal.UNREACHABLE,
    "APITimeoutError": Refusal.TIMED_OUT,
    "HTTPError": Refusal.UNREACHABLE,
    "HTTPStatusError": Refusal.UNREACHABLE,
    "RequestError": Refusal.UNREACHABLE,
    "TransportError": Refusal.UNREACHABLE,
    "TimeoutException": Refusal.TIMED_OUT,
    "ConnectTimeout": Refusal.TIMED_OUT,
    "ReadTimeout": Refusal.TIMED_OUT,
    "WriteTimeout": Refusal.TIMED_OUT,
    "PoolTimeout": Refusal.TIMED_OUT,
    "NetworkError": Refusal.UNREACHABLE,
    "ReadError": Refusal.UNREACHABLE,
    "WriteError": Refusal.UNREACHABLE,
    "ConnectError": Refusal.UNREACHABLE,
    "CloseError": Refusal.UNREACHABLE,
    "ProxyError": Refusal.UNREACHABLE,
    "UnsupportedProtocol": Refusal.REJECTED,
    "ProtocolError": Refusal.UNREACHABLE,
    "LocalProtocolError": Refusal.REJECTED,
    "RemoteProtocolError": Refusal.UNREACHABLE,
    "DecodingError": Refusal.MALFORMED,
    "SSEError": Refusal.MALFORMED,
    "TooManyRedirects": Refusal.REJECTED,
    "StreamError": Refusal.UNREACHABLE,
    "StreamConsumed": Refusal.UNREACHABLE,
    "StreamClosed": Refusal.UNREACHABLE,
    "ResponseNotRead": Refusal.UNREACHABLE,
    "RequestNotRead": Refusal.UNREACHABLE,
}
