"""What a stub of a model says, whichever protocol says it.

A script is a function from the conversation so far to the next turn, so that one model (obedient, faulty, recorded) can
be had over every protocol. Faults are part of a turn: a status, a stall, a cut in the middle, absurd usage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Call:
    """One tool call of a turn."""

    name: str
    arguments: Mapping[str, Any] | str
    """A text is sent as it is: no JSON, cut JSON, duplicate keys."""
    id: str = ""
    """Empty: minted by the server."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One reply, or one fault."""

    thinking: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()
    stop: str = ""
    """The protocol's own word; empty: what fits."""
    usage: Mapping[str, Any] | None = field(default_factory=dict)
    """Empty: counted by the server; None: left out; else sent as it is, absurd or not."""
    status: int = 200
    """Other than 200: an error in the protocol's form, with `text` for its message."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """`retry-after`, for one."""
    delay_seconds: float = 0.0
    """Before the first byte."""
    chunk_delay_seconds: float = 0.0
    """Between two events of the stream."""
    stall_after_events: int | None = None
    """After so many events of the stream nothing comes any more, until the client goes."""
    cut_after_events: int | None = None
    """After so many events the connection is closed in the middle of the next one."""
    raw_body: bytes | None = None
    """Sent in place of everything, with `status`."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A tool result that the model was given."""

    tool: str
    text: str
    error: bool = False


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A request as the model sees it."""

    turn: int
    """Which turn of this conversation is asked for, from 1: replies in it so far, plus one."""
    system: str
    tools: tuple[str, ...]
    questions: tuple[str, ...]
    """What the user side said besides results, oldest first."""
    results: tuple[Result, ...]
    """Oldest first."""
    body: Mapping[str, Any]
    """The request as it came."""
    headers: Mapping[str, str]

    @property
    def told(self) -> str:
        """Everything that the model was told besides the system prompt, in one text."""
        return "\n".join((*self.questions, *(result.text for result in self.results)))


Script: TypeAlias = Callable[[Conversation], Turn]


def turns(*scripted: Turn) -> Script:
    """The turns by their number in the conversation; the last one again and again after that."""

    def answer(conversation: Conversation) -> Turn:
        return scripted[min(conversation.turn, len(scripted)) - 1]

    return answer


def requests(*scripted: Turn) -> Script:
    """The turns in the order of requests, whatever they ask: a fault first, then an answer to the same request."""
    left = list(scripted)

    def answer(conversation: Conversation) -> Turn:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer
