"""A reply of the Messages API, put together from the events of its stream. Pure: events in, blocks out.

What a newer version may add (events, deltas, kinds of blocks) is passed over, and sent back unchanged where it is part
of the content; what contradicts the order of the protocol is MALFORMED, and no guess.

Format: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from responder.analyzer.llm.turn import (
    MAX_REPLY_BYTES,
    Block,
    Reply,
    Stop,
    Text,
    Thinking,
    ToolCall,
    malformed,
)
from responder.domain.investigation import Usage
from responder.domain.manifest import Json, mapping, text

_BYTES_OF_A_BLOCK = 64
"""Counted for a block besides its text, so that empty ones are bounded too."""
_MAX_WORD = 200
"""Characters of what the provider names: the model, the stop reason."""
_NO_COUNT = -1
"""Stands for what is no count of tokens, so that nobody believes it."""

_STOPS = {
    "end_turn": Stop.DONE,
    "stop_sequence": Stop.DONE,
    "tool_use": Stop.TOOLS,
    "max_tokens": Stop.LENGTH,
    "refusal": Stop.REFUSED,
    "model_context_window_exceeded": Stop.CONTEXT,
    "pause_turn": Stop.PAUSED,
}
_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


@dataclass
class _Open:
    """A block that has begun and not ended."""

    index: int
    start: dict[str, Json]
    pieces: dict[str, list[str]] = field(default_factory=dict)

    def whole(self, name: str) -> str:
        return text(self.start, name) + "".join(self.pieces.get(name, ()))


@dataclass
class Reading:
    """One reply as far as it has come."""

    began: bool = False
    ended: bool = False
    _message: dict[str, Json] = field(default_factory=dict)
    _usage: dict[str, Json] = field(default_factory=dict)
    _counted: bool = False
    _stop_reason: str = ""
    _open: _Open | None = None
    _own: list[Json] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)
    _size: int = 0

    def add(self, event: Json) -> Iterator[Block]:
        """The blocks that are whole with this event. Raises ProviderError."""
        if self.ended:
            return
        kind = text(event, "type")
        if kind == "message_start":
            self._start(event)
        elif not self.began and kind not in {"", "ping"}:
            raise malformed(f"{kind[:_MAX_WORD]!r} before the message began")
        match kind:
            case "content_block_start":
                self._begin(event)
            case "content_block_delta":
                self._piece(event)
            case "content_block_stop":
                yield from self._finish(event)
            case "message_delta":
                self._stop_reason = text(event, "delta", "stop_reason") or self._stop_reason
                self._count(event.get("usage"))
            case "message_stop":
                self._end()

    def reply(self, request_id: str) -> Reply:
        """Of a reading that has `ended`."""
        return Reply(
            blocks=tuple(self._blocks),
            stop=_STOPS.get(self._stop_reason, Stop.OTHER),
            stop_reason=self._stop_reason[:_MAX_WORD],
            usage=_usage(self._usage) if self._counted else None,
            model=text(self._message, "model")[:_MAX_WORD],
            request_id=request_id[:_MAX_WORD],
            own=self._own,
        )

    def _start(self, event: Json) -> None:
        if self.began:
            raise malformed("a second message began")
        self.began = True
        self._message = dict(mapping(event, "message"))
        self._count(self._message.get("usage"))

    def _begin(self, event: Json) -> None:
        if self._open is not None or event.get("index") != len(self._own):
            raise malformed("a block began out of order")
        self._open = _Open(index=len(self._own), start=dict(mapping(event, "content_block")))
        if not text(self._open.start, "type"):
            raise malformed("a block without a type")
        self._grow(_size(self._open.start) + _BYTES_OF_A_BLOCK)

    def _piece(self, event: Json) -> None:
        block = self._current(event)
        name = _DELTAS.get(text(event, "delta", "type"))
        if name is not None:
            piece = text(event, "delta", name)
            self._grow(len(piece.encode()))
            block.pieces.setdefault(name, []).append(piece)

    def _finish(self, event: Json) -> Iterator[Block]:
        block = self._current(event)
        self._open = None
        own, said = _closed(block)
        self._own.append(own)
        if said is not None:
            self._blocks.append(said)
            yield said

    def _end(self) -> None:
        if self._open is not None:
            raise malformed("the message ended within a block")
        self.ended = True

    def _current(self, event: Json) -> _Open:
        if self._open is None or event.get("index") != self._open.index:
            raise malformed("a piece of a block that is not open")
        return self._open

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_REPLY_BYTES:
            raise malformed(f"a reply of more than {MAX_REPLY_BYTES} bytes")

    def _count(self, usage: Json) -> None:
        """Counts in a later event are totals, and replace those of an earlier one."""
        if isinstance(usage, dict) and usage:
            self._counted = True
            self._usage.update({name: value for name, value in usage.items() if value is not None})


def _size(start: Json) -> int:
    try:
        return len(orjson.dumps(start))
    except TypeError as exc:
        raise malformed("a block that is nested too deeply") from exc


def _closed(block: _Open) -> tuple[Json, Block | None]:
    """The block as it goes back to the provider, and what it says to us."""
    match block.start["type"]:
        case "text":
            told = block.whole("text")
            return {**block.start, "text": told}, Text(text=told) if told else None
        case "thinking":
            told = block.whole("thinking")
            own = {**block.start, "thinking": told, "signature": block.whole("signature")}
            return own, Thinking(text=told)
        case "redacted_thinking":
            return block.start, Thinking(text="")
        case "tool_use":
            call = _call(block)
            return {**block.start, "input": dict(call.arguments or {})}, call
        case _:
            return block.start, None


def _call(block: _Open) -> ToolCall:
    identity, name = text(block.start, "id"), text(block.start, "name")
    if not identity or not name:
        raise malformed("a tool call without an id or a name")
    raw = "".join(block.pieces.get("partial_json", ())) or orjson.dumps(block.start.get("input")).decode()
    try:
        arguments = orjson.loads(raw)
        orjson.dumps(arguments)
    except (orjson.JSONDecodeError, TypeError):  # TypeError: nested so deeply that it can be read and not written
        arguments = None
    return ToolCall(id=identity, name=name, arguments=arguments if isinstance(arguments, dict) else None, raw=raw)


def _usage(counts: dict[str, Json]) -> Usage:
    return Usage(
        input_tokens=_tokens(counts.get("input_tokens", _NO_COUNT)),
        cache_read_tokens=_tokens(counts.get("cache_read_input_tokens", 0)),
        cache_write_tokens=_tokens(counts.get("cache_creation_input_tokens", 0)),
        output_tokens=_tokens(counts.get("output_tokens", _NO_COUNT)),
    )


def _tokens(value: Json) -> int:
    return value if type(value) is int else _NO_COUNT
