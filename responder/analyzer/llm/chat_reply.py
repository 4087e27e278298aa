"""A Chat Completions reply, put together from the chunks of its stream. Pure: JSON in, blocks out.

Servers that call themselves compatible differ: a tool call may come whole or in pieces, without an id, without an index
or always with the same one; the end may be told as `stop` although there are tool calls. What can be told apart is
taken as meant; what cannot is MALFORMED, and no guess.

Format: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field

from responder.analyzer.llm.strict import strict_object
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
from responder.domain.manifest import Json, dig, text
from responder.patterns import Pattern

_BYTES_OF_A_CALL = 64
"""Counted for a tool call besides its text, so that empty ones are bounded too."""
_MAX_WORD = 200
"""Characters of what the server names: the model, the stop reason."""

_SENDABLE_NAME = Pattern(r"^[A-Za-z0-9_-]{1,64}$")

_STOPS = {
    "stop": Stop.DONE,
    "tool_calls": Stop.TOOLS,
    "function_call": Stop.TOOLS,
    "length": Stop.LENGTH,
    "content_filter": Stop.REFUSED,
}


@dataclass
class _Call:
    """A tool call that is still being written."""

    index: int | None
    id: str
    name: str
    pieces: list[str] = field(default_factory=list)

    @property
    def raw(self) -> str:
        return "".join(self.pieces)


class Completion:
    """One reply while it comes in."""

    def __init__(self) -> None:
        self.began = False
        """Whether anything of the reply has come."""
        self.finish_reason = ""
        """Empty until the reply is whole."""
        self._blocks: list[Block] = []
        self._kind: type[Text | Thinking] = Text
        self._pieces: list[str] = []
        self._call: _Call | None = None
        self._seen_ids: set[str] = set()
        self._seen_indices: set[int] = set()
        self._content: list[str] = []
        self._refused = False
        self._usage: Usage | None = None
        self._model = ""
        self._size = 0

    def add(self, chunk: Json) -> tuple[Block, ...]:
        """The blocks that are whole with this chunk.

        Raises:
            ProviderError: MALFORMED, for what is no chunk or more than a reply may be.
        """
        if not isinstance(chunk, dict):
            raise malformed("a chunk is no object")
        before = len(self._blocks)
        self.began = True
        self._model = self._model or text(chunk, "model")[:_MAX_WORD]
        if chunk.get("usage") is not None:
            self._usage = _usage(chunk["usage"])
        choice = dig(chunk, "choices", 0)
        if choice is not None:
            self._add_choice(choice)
        return tuple(self._blocks[before:])

    def finish(self) -> tuple[Block, ...]:
        """The blocks that the end of the stream makes whole."""
        before = len(self._blocks)
        self._end_text()
        self._end_call()
        return tuple(self._blocks[before:])

    def reply(self, request_id: str) -> Reply:
        """Call `finish` first."""
        calls = tuple(block for block in self._blocks if isinstance(block, ToolCall))
        return Reply(
            blocks=tuple(self._blocks),
            stop=_stop(self.finish_reason, called=bool(calls), refused=self._refused),
            stop_reason=self.finish_reason,
            usage=self._usage,
            model=self._model,
            request_id=request_id[:_MAX_WORD],
            own=_own("".join(self._content), calls),
        )

    def _add_choice(self, choice: Json) -> None:
        # A server that does not stream answers with one choice that holds a message.
        delta = dig(choice, "delta") or dig(choice, "message") or {}
        self._add_text(Thinking, _string(delta, "reasoning_content") or _string(delta, "reasoning"))
        content, refusal = _string(delta, "content"), _string(delta, "refusal")
        self._refused = self._refused or bool(refusal)
        if said := content + refusal:
            self._content.append(said)
            self._add_text(Text, said)
        for piece in dig(delta, "tool_calls") or ():
            self._add_call(piece)
        self.finish_reason = _string(choice, "finish_reason")[:_MAX_WORD] or self.finish_reason

    def _add_text(self, kind: type[Text | Thinking], piece: str) -> None:
        if not piece:
            return
        self._grow(piece)
        if self._pieces and kind is not self._kind:
            self._end_text()
        self._kind = kind
        self._pieces.append(piece)

    def _add_call(self, piece: Json) -> None:
        index, id_ = dig(piece, "index"), _string(piece, "id")
        if not isinstance(index, int | None):
            raise malformed("the index of a tool call is no number")
        name, arguments = _string(piece, "function", "name"), _arguments_text(dig(piece, "function", "arguments"))
        call = self._call
        if call is None or _begins(call, index, id_, name):
            self._end_text()
            call = self._begin_call(index, id_, name)
        call.name = call.name or name
        call.id = call.id or self._new_id(id_)
        if arguments:
            call.pieces.append(arguments)
        self._grow(name + arguments)

    def _begin_call(self, index: int | None, id_: str, name: str) -> _Call:
        self._end_call()
        if index in self._seen_indices and not id_ and not name:
            raise malformed(f"tool call {index} goes on after another one began")
        if index is not None:
            self._seen_indices.add(index)
        self._size += _BYTES_OF_A_CALL
        self._call = _Call(index=index, id=self._new_id(id_), name="")
        return self._call

    def _new_id(self, id_: str) -> str:
        if id_ and id_ in self._seen_ids:
            raise malformed("two tool calls have the same id")
        self._seen_ids.add(id_)
        return id_

    def _end_text(self) -> None:
        if whole := "".join(self._pieces):
            self._blocks.append(self._kind(text=_paired(whole)))
        self._pieces = []

    def _end_call(self) -> None:
        if self._call is None:
            return
        raw = _paired(self._call.raw)
        self._blocks.append(
            ToolCall(
                id=_paired(self._call.id) or minted_id(),
                name=_paired(self._call.name),
                arguments=strict_object(raw),
                raw=raw,
            )
        )
        self._call = None

    def _grow(self, piece: str) -> None:
        self._size += len(piece.encode("utf-8", "surrogatepass"))
        if self._size > MAX_REPLY_BYTES:
            raise malformed(f"the reply is larger than {MAX_REPLY_BYTES} bytes")


def _begins(call: _Call, index: int | None, id_: str, name: str) -> bool:
    """Whether a piece belongs to another call than the one being written.

    Old Ollama numbers every call 0; some servers give no ids; some repeat id and name with every piece. A piece with a
    name, after arguments that are whole, is the next call.
    """
    if index is not None and call.index is not None and index != call.index:
        return True
    if id_ and call.id:
        return id_ != call.id
    return bool(name) and bool(call.name) and strict_object(call.raw) is not None


def minted_id() -> str:
    """For a call that has none. Nine letters and digits: chat templates of Mistral's models refuse any other form."""
    return secrets.token_hex(5)[:9]


def _stop(finish_reason: str, *, called: bool, refused: bool) -> Stop:
    """A reply that was cut or refused stays so; else tool calls decide, whatever the server calls it."""
    stop = Stop.REFUSED if refused else _STOPS.get(finish_reason, Stop.OTHER)
    if stop in (Stop.LENGTH, Stop.REFUSED):
        return stop
    if called:
        return Stop.TOOLS
    return Stop.DONE if stop is Stop.TOOLS else stop


def _own(content: str, calls: tuple[ToolCall, ...]) -> Json:
    """The assistant message as it may stand in the next request.

    Servers parse the arguments of earlier calls and check their names before the model sees anything: one bad call of
    the model would make every request after it a 400. What it wrote is in the blocks.
    """
    message: dict[str, Json] = {"role": "assistant", "content": _paired(content) or (None if calls else "")}
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name if _SENDABLE_NAME.found(call.name) else "unnamed",
                    "arguments": "{}" if call.arguments is None else call.raw,
                },
            }
            for call in calls
        ]
    return message


def _usage(reported: Json) -> Usage | None:
    """What the server counted, unchecked; None where it did not count in whole numbers."""
    prompt, completion = dig(reported, "prompt_tokens"), dig(reported, "completion_tokens")
    cached = dig(reported, "prompt_tokens_details", "cached_tokens")
    cached = 0 if cached is None else cached
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in (prompt, completion, cached)):
        return None
    return Usage(input_tokens=prompt - cached, cache_read_tokens=cached, output_tokens=completion)


def _string(body: Json, *path: str) -> str:
    """The text at `path`, empty where there is none; anything else there is no chunk."""
    value = dig(body, *path)
    if value is not None and not isinstance(value, str):
        raise malformed(f"{'.'.join(path)} is no text")
    return value or ""


def _arguments_text(value: Json) -> str:
    """Arguments are a text that spells JSON; a few gateways give the object itself."""
    if isinstance(value, dict):
        return json.dumps(value)
    if value is not None and not isinstance(value, str):
        raise malformed("the arguments of a tool call are no text")
    return value or ""


def _paired(value: str) -> str:
    """Surrogate pairs that came in two pieces joined, lone ones replaced."""
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
