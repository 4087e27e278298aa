"""How a streamed chat completion is read: pieces of tool calls, stop words, counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from responder.analyzer.llm.chat_reply import Completion, minted_id
from responder.analyzer.llm.strict import strict_object
from responder.analyzer.llm.turn import MAX_REPLY_BYTES, Block, ProviderError, Refusal, Stop, Text, Thinking, ToolCall
from responder.domain.investigation import Usage


def _delta(**delta: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _end(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def _piece(arguments: Any = None, **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return _delta(tool_calls=[{**fields, "function": function}])


def _read(*chunks: Any) -> tuple[Completion, tuple[Block, ...]]:
    completion = Completion()
    told = [block for chunk in chunks for block in completion.add(chunk)]
    return completion, (*told, *completion.finish())


def _calls(*chunks: Any) -> list[tuple[str, Any]]:
    return [(block.name, block.arguments) for block in _read(*chunks)[1] if isinstance(block, ToolCall)]


def test_blocks_are_told_as_soon_as_the_next_one_begins() -> None:
    completion = Completion()
    assert completion.add(_delta(reasoning="hm")) == ()
    assert completion.add(_delta(content="I look. ")) == (Thinking(text="hm"),)
    assert completion.add(_piece("{}", index=0, id="a", name="get")) == (Text(text="I look. "),)
    (first,) = completion.add(_piece("{", index=1, id="b", name="logs"))
    assert isinstance(first, ToolCall)
    assert first.id == "a"
    completion.add(_piece("}", index=1))
    assert [block.id for block in completion.finish() if isinstance(block, ToolCall)] == ["b"]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                _piece('{"a"', index=0, id="x", name="f"),
                _piece(":1}", index=0),
                _piece('{"b":2}', index=1, id="y", name="g"),
            ],
            id="in pieces",
        ),
        pytest.param([_piece('{"a":1}', name="f"), _piece('{"b":2}', name="g")], id="neither id nor index"),
        pytest.param(
            [_piece('{"a":1}', index=0, id="", name="f"), _piece('{"b":2}', index=0, id="", name="g")],
            id="every call is number 0, ids empty",
        ),
        pytest.param(
            [_piece('{"a":1}', index=0, id="x", name="f"), _piece('{"b":2}', index=0, id="y", name="g")],
            id="every call is number 0, ids differ",
        ),
        pytest.param(
            [
                _piece('{"a"', index=0, id="x", name="f"),
                _piece(":1}", index=0, id="x", name="f"),
                _piece('{"b":2}', index=1, id="y", name="g"),
            ],
            id="id and name with every piece",
        ),
        pytest.param(
            [_piece('{"a"', id="x", name="f"), _piece(":1}"), _piece('{"b":2}', id="y", name="g")], id="no index"
        ),
        pytest.param(
            [_piece({"a": 1}, index=0, name="f"), _piece({"b": 2}, index=1, name="g")], id="arguments as an object"
        ),
    ],
)
def test_two_calls_are_told_apart_however_they_are_numbered(chunks: list[Any]) -> None:
    assert _calls(*chunks, _end()) == [("f", {"a": 1}), ("g", {"b": 2})]


def test_missing_ids_are_minted_and_differ() -> None:
    _, blocks = _read(_piece("{}", name="f"), _piece("{}", name="g"), _end())
    ids = [block.id for block in blocks if isinstance(block, ToolCall)]
    assert len(set(ids)) == 2
    assert all(len(id_) == 9 and id_.isalnum() for id_ in (*ids, minted_id()))


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                _piece("{}", index=0, id="x", name="f"),
                _piece("{}", index=1, id="y", name="g"),
                _piece("{}", index=2, id="x", name="h"),
            ],
            id="an id twice",
        ),
        pytest.param([_piece("{}", index=0, id="x", name="f"), _piece("{}", index=1, id="x", name="g")], id="at once"),
        pytest.param(
            [
                _piece("{", index=0, id="x", name="f"),
                _piece("{}", index=1, id="y", name="g"),
                _piece("}", index=0),
            ],
            id="interleaved",
        ),
        pytest.param(["text"], id="a text"),
        pytest.param([[1]], id="a list"),
        pytest.param([_delta(content=[1])], id="content is a list"),
        pytest.param([_piece("{}", index="0", name="f")], id="an index that is no number"),
        pytest.param([_piece("{}", index=0, id=7, name="f")], id="an id that is no text"),
        pytest.param([_piece([1], index=0, name="f")], id="arguments that are a list"),
        pytest.param([_delta(content="x" * (MAX_REPLY_BYTES + 1))], id="too much text"),
        pytest.param([_piece("", index=n, id=f"c{n}", name="f") for n in range(20_000)], id="too many calls"),
    ],
)
def test_what_does_not_follow_the_protocol_is_malformed(chunks: list[Any]) -> None:
    with pytest.raises(ProviderError) as caught:
        _read(*chunks)
    assert caught.value.refusal is Refusal.MALFORMED


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "[]",
        '"a"',
        "null",
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1e999}',
        '{"a":"\\ud800"}',
        '{"a":1} and more',
        '```json\n{"a":1}\n```',
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"a":' + "9" * 10_000 + "}",
    ],
)
def test_arguments_that_are_no_one_clear_object_are_none_and_kept_raw(raw: str) -> None:
    assert strict_object(raw) is None
    assert _calls(_piece(raw, index=0, id="x", name="f"), _end()) == [("f", None)]


@pytest.mark.parametrize(
    ("reason", "called", "stop"),
    [
        ("stop", False, Stop.DONE),
        ("stop", True, Stop.TOOLS),
        ("tool_calls", True, Stop.TOOLS),
        ("tool_calls", False, Stop.DONE),
        ("function_call", True, Stop.TOOLS),
        ("length", False, Stop.LENGTH),
        ("length", True, Stop.LENGTH),
        ("content_filter", False, Stop.REFUSED),
        ("content_filter", True, Stop.REFUSED),
        ("eos", False, Stop.OTHER),
        ("eos", True, Stop.TOOLS),
    ],
)
def test_why_a_reply_stopped(reason: str, called: bool, stop: Stop) -> None:
    chunks = [_piece("{}", index=0, id="x", name="f")] if called else [_delta(content="hi")]
    reply = _read(*chunks, _end(reason))[0].reply("")
    assert (reply.stop, reply.stop_reason) == (stop, reason)


def test_a_refusal_in_words_is_text_and_stops_as_one() -> None:
    completion, blocks = _read(_delta(refusal="I can't"), _end())
    assert blocks == (Text(text="I can't"),)
    assert completion.reply("").stop is Stop.REFUSED


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": 10, "completion_tokens": 2}, Usage(input_tokens=10, output_tokens=2)),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}},
            Usage(input_tokens=2, cache_read_tokens=8, output_tokens=2),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": None},
            Usage(input_tokens=10, output_tokens=2),
        ),
        ({"prompt_tokens": -5, "completion_tokens": 10**30}, Usage(input_tokens=-5, output_tokens=10**30)),
        ({"prompt_tokens": "10", "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({"prompt_tokens": 10.5, "completion_tokens": 2}, None),
        ({"prompt_tokens": 10, "completion_tokens": None}, None),
        ("many", None),
    ],
)
def test_counts_are_passed_on_as_far_as_they_are_whole_numbers(reported: Any, usage: Usage | None) -> None:
    completion, _ = _read(_delta(content="x"), _end(), {"choices": [], "usage": reported})
    assert completion.reply("").usage == usage


def test_a_surrogate_pair_in_two_chunks_is_one_character_and_half_of_one_is_replaced() -> None:
    chunks = json.loads('["\\ud83d", "\\ude00", "\\ud83d"]')
    _, blocks = _read(*(_delta(content=piece) for piece in chunks), _end())
    assert blocks == (Text(text="\U0001f600\ufffd"),)


def test_the_own_message_can_be_sent_back_whatever_the_model_wrote() -> None:
    completion, _ = _read(
        _delta(content="so"),
        _piece('{"a": 1}', index=0, id="x", name="get"),
        _piece('{"a":', index=1, id="y", name="get"),
        _piece("{}", index=2, id="z", name="dеlete"),
        _end(),
    )
    own = completion.reply("").own
    assert own["content"] == "so"
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in own["tool_calls"]] == [
        ("x", "get", '{"a": 1}'),
        ("y", "get", "{}"),
        ("z", "unnamed", "{}"),
    ]
